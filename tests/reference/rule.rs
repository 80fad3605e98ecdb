//! The rule, as a brute-force program: every pair of a job and a cluster is looked at, and nothing is remembered.

/// What a run takes, or a cluster has: executors, thousandths of a core, MiB.
pub(crate) type Amounts = [u64; 3];

#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) number: u32,
    pub(crate) arrival: u32,
    pub(crate) operation: usize,
    /// 0 is Low, 3 is Critical.
    pub(crate) class: i64,
    pub(crate) created: i64,
    pub(crate) cluster: Option<usize>,
    /// Any of these, by their labels.
    pub(crate) selected: Option<Vec<usize>>,
    pub(crate) min: u64,
    pub(crate) max: u64,
    pub(crate) own_limit: Option<u32>,
    pub(crate) defect: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Operation {
    pub(crate) declared: bool,
    pub(crate) namespace: usize,
    pub(crate) limit: Option<u32>,
    pub(crate) defect: bool,
    /// Cores of an executor, in thousands; the driver takes one.
    pub(crate) cores: u64,
}

/// Open in the first `minutes` of every `period` minutes of an hour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) period: i64,
    pub(crate) minutes: i64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) during: Vec<usize>,
    pub(crate) outside: Vec<usize>,
    pub(crate) classes: Vec<i64>,
    pub(crate) operations: Vec<usize>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) declared: bool,
    pub(crate) defect: bool,
    /// Namespaces that may use it.
    pub(crate) namespaces: Vec<usize>,
    pub(crate) capacity: Amounts,
    pub(crate) most_jobs: Option<u32>,
    pub(crate) held: bool,
    pub(crate) windows: Vec<Window>,
    pub(crate) accept: Vec<Entry>,
    /// Its template gives executors so many cores, whatever the operation says.
    pub(crate) cores: Option<u64>,
}

#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) job: u32,
    pub(crate) operation: usize,
    pub(crate) cluster: usize,
    pub(crate) takes: Amounts,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    /// Milliseconds.
    pub(crate) now: i64,
    pub(crate) aging: i64,
    pub(crate) bound: i64,
    pub(crate) most_runs: usize,
    pub(crate) served: bool,
    /// Whether nothing can be created in a namespace any more.
    pub(crate) terminating: Vec<bool>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) clusters: Vec<Cluster>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) runs: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) job: u32,
    pub(crate) cluster: usize,
    pub(crate) executors: u64,
}

const MINUTE: i64 = 60_000;

fn fits(need: Amounts, room: Amounts) -> bool {
    need.iter().zip(room).all(|(need, room)| *need <= room)
}

impl World {
    /// Starts whatever may start, first in rank first.
    pub(crate) fn decide(&mut self) -> Vec<Start> {
        let mut starts = Vec::new();
        while let Some(start) = self.next() {
            let at = self.jobs.iter().position(|job| job.number == start.job).unwrap();
            let job = self.jobs.remove(at);
            let takes = self.takes(&job, start.cluster, start.executors);
            self.runs.push(Run { job: job.number, operation: job.operation, cluster: start.cluster, takes });
            starts.push(start);
        }
        starts
    }

    fn next(&self) -> Option<Start> {
        let places = self.jobs.iter().flat_map(|job| (0..self.clusters.len()).map(move |cluster| (job, cluster)));
        let may = places.filter(|(job, cluster)| self.may_start(job, *cluster));
        let (job, cluster) = may.min_by_key(|(job, cluster)| (self.rank(job), *cluster))?;
        let least = job.min.max(1).min(job.max);
        let sizes = (least..=job.max).rev();
        let executors = sizes.into_iter().find(|size| fits(self.takes(job, cluster, *size), self.room(cluster)))?;
        Some(Start { job: job.number, cluster, executors })
    }

    fn may_start(&self, job: &Job, cluster: usize) -> bool {
        self.of_the_job(job).is_none() && self.at(job, cluster) == "PendingEvaluation"
    }

    pub(crate) fn rank(&self, job: &Job) -> (i64, u32) {
        (job.created - job.class * self.aging, job.arrival)
    }

