//! How many executors those get that start together: everybody's least, and then one each, as long as there are some.

use super::{Amounts, Job, Run, Start, World, fits};

struct Hand {
    job: Job,
    executors: u64,
    /// Which of the starts it is; none of them: it waits for the pace alone.
    start: Option<usize>,
}

impl World {
    pub(super) fn deal(&mut self, starts: &mut [Start], started: &[Job]) {
        for cluster in 0..self.clusters.len() {
            let mut beside = self.clone();
            let mut spare = self.reservation(cluster).map(|it| (it.time, it.spare));
            for class in (0..4).rev() {
                let here =
                    started.iter().enumerate().filter(|(at, job)| starts[*at].cluster == cluster && job.class == class);
                let hand = |(at, job): (usize, &Job)| Hand {
                    job: job.clone(),
                    executors: starts[at].executors,
                    start: Some(at),
                };
                let mut hands: Vec<Hand> = here.map(hand).collect();
                hands.extend(self.waiting_for_pace(cluster, class, &mut beside, &mut spare));
                self.deal_to(&mut hands, cluster, &mut beside, &mut spare);
                let elastic =
                    hands.iter().any(|it| it.start.is_some() && it.executors < self.bounds(&it.job, cluster).1);
                self.left_to_waiting += u64::from(elastic && hands.iter().any(|it| it.start.is_none()));
                for hand in &hands {
                    let Some(start) = hand.start else { continue };
                    starts[start].executors = hand.executors;
                    let takes = self.takes(&hand.job, cluster, hand.executors);
                    self.runs.iter_mut().filter(|run| run.job == hand.job.number).for_each(|run| run.takes = takes);
                }
            }
        }
    }

    /// Who would start as well if it were not for the pace, each with its least, in order.
    fn waiting_for_pace(
        &self,
        cluster: usize,
        class: i64,
        beside: &mut Self,
        spare: &mut Option<(i64, Amounts)>,
    ) -> Vec<Hand> {
        let mut found = Vec::new();
        if !self.is_paced(cluster) {
            return found;
        }
        let may = |job: &&Job| {
            job.class == class
                && self.of_the_job(job).is_none()
                && self.at_but_pace(job, cluster) == "PendingEvaluation"
        };
        let mut waiting: Vec<&Job> = self.jobs.iter().filter(may).collect();
        waiting.sort_by_key(|job| self.rank(job));
        for job in waiting {
            match beside.of_the_job(job).or_else(|| beside.before_pace(job, cluster)) {
                None => {}
                Some("ClusterOccupied" | "ClusterLimitReached") => break,
                Some(_) => continue,
            }
            let executors = self.bounds(job, cluster).0;
            let takes = self.least(job, cluster);
            if let Some((_, spare)) = spare.as_mut().filter(|(time, _)| !self.ends_before(job, *time)) {
                *spare = [0, 1, 2].map(|of| spare[of].saturating_sub(takes[of]));
            }
            let locks = self.operations[job.operation].locks.clone();
            let (operation, started) = (job.operation, self.now);
            let (pending, there, expected) = (None, [0; 3], None);
            beside.runs.push(Run {
                job: job.number,
                operation,
                cluster,
                takes,
                pending,
                there,
                locks,
                started,
                expected,
            });
            found.push(Hand { job: job.clone(), executors, start: None });
        }
        found
    }

    /// One more for who has the fewest, the first in rank of those, until nobody can have another.
    fn deal_to(&self, hands: &mut [Hand], cluster: usize, beside: &mut Self, spare: &mut Option<(i64, Amounts)>) {
        let mut done = vec![false; hands.len()];
        loop {
            let open = (0..hands.len()).filter(|at| !done[*at]);
            let Some(at) = open.min_by_key(|at| (hands[*at].executors, self.rank(&hands[*at].job))) else { return };
            let (job, next) = (&hands[at].job, hands[at].executors + 1);
            let (now, then) = (self.takes(job, cluster, next - 1), self.takes(job, cluster, next));
            let one = [0, 1, 2].map(|of| then[of] - now[of]);
            // Who waits for the pace alone has its least by now: nothing more is kept for it.
            let is_seated = |other: u32| beside.runs.iter().any(|run| run.job == other);
            let claim =
                self.claims.iter().find(|(other, at)| *at == cluster && *other != job.number && !is_seated(*other));
            let claimant = claim.map(|(other, _)| self.job(*other));
            let kept = claimant.filter(|claimant| !self.has_reservation(claimant, cluster));
            let kept = kept.map_or([0; 3], |claimant| self.least(claimant, cluster));
            let sharing = claimant.filter(|claimant| self.namespace(claimant) == self.namespace(job));
            let shared = sharing.map_or(0, |claimant| self.least(claimant, cluster)[0]);
            let delays = spare.filter(|(time, _)| !self.ends_before(job, *time));
            let room = beside.room(cluster);
            let may = next <= self.bounds(job, cluster).1
                && (0..3).all(|of| one[of].saturating_add(kept[of]) <= room[of])
                && delays.is_none_or(|(_, spare)| fits(one, spare))
                && beside.share_left(job, cluster).is_none_or(|left| shared < left);
            if !may {
                done[at] = true;
                continue;
            }
            hands[at].executors = next;
            if let (Some(_), Some((_, spare))) = (delays, spare.as_mut()) {
                *spare = [0, 1, 2].map(|of| spare[of] - one[of]);
            }
            let mine = beside.runs.iter_mut().filter(|run| run.job == job.number);
            mine.for_each(|run| run.takes = then);
        }
    }
}
