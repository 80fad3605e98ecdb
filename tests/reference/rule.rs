//! The rule, as a brute-force program: every pair of a job and a cluster is looked at, and nothing is remembered.

mod dealing;

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
    /// Instead of these, what a cluster declares under this number.
    pub(crate) size: Option<usize>,
    pub(crate) own_limit: Option<u32>,
    /// What it says to each expression; `None`: it was not asked.
    pub(crate) answers: [Option<bool>; EXPRESSIONS],
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
    /// Permits that each run holds, by lock.
    pub(crate) locks: Vec<(usize, u32)>,
    /// How long a run is expected to take, if that is known.
    pub(crate) expected: Option<i64>,
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
    /// An expression that has to hold.
    pub(crate) when: Option<usize>,
}

/// What a cluster gives jobs that pick it, whatever its template and the operation say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) min: u64,
    pub(crate) max: u64,
    /// Cores of the driver, and of an executor.
    pub(crate) cores: [Option<u64>; 2],
    /// GiB of an executor's heap.
    pub(crate) heap: Option<u64>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Cluster {
    pub(crate) declared: bool,
    pub(crate) defect: bool,
    /// Namespaces that may use it.
    pub(crate) namespaces: Vec<usize>,
    pub(crate) capacity: Amounts,
    pub(crate) most_jobs: Option<u32>,
    /// What a namespace may have of it.
    pub(crate) share_jobs: Option<u32>,
    pub(crate) share_executors: Option<u64>,
    /// Permits of each lock that it declares.
    pub(crate) locks: [Option<u32>; LOCKS],
    pub(crate) admit_below: Option<u64>,
    /// How long the line before the spark-operator may be.
    pub(crate) max_pending: Option<u32>,
    pub(crate) strict: bool,
    pub(crate) backfill: bool,
    pub(crate) held: bool,
    pub(crate) windows: Vec<Window>,
    pub(crate) accept: Vec<Entry>,
    /// Its template gives executors so many cores, whatever the operation says.
    pub(crate) cores: Option<u64>,
    pub(crate) sizes: [Option<Size>; SIZES],
}

#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) job: u32,
    pub(crate) operation: usize,
    pub(crate) cluster: usize,
    pub(crate) takes: Amounts,
    /// Since when it stands in line before the spark-operator; `None`: it was taken up.
    pub(crate) pending: Option<i64>,
    /// What its live pods take.
    pub(crate) there: Amounts,
    pub(crate) locks: Vec<(usize, u32)>,
    /// When it started.
    pub(crate) started: i64,
    /// How long it was expected to take then.
    pub(crate) expected: Option<i64>,
}

pub(crate) const LOCKS: usize = 2;
pub(crate) const EXPRESSIONS: usize = 2;
pub(crate) const SIZES: usize = 2;

#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    /// Nearly nothing is wrong or held in it: what is free, and for whom it is kept, decides.
    pub(crate) plain: bool,
    /// Milliseconds.
    pub(crate) now: i64,
    pub(crate) aging: i64,
    pub(crate) bound: i64,
    pub(crate) most_runs: usize,
    /// Permits of each lock that the settings declare.
    pub(crate) locks: [Option<u32>; LOCKS],
    /// The settings hold everything.
    pub(crate) held: bool,
    pub(crate) served: bool,
    /// How long the line before the spark-operator may be, by its pace.
    pub(crate) window: usize,
    /// Whether nothing can be created in a namespace any more.
    pub(crate) terminating: Vec<bool>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) clusters: Vec<Cluster>,
    /// What applications that no job declared take, by namespace.
    pub(crate) strangers: [Amounts; 2],
    pub(crate) jobs: Vec<Job>,
    pub(crate) runs: Vec<Run>,
    /// How long a run is expected to take of an operation of which nothing else is known.
    pub(crate) expected_of_unknown: Option<i64>,
    /// A job and the cluster at which what it needs is kept for it.
    pub(crate) claims: Vec<(u32, usize)>,
    /// How often something was dealt to a job that waited for the pace alone.
    pub(crate) left_to_waiting: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) job: u32,
    pub(crate) cluster: usize,
    pub(crate) executors: u64,
}