    /// Why a job waits.
    pub(crate) fn reason(&self, job: &Job) -> &'static str {
        let possible = (0..self.clusters.len()).filter(|cluster| self.possible(job, *cluster));
        let last_of_clusters = possible.map(|cluster| self.at(job, cluster)).max_by_key(|reason| precedence(reason));
        let own = self.of_the_job(job);
        own.into_iter().chain(last_of_clusters).min_by_key(|reason| precedence(reason)).unwrap()
    }

    /// What fails for the job alone.
    fn of_the_job(&self, job: &Job) -> Option<&'static str> {
        let operation = &self.operations[job.operation];
        let matching: Vec<usize> = (0..self.clusters.len()).filter(|cluster| self.matching(job, *cluster)).collect();
        let alive = self.runs.iter().filter(|run| run.operation == job.operation).count();
        let reached = |limit: Option<u32>| limit.is_some_and(|limit| alive >= limit as usize);
        if !operation.declared {
            Some("UnknownOperation")
        } else if operation.defect || job.defect {
            Some("InvalidParameters")
        } else if matching.is_empty() {
            Some("NoMatchingCluster")
        } else if !matching.iter().any(|cluster| self.possible(job, *cluster)) {
            Some("ExceedsClusterMaximum")
        } else if operation.limit == Some(0) {
            Some("OperationHeld")
        } else if reached(operation.limit) || reached(job.own_limit) {
            Some("OperationLimitReached")
        } else {
            None
        }
    }

    fn matching(&self, job: &Job, cluster: usize) -> bool {
        let namespace = self.operations[job.operation].namespace;
        let it = &self.clusters[cluster];
        it.declared
            && !it.defect
            && !self.terminating[namespace]
            && it.namespaces.contains(&namespace)
            && job.cluster.is_none_or(|wanted| wanted == cluster)
            && job.selected.as_ref().is_none_or(|selected| selected.contains(&cluster))
    }

    fn possible(&self, job: &Job, cluster: usize) -> bool {
        self.matching(job, cluster) && fits(self.least(job, cluster), self.clusters[cluster].capacity)
    }

    fn least(&self, job: &Job, cluster: usize) -> Amounts {
        self.takes(job, cluster, job.min.max(1).min(job.max))
    }

    fn takes(&self, job: &Job, cluster: usize, executors: u64) -> Amounts {
        let cores = self.clusters[cluster].cores.unwrap_or(self.operations[job.operation].cores);
        // Driver and executors have a GiB of heap and the least overhead, 384 MiB.
        [executors, 1000 + executors * cores * 1000, 1408 * (executors + 1)]
    }

    fn room(&self, cluster: usize) -> Amounts {
        let mut room = self.clusters[cluster].capacity;
        for run in self.runs.iter().filter(|run| run.cluster == cluster) {
            room.iter_mut().zip(run.takes).for_each(|(room, takes)| *room = room.saturating_sub(takes));
        }
        room
    }

    /// What fails at a cluster that could take the job; `PendingEvaluation`: nothing.
    fn at(&self, job: &Job, cluster: usize) -> &'static str {
        if !self.possible(job, cluster) {
            return "ExceedsClusterMaximum";
        }
        match self.before_turn(job, cluster) {
            None if self.is_passed_over(job, cluster) => "HigherPriorityFirst",
            None => "PendingEvaluation",
            Some(reason) => reason,
        }
    }

    fn before_turn(&self, job: &Job, cluster: usize) -> Option<&'static str> {
        let it = &self.clusters[cluster];
        let alive = self.runs.iter().filter(|run| run.cluster == cluster).count();
        if it.held || !self.served {
            Some("ClusterHeld")
        } else if !self.accepts(job, cluster) {
            Some("OutsideWindow")
        } else if it.most_jobs.is_some_and(|most| alive >= most as usize) || self.runs.len() >= self.most_runs {
            Some("ClusterLimitReached")
        } else if !fits(self.least(job, cluster), self.room(cluster)) {
            Some("ClusterOccupied")
        } else {
            None
        }
    }

    /// Somebody above, who has waited for the bound, lacks only room: what is free is kept for him.
    fn is_passed_over(&self, job: &Job, cluster: usize) -> bool {
        self.jobs.iter().any(|other| {
            self.rank(other) < self.rank(job)
                && self.now - other.created >= self.bound
                && self.of_the_job(other).is_none()
                && self.possible(other, cluster)
                && self.before_turn(other, cluster) == Some("ClusterOccupied")
        })
    }

    pub(crate) fn accepts(&self, job: &Job, cluster: usize) -> bool {
        let it = &self.clusters[cluster];
        let is_open = |window: &usize| {
            let Window { period, minutes } = it.windows[*window];
            self.now / MINUTE % 60 % period < minutes
        };
        it.accept.is_empty()
            || it.accept.iter().any(|entry| {
                (entry.classes.is_empty() || entry.classes.contains(&job.class))
                    && (entry.operations.is_empty() || entry.operations.contains(&job.operation))
                    && (entry.during.is_empty() || entry.during.iter().any(is_open))
                    && !entry.outside.iter().any(is_open)
            })
    }
}

/// Every reason, in the order of precedence.
pub(crate) const REASONS: [&str; 12] = [
    "UnknownOperation",
    "InvalidParameters",
    "NoMatchingCluster",
    "ExceedsClusterMaximum",
    "OperationHeld",
    "ClusterHeld",
    "OutsideWindow",
    "OperationLimitReached",
    "ClusterLimitReached",
    "ClusterOccupied",
    "HigherPriorityFirst",
    "PendingEvaluation",
];

fn precedence(reason: &str) -> usize {
    REASONS.iter().position(|word| *word == reason).unwrap()
}
