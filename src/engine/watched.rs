//! Takes in what the watches show: which lists are complete, what is declared, and to whom the rest goes.

use super::{Engine, Wake};
use crate::command::{Change, Kind};
use crate::index::History;
use crate::model::{Cluster, Name, ObjectKey, Operation};

impl Engine {
    pub(super) fn watched(&mut self, change: Change) {
        match change {
            Change::Namespace { name, labels, terminating } => {
                self.relists.name(Kind::Namespace, &cluster_key(&name));
                self.gate.set_namespace(&name, labels, terminating);
                if terminating {
                    self.drop_tombstones_in(&name);
                }
            }
            Change::Unreadable(kind, key) => {
                self.relists.name(kind, &key);
                if kind == Kind::Job {
                    self.unreadable_jobs.insert(key);
                }
            }
            Change::NamespaceGone(name) => {
                self.touched.remove(&name);
                self.gate.remove_namespace(&name);
            }
            Change::Cluster(cluster) => {
                self.relists.name(Kind::Cluster, &cluster_key(&cluster.name));
                self.cluster_seen(cluster);
            }
            Change::ClusterGone(name) => self.cluster_gone(&name),
            Change::Operation(operation) => {
                self.relists.name(Kind::Operation, &operation.key);
                self.operation_seen(operation);
            }
            Change::OperationGone(key) => self.operation_gone(&key),
            Change::Job(job) => {
                self.relists.name(Kind::Job, &job.key);
                self.job_seen(*job);
            }
            Change::JobGone(key, uid) => self.job_gone(&key, &uid),
            Change::Application(application) => {
                self.relists.name(Kind::Application, &application.key);
                self.application_seen(application);
            }
            Change::ApplicationGone(key, uid) => self.application_gone(&key, &uid),
            Change::Stranger(stranger) => {
                self.relists.name(Kind::Stranger, &stranger.key);
                self.stranger_seen(*stranger);
            }
            Change::StrangerGone(key, uid) => self.stranger_gone(&key, &uid),
            Change::Pod(pod) => {
                self.relists.name(Kind::Pod, &pod.key);
                self.pod_seen(pod);
            }
            Change::PodGone(key, uid) => self.pod_gone(&key, &uid),
            Change::Placeholders(seen) => {
                self.relists.name(Kind::Placeholders, &cluster_key(&seen.cluster));
                self.placeholders_seen(*seen);
            }
            Change::PlaceholdersGone(cluster) => self.placeholders_gone(&cluster),
        }
    }

    /// What a complete list did not name is gone.
    pub(super) fn relist_done(&mut self, kind: Kind) {
        let Some(named) = self.relists.finish(kind) else { return };
        match kind {
            Kind::Namespace => {
                for name in self.gate.namespace_names() {
                    if !named.contains(&cluster_key(&name)) {
                        self.gate.remove_namespace(&name);
                    }
                }
            }
            Kind::Cluster => {
                for name in self.declared_clusters() {
                    if !named.contains(&cluster_key(&name)) {
                        self.cluster_gone(&name);
                    }
                }
            }
            Kind::Operation => {
                for key in self.gate.declared_operations() {
                    if !named.contains(&key) {
                        self.operation_gone(&key);
                    }
                }
            }
            Kind::Job => {
                let known = self.jobs.numbers().into_iter().filter_map(|number| self.jobs.get(number));
                let gone: Vec<_> = known
                    .filter(|entry| !named.contains(&entry.job.key))
                    .map(|entry| (entry.job.key.clone(), entry.job.uid.clone()))
                    .collect();
                gone.iter().for_each(|(key, uid)| self.job_gone(key, uid));
                self.unreadable_jobs.retain(|key| named.contains(key));
                self.dirty_runs.extend(self.runs.keys().cloned());
            }
            Kind::Application => {
                let gone = self.sightings.applications_beside(&named);
                gone.iter().for_each(|(key, uid)| self.application_gone(key, uid));
            }
            Kind::Stranger => {
                let gone: Vec<_> = self.strangers.keys().filter(|(key, _)| !named.contains(key)).collect();
                gone.iter().for_each(|(key, uid)| self.stranger_gone(key, uid));
            }
            Kind::Pod => {
                let gone = self.sightings.pods_beside(&named);
                gone.iter().for_each(|(key, uid)| self.pod_gone(key, uid));
            }
            Kind::Placeholders => {
                let known = self.pools.keys().chain(self.meters.keys());
                let gone: Vec<Name> = known.filter(|name| !named.contains(&cluster_key(name))).cloned().collect();
                gone.iter().for_each(|name| self.placeholders_gone(name));
            }
        }
        if !self.synced && self.relists.is_synced() {
            self.take_stock();
        }
    }