struct Reservation {
    time: i64,
    spare: Amounts,
}

const MINUTE: i64 = 60_000;
/// How long a run stands in line before the spark-operator.
pub(crate) const PATIENCE: i64 = MINUTE;

fn fits(need: Amounts, room: Amounts) -> bool {
    need.iter().zip(room).all(|(need, room)| *need <= room)
}

impl World {
    /// Starts whatever may start, first in rank first, and deals out what is left; which may let others start.
    pub(crate) fn decide(&mut self) -> Vec<Start> {
        let mut all = Vec::new();
        loop {
            let (mut starts, started) = self.start();
            if starts.is_empty() {
                return all;
            }
            self.deal(&mut starts, &started);
            all.extend(starts);
        }
    }

    fn start(&mut self) -> (Vec<Start>, Vec<Job>) {
        let (mut starts, mut started) = (Vec::new(), Vec::new());
        loop {
            self.settle_claims();
            let Some(start) = self.next() else { return (starts, started) };
            let at = self.jobs.iter().position(|job| job.number == start.job).unwrap();
            let job = self.jobs.remove(at);
            self.runs.push(Run {
                job: job.number,
                operation: job.operation,
                cluster: start.cluster,
                takes: self.takes(&job, start.cluster, start.executors),
                there: [0; 3],
                pending: Some(self.now),
                locks: self.operations[job.operation].locks.clone(),
                started: self.now,
                expected: self.expected(&job),
            });
            starts.push(start);
            started.push(job);
        }
    }

    fn places(&self) -> impl Iterator<Item = (&Job, usize)> {
        self.jobs.iter().flat_map(|job| (0..self.clusters.len()).map(move |cluster| (job, cluster)))
    }

    fn next(&self) -> Option<Start> {
        let may = self.places().filter(|(job, cluster)| self.may_start(job, *cluster));
        let (job, cluster) = may.min_by_key(|(job, cluster)| (self.rank(job), *cluster))?;
        Some(Start { job: job.number, cluster, executors: self.bounds(job, cluster).0 })
    }

    /// Whether it could start if nothing else ran.
    pub(crate) fn can_ever_start(&self, job: &Job) -> bool {
        let empty = Self { jobs: Vec::new(), runs: Vec::new(), claims: Vec::new(), ..self.clone() };
        (0..self.clusters.len()).any(|cluster| empty.may_start(job, cluster))
    }

    fn may_start(&self, job: &Job, cluster: usize) -> bool {
        self.of_the_job(job).is_none() && self.at(job, cluster) == "PendingEvaluation"
    }

    pub(crate) fn rank(&self, job: &Job) -> (i64, u32) {
        (job.created - job.class * self.aging, job.arrival)
    }

    fn job(&self, number: u32) -> &Job {
        self.jobs.iter().find(|job| job.number == number).unwrap()
    }

    fn namespace(&self, job: &Job) -> usize {
        self.operations[job.operation].namespace
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
        let has_locks = |cluster: usize| {
            let declared = |lock: usize| self.locks[lock].or(self.clusters[cluster].locks[lock]).is_some();
            operation.locks.iter().all(|(lock, _)| declared(*lock))
        };
        let alive = self.alive(job.operation);
        let reached = |limit: Option<u32>| limit.is_some_and(|limit| alive >= limit);
        if !operation.declared {
            Some("UnknownOperation")
        } else if operation.defect || job.defect {
            Some("InvalidParameters")
        } else if matching.is_empty() {
            Some("NoMatchingCluster")
        } else if !matching.iter().any(|cluster| has_locks(*cluster)) {
            Some("InvalidParameters")
        } else if !matching.iter().any(|cluster| self.possible(job, *cluster)) {
            Some("ExceedsClusterMaximum")
        } else if self.held {
            Some("Held")
        } else if operation.limit == Some(0) {
            Some("OperationHeld")
        } else if reached(operation.limit) || reached(job.own_limit) {
            Some("OperationLimitReached")
        } else {
            None
        }
    }

    fn alive(&self, operation: usize) -> u32 {
        u32::try_from(self.runs.iter().filter(|run| run.operation == operation).count()).unwrap()
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
            && job.size.is_none_or(|size| it.sizes[size].is_some())
    }

    fn possible(&self, job: &Job, cluster: usize) -> bool {
        if !self.matching(job, cluster) {
            return false;
        }
        let it = &self.clusters[cluster];
        let least = self.least(job, cluster);
        let permits = |(lock, need): &(usize, u32)| {
            let declared = [self.locks[*lock], it.locks[*lock]];
            declared.iter().any(Option::is_some) && declared.into_iter().flatten().all(|permits| permits >= *need)
        };
        fits(least, it.capacity)
            && it.share_jobs != Some(0)
            && it.share_executors.is_none_or(|most| least[0] <= most)
            && self.operations[job.operation].locks.iter().all(permits)
    }

    fn least(&self, job: &Job, cluster: usize) -> Amounts {
        self.takes(job, cluster, self.bounds(job, cluster).0)
    }

    /// The least executors that it starts with, and the most that it may have.
    fn bounds(&self, job: &Job, cluster: usize) -> (u64, u64) {
        let (min, max) = self.size_of(job, cluster).map_or((job.min, job.max), |size| (size.min, size.max));
        (min.max(1).min(max), max)
    }

    /// The size that it picks at a cluster which declares that.
    fn size_of(&self, job: &Job, cluster: usize) -> Option<Size> {
        job.size.and_then(|size| self.clusters[cluster].sizes[size])
    }

    fn takes(&self, job: &Job, cluster: usize, executors: u64) -> Amounts {
        let size = self.size_of(job, cluster);
        let sized = |of: usize| size.and_then(|size| size.cores[of]);
        let cores = sized(1).or(self.clusters[cluster].cores).unwrap_or(self.operations[job.operation].cores);
        let heap = 1024 * size.and_then(|size| size.heap).unwrap_or(1);
        // Driver and executors have a GiB of heap and an overhead of a tenth, 384 MiB at least.
        let executor = heap + (heap / 10).max(384);
        [executors, 1000 * (sized(0).unwrap_or(1) + executors * cores), 1408 + executor * executors]
    }

    fn used(&self, cluster: usize) -> Amounts {
        let mut used = [0; 3];
        for run in self.runs.iter().filter(|run| run.cluster == cluster) {
            (0..3).for_each(|of| used[of] += run.takes[of].max(run.there[of]));
        }
        used
    }

    /// What strangers take of it: those of the namespaces that may use it.
    fn taken_by_strangers(&self, cluster: usize) -> Amounts {
        let it = &self.clusters[cluster];
        let namespaces = it.namespaces.iter().filter(|_| it.declared);
        namespaces.fold([0; 3], |sum, namespace| [0, 1, 2].map(|of| sum[of] + self.strangers[*namespace][of]))
    }

    fn occupied(&self, cluster: usize) -> Amounts {
        let (used, strangers) = (self.used(cluster), self.taken_by_strangers(cluster));
        [0, 1, 2].map(|of| used[of] + strangers[of])
    }

    fn room(&self, cluster: usize) -> Amounts {
        let (capacity, occupied) = (self.clusters[cluster].capacity, self.occupied(cluster));
        [0, 1, 2].map(|of| capacity[of].saturating_sub(occupied[of]))
    }

    // ---- what is kept -----------------------------------------------------------------------------------------