    /// Everything is listed for the first time: find the runs that the ledger does not name, place every job.
    fn take_stock(&mut self) {
        self.synced = true;
        if self.drop_misplaced() {
            return self.list_anew();
        }
        self.end_needless_quarantine();
        self.look_for_booked(|_| true);
        let applications = self.sightings.applications().into_iter().map(|(run, _)| run.clone());
        applications.collect::<Vec<_>>().iter().for_each(|run| self.take_in(run));
        for number in self.jobs.numbers() {
            self.take_in_vanished(number);
            self.place(number);
        }
        self.dirty_runs.extend(self.runs.keys().cloned());
    }

    // ---- clusters and operations ------------------------------------------------------------------------------

    fn declared_clusters(&self) -> Vec<Name> {
        let declared = self.gate.clusters().filter(|(_, entry)| entry.declared.is_some());
        declared.map(|(name, _)| name.clone()).collect()
    }

    fn cluster_seen(&mut self, mut cluster: Box<Cluster>) {
        let name = cluster.name.clone();
        let published = cluster.published.take();
        let ready = published.as_ref().and_then(|published| published.executors_warm);
        self.meter_cluster(&cluster, ready.unwrap_or(0));
        self.pool_said(&cluster, published.as_ref());
        let account = std::mem::take(&mut cluster.account);
        cluster.warmth = None;
        let publication = self.clusters.entry(name.clone()).or_default();
        publication.said = published;
        if publication.book.see(&cluster.uid, account) {
            self.look_for_booked(|bill| bill.cluster == name);
        }
        let known = self.gate.cluster(&name).and_then(|entry| entry.declared.as_ref());
        if known != Some(&cluster) {
            let is_edited = known.is_some();
            let ends_runs = cluster.cancels_at_window_end || known.is_some_and(|known| known.cancels_at_window_end);
            self.gate.set_cluster(cluster, self.now);
            if is_edited {
                self.tell_details(self.gate.operations_at(&name), self.settings.status_delay);
            }
            if ends_runs {
                self.look_after_runs_on(&name);
            }
            self.wake_at_edge();
            self.limits_changed();
        }
        self.clusters_changed();
    }

    /// Windows of clusters open and close.
    pub(super) fn windows_changed(&mut self) {
        self.gate.pass_edges(self.now);
        self.look_after_turned_out();
        self.clusters_changed();
        self.wake_at_edge();
    }

    fn wake_at_edge(&mut self) {
        if let Some(edge) = self.gate.next_edge() {
            self.wakes.set(Wake::Edge, edge);
        }
    }

    fn cluster_gone(&mut self, name: &Name) {
        self.gate.remove_cluster(name);
        self.clusters.remove(name);
        self.meters.remove(name);
        self.look_for_booked(|bill| bill.cluster == *name);
        self.compose_anew = true;
        self.pool_gone(name);
    }

    fn operation_seen(&mut self, mut operation: Box<Operation>) {
        let key = operation.key.clone();
        let published = operation.published.take();
        if let Some(times) = published.as_ref().and_then(|published| published.times) {
            self.history.entry(key.clone()).or_insert_with(|| History::continued(times));
        }
        let account = std::mem::take(&mut operation.account);
        let publication = self.operations.entry(key.clone()).or_default();
        publication.said = published;
        if publication.book.see(&operation.uid, account) {
            self.look_for_booked(|bill| bill.operation == key);
        }
        let known = self.gate.operation(&key).and_then(|entry| entry.declared.as_ref());
        if known != Some(&operation) {
            let rekey = known.is_none_or(|known| {
                known.defaults != operation.defaults
                    || known.parameters != operation.parameters
                    || known.result_parameters != operation.result_parameters
                    || known.needs_result != operation.needs_result
            });
            self.gate.set_operation(operation);
            self.expect(&key);
            self.limits_changed();
            if rekey {
                self.place_jobs_of(&key);
                // How long their runs may take is among the defaults.
                let alive = self.gate.operation(&key).map(|entry| entry.holders.keys().cloned().collect::<Vec<_>>());
                self.dirty_runs.extend(alive.unwrap_or_default());
            }
        }
        self.operation_changed(&key);
    }

    fn operation_gone(&mut self, key: &ObjectKey) {
        self.gate.remove_operation(key);
        self.compose_anew = true;
        self.operations.remove(key);
        self.look_for_booked(|bill| bill.operation == *key);
        self.history.remove(key);
        self.expectations.set(key, None);
        self.gate.set_expected_of_unknown(self.expectations.of_unknown());
        self.place_jobs_of(key);
    }

    pub(super) fn operator_available(&mut self, available: bool) {
        self.gate.set_operator_available(available);
        self.clusters_changed();
    }
}

/// The API's scope has no namespace here; one key type serves both.
fn cluster_key(name: &Name) -> ObjectKey {
    ObjectKey { namespace: "".into(), name: name.clone() }
}