    /// Whether all that decides but for what is free says yes.
    fn contends(&self, job: &Job, cluster: usize) -> bool {
        self.of_the_job(job).is_none()
            && self.possible(job, cluster)
            && !self.is_held(cluster)
            && self.accepts(job, cluster)
            && self.fits_beside_strangers(job, cluster)
    }

    /// Whether there would be room if no run of ours were there.
    fn fits_beside_strangers(&self, job: &Job, cluster: usize) -> bool {
        let (capacity, strangers) = (self.clusters[cluster].capacity, self.taken_by_strangers(cluster));
        let left = [0, 1, 2].map(|of| capacity[of].saturating_sub(strangers[of]));
        !self.reaches_bound(cluster, strangers) && fits(self.least(job, cluster), left)
    }

    fn settle_claims(&mut self) {
        let claims = std::mem::take(&mut self.claims);
        let stands = |(job, cluster): &(u32, usize)| {
            let found = self.jobs.iter().find(|other| other.number == *job);
            found.is_some_and(|job| self.contends(job, *cluster))
        };
        self.claims = claims.into_iter().filter(stands).collect();
        loop {
            let may = self.places().filter(|(job, cluster)| self.may_claim(job, *cluster));
            let Some((job, cluster)) = may.min_by_key(|(job, cluster)| (self.rank(job), *cluster)) else { return };
            let (number, operation) = (job.number, job.operation);
            let claims = std::mem::take(&mut self.claims);
            let other = |(job, at): &(u32, usize)| *at != cluster && self.job(*job).operation != operation;
            self.claims = claims.into_iter().filter(other).chain([(number, cluster)]).collect();
        }
    }

    fn may_claim(&self, job: &Job, cluster: usize) -> bool {
        self.now - job.created >= self.bound
            && self.contends(job, cluster)
            && self.claims.iter().all(|(other, at)| {
                let claimant = self.job(*other);
                let concerns = *at == cluster || claimant.operation == job.operation;
                *other != job.number && (!concerns || self.rank(claimant) > self.rank(job))
            })
    }

    /// Claims that rank above a job.
    fn claims_above(&self, job: &Job) -> impl Iterator<Item = (&Job, usize)> {
        let rank = self.rank(job);
        let claims = self.claims.iter().map(|(claimant, at)| (self.job(*claimant), *at));
        claims.filter(move |(claimant, _)| self.rank(claimant) < rank)
    }

    /// The claim at a cluster, if it ranks above.
    fn claim_above(&self, job: &Job, cluster: usize) -> Option<&Job> {
        self.claims_above(job).find(|(_, at)| *at == cluster).map(|(claimant, _)| claimant)
    }

    /// Whether a job could start with what is kept for those above left to them.
    fn is_left(&self, job: &Job, cluster: usize) -> bool {
        self.is_left_but_room(job, cluster) && {
            let claim = self.claim_above(job, cluster).filter(|claimant| self.is_left_but_room(claimant, cluster));
            // There the reservation keeps the room.
            let claim = claim.filter(|claimant| !self.has_reservation(claimant, cluster));
            let kept = claim.map_or([0; 3], |claimant| self.least(claimant, cluster));
            let (least, room) = (self.least(job, cluster), self.room(cluster));
            (0..3).all(|of| least[of].saturating_add(kept[of]) <= room[of])
        }
    }

    fn is_left_but_room(&self, job: &Job, cluster: usize) -> bool {
        let it = &self.clusters[cluster];
        // A run and a share are kept once the locks are there.
        let at_cluster = self.claim_above(job, cluster).filter(|claimant| self.locks_left(claimant, cluster, true));
        let one = |claim: Option<&Job>| u32::from(claim.is_some());
        let jobs = it.most_jobs.is_none_or(|most| self.jobs_on(cluster) + one(at_cluster) < most);
        let sharing = at_cluster.filter(|claimant| self.namespace(claimant) == self.namespace(job));
        let (runs, executors) = self.share_used(job, cluster);
        let shared = sharing.map_or(0, |claimant| self.least(claimant, cluster)[0]);
        let share = it.share_jobs.is_none_or(|most| runs + one(sharing) < most)
            && it.share_executors.is_none_or(|most| executors + shared + self.least(job, cluster)[0] <= most);
        self.has_slot(job) && jobs && share && self.locks_left(job, cluster, true)
    }

    /// Whether the slot of the operation that is kept for another of its jobs leaves it one.
    fn has_slot(&self, job: &Job) -> bool {
        let of_operation = self.claims_above(job).find(|(other, _)| other.operation == job.operation);
        // The claimant's own limit has to leave it its slot, too.
        of_operation.is_none_or(|(claimant, _)| {
            let limits = [self.operations[job.operation].limit, claimant.own_limit];
            limits.into_iter().flatten().all(|limit| self.alive(job.operation) + 1 < limit)
        })
    }

    fn jobs_on(&self, cluster: usize) -> u32 {
        u32::try_from(self.runs.iter().filter(|run| run.cluster == cluster).count()).unwrap()
    }

    fn share_used(&self, job: &Job, cluster: usize) -> (u32, u64) {
        let namespace = self.namespace(job);
        let mine = |run: &&Run| run.cluster == cluster && self.operations[run.operation].namespace == namespace;
        let runs = self.runs.iter().filter(mine);
        runs.fold((0, 0), |(jobs, executors), run| (jobs + 1, executors + run.takes[0]))
    }

    fn share_left(&self, job: &Job, cluster: usize) -> Option<u64> {
        let most = self.clusters[cluster].share_executors?;
        Some(most.saturating_sub(self.share_used(job, cluster).1))
    }

    /// Whether the locks that a job needs have the permits, all of them; `kept`: without those kept for claims above.
    fn locks_left(&self, job: &Job, cluster: usize, kept: bool) -> bool {
        self.operations[job.operation].locks.iter().all(|(lock, need)| {
            let of =
                |locks: &[(usize, u32)]| locks.iter().find(|(it, _)| it == lock).map_or(0, |(_, permits)| *permits);
            let taken = |at: Option<usize>| {
                let runs = self.runs.iter().filter(|run| at.is_none_or(|at| run.cluster == at));
                let used: u32 = runs.map(|run| of(&run.locks)).sum();
                let claims = self.claims_above(job).filter(|(_, where_)| at.is_none_or(|at| *where_ == at));
                let claimed: u32 = claims.map(|(claimant, _)| of(&self.operations[claimant.operation].locks)).sum();
                used + if kept { claimed } else { 0 }
            };
            self.locks[*lock].is_none_or(|permits| taken(None) + need <= permits)
                && self.clusters[cluster].locks[*lock].is_none_or(|permits| taken(Some(cluster)) + need <= permits)
        })
    }

    // ---- the table --------------------------------------------------------------------------------------------

    /// What fails at a cluster that could take the job; `PendingEvaluation`: nothing.
    fn at(&self, job: &Job, cluster: usize) -> &'static str {
        match self.at_but_pace(job, cluster) {
            reason if precedence(reason) > precedence("SubmissionPaced") && self.is_paced(cluster) => "SubmissionPaced",
            reason => reason,
        }
    }

    /// The same, where the line before the spark-operator may be as long as it likes.
    fn at_but_pace(&self, job: &Job, cluster: usize) -> &'static str {
        if !self.possible(job, cluster) {
            return "ExceedsClusterMaximum";
        }
        match self.before_pace(job, cluster) {
            None if !self.is_left(job, cluster) || self.is_passed(job, cluster) => "HigherPriorityFirst",
            None => "PendingEvaluation",
            Some(reason) => reason,
        }
    }

    fn is_held(&self, cluster: usize) -> bool {
        let it = &self.clusters[cluster];
        it.held || it.most_jobs == Some(0) || !self.served
    }

    fn before_pace(&self, job: &Job, cluster: usize) -> Option<&'static str> {
        let it = &self.clusters[cluster];
        let least = self.least(job, cluster);
        let (runs, executors) = self.share_used(job, cluster);
        if self.is_held(cluster) {
            Some("ClusterHeld")
        } else if !self.accepts(job, cluster) {
            Some("OutsideWindow")
        } else if it.share_jobs.is_some_and(|most| runs >= most)
            || it.share_executors.is_some_and(|most| executors + least[0] > most)
        {
            Some("NamespaceLimitReached")
        } else if it.most_jobs.is_some_and(|most| self.jobs_on(cluster) >= most) || self.runs.len() >= self.most_runs {
            Some("ClusterLimitReached")
        } else if !self.locks_left(job, cluster, false) {
            Some("LockTaken")
        } else if self.is_full(cluster) || !fits(least, self.room(cluster)) {
            Some("ClusterOccupied")
        } else {
            None
        }
    }

    /// As many stand in line before the spark-operator as may; who was left alone for long is not waited for.
    fn is_paced(&self, cluster: usize) -> bool {
        let stands = |run: &&Run| run.pending.is_some_and(|since| self.now - since < PATIENCE);
        let line = self.runs.iter().filter(stands).count();
        line >= self.window || self.clusters[cluster].max_pending.is_some_and(|most| line >= most as usize)
    }

    /// A dimension is used to the percentage from which nothing more is admitted.
    fn is_full(&self, cluster: usize) -> bool {
        self.reaches_bound(cluster, self.occupied(cluster))
    }

    fn reaches_bound(&self, cluster: usize, used: Amounts) -> bool {
        let capacity = self.clusters[cluster].capacity;
        let reaches = |percent: u64| {
            let of = |of: usize| {
                used[of] > 0 && u128::from(used[of]) * 100 >= u128::from(percent) * u128::from(capacity[of])
            };
            (0..3).any(of)
        };
        self.clusters[cluster].admit_below.is_some_and(reaches)
    }

    /// Somebody above lacks room only, and may not be passed.
    fn is_passed(&self, job: &Job, cluster: usize) -> bool {
        let above = |first: Option<&Job>| first.is_some_and(|first| self.rank(first) < self.rank(job));
        let delays = |it: &Reservation| !self.ends_before(job, it.time) && !fits(self.least(job, cluster), it.spare);
        if self.clusters[cluster].strict {
            above(self.first_without_room(cluster))
        } else {
            above(self.reserving(cluster)) && self.reservation(cluster).as_ref().is_some_and(delays)
        }
    }

    /// For whom a cluster reserves room, if it can: the first that lacks it, or only who claims the cluster.
    /// Of either, if nothing else is lacking.
    fn reserving(&self, cluster: usize) -> Option<&Job> {
        let it = &self.clusters[cluster];
        let claim = || self.claims.iter().find(|(_, at)| *at == cluster).map(|(claimant, _)| self.job(*claimant));
        match (it.strict, it.backfill) {
            (true, _) => None,
            (_, true) => self.first_without_room(cluster),
            _ => claim().filter(|claimant| {
                let has_room = !self.is_full(cluster) && fits(self.least(claimant, cluster), self.room(cluster));
                // Where the ledger is full, more is lacking than room.
                self.runs.len() < self.most_runs && self.is_left_but_room(claimant, cluster) && !has_room
            }),
        }
    }

    /// The first in rank that lacks room at a cluster, and nothing else.
    fn first_without_room(&self, cluster: usize) -> Option<&Job> {
        let lacks_room = |job: &&Job| {
            self.of_the_job(job).is_none()
                && self.has_slot(job)
                && self.possible(job, cluster)
                && self.before_pace(job, cluster) == Some("ClusterOccupied")
                && self.fits_beside_strangers(job, cluster)
        };
        self.jobs.iter().filter(lacks_room).min_by_key(|job| self.rank(job))
    }

    fn expected(&self, job: &Job) -> Option<i64> {
        self.operations[job.operation].expected.or(self.expected_of_unknown)
    }

    /// When that job will have room, if every run ends when it was expected to, and what is left beside it then.
    fn reservation(&self, cluster: usize) -> Option<Reservation> {
        let first = self.reserving(cluster)?;
        let (least, capacity, used) =
            (self.least(first, cluster), self.clusters[cluster].capacity, self.occupied(cluster));
        let here = || self.runs.iter().filter(|run| run.cluster == cluster);
        let end = |run: &Run| run.expected.map(|expected| self.end(run.started, expected, first));
        let mut ends: Vec<i64> = here().filter_map(end).collect();
        ends.sort_unstable();
        let found = [i64::MIN].into_iter().chain(ends).find_map(|time| {
            let over = here().filter(|run| end(run).is_some_and(|end| end <= time));
            let free = over.fold([0; 3], |sum, run| [0, 1, 2].map(|of| sum[of] + run.takes[of].max(run.there[of])));
            let room = [0, 1, 2].map(|of| capacity[of].saturating_sub(used[of] - free[of]));
            fits(least, room).then(|| (time, [0, 1, 2].map(|of| room[of] - least[of])))
        });
        found.map(|(time, spare)| Reservation { time: time.max(self.now), spare })
    }

    /// Who is late takes twice as long as was expected, or four times, and so on; who is not waited for any longer ends now.
    fn end(&self, started: i64, expected: i64, first: &Job) -> i64 {
        let is_patient = self.is_patient(expected, first);
        let takes = (0..).map(|doublings| expected << doublings);
        let is_to_come = |takes: &i64| started + takes > self.now || !is_patient;
        started + takes.into_iter().find(is_to_come).unwrap()
    }

    fn is_patient(&self, expected: i64, first: &Job) -> bool {
        self.now - first.created < self.bound + 16 * expected
    }

    /// Whether a run is late for which who has the reservation does not wait any longer.
    pub(crate) fn is_impatient(&self, cluster: usize) -> bool {
        let Some(first) = self.reserving(cluster) else { return false };
        let late = |run: &&Run| run.cluster == cluster && run.expected.is_some_and(|it| run.started + it <= self.now);
        self.runs.iter().filter(late).any(|run| run.expected.is_some_and(|it| !self.is_patient(it, first)))
    }

    pub(crate) fn is_reserved(&self, cluster: usize) -> bool {
        self.reservation(cluster).is_some()
    }

    fn has_reservation(&self, job: &Job, cluster: usize) -> bool {
        let is_first = self.reserving(cluster).is_some_and(|first| first.number == job.number);
        is_first && self.reservation(cluster).is_some()
    }

    fn ends_before(&self, job: &Job, time: i64) -> bool {
        self.expected(job).is_some_and(|expected| self.now + expected <= time)
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
                    && entry.when.is_none_or(|expression| job.answers[expression] == Some(true))
                    && (entry.during.is_empty() || entry.during.iter().any(is_open))
                    && !entry.outside.iter().any(is_open)
            })
    }
}

/// Every reason, in the order of precedence.
pub(crate) const REASONS: [&str; 16] = [
    "UnknownOperation",
    "InvalidParameters",
    "NoMatchingCluster",
    "ExceedsClusterMaximum",
    "Held",
    "OperationHeld",
    "ClusterHeld",
    "OutsideWindow",
    "OperationLimitReached",
    "NamespaceLimitReached",
    "ClusterLimitReached",
    "LockTaken",
    "ClusterOccupied",
    "SubmissionPaced",
    "HigherPriorityFirst",
    "PendingEvaluation",
];

fn precedence(reason: &str) -> usize {
    REASONS.iter().position(|word| *word == reason).unwrap()
}
