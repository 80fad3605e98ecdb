//! Operations and clusters, specs and statuses without metadata, as the watches saw them last, and the jobs' correlation ids: what
//! the writer needs to build an application and to speak of a job, and the engine does not.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::api::v1alpha1::{ComputeCluster, Operation};
use crate::model::{Name, ObjectKey, Uid};

/// Shared between the watches, which fill it, and the writer, which reads it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    shelves: Arc<RwLock<Shelves>>,
}

#[derive(Debug, Default)]
struct Shelves {
    operations: Shelf<ObjectKey, Operation>,
    clusters: Shelf<Name, ComputeCluster>,
    correlations: Shelf<Uid, String>,
}

/// Objects, and in which list each was seen last: what a list does not name is gone.
#[derive(Debug)]
pub(super) struct Shelf<K, T> {
    list: u64,
    objects: HashMap<K, (u64, Arc<T>)>,
}

impl<K, T> Default for Shelf<K, T> {
    fn default() -> Self {
        Self { list: 0, objects: HashMap::new() }
    }
}

impl<K: Eq + std::hash::Hash, T> Shelf<K, T> {
    pub(super) fn put(&mut self, key: K, object: T) {
        self.objects.insert(key, (self.list, Arc::new(object)));
    }

    fn get(&self, key: &K) -> Option<Arc<T>> {
        self.objects.get(key).map(|(_, object)| object.clone())
    }

    /// A list begins.
    pub(super) fn list(&mut self) {
        self.list += 1;
    }

    pub(super) fn remove(&mut self, key: &K) {
        self.objects.remove(key);
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = &T> {
        self.objects.values().map(|(_, object)| &**object)
    }

    /// The list is complete.
    pub(super) fn sweep(&mut self) {
        let list = self.list;
        self.objects.retain(|_, (seen, _)| *seen == list);
    }
}

impl Catalog {
    /// The operation, if it is declared.
    #[must_use]
    pub fn operation(&self, key: &ObjectKey) -> Option<Arc<Operation>> {
        self.read().operations.get(key)
    }

    /// The cluster, if it exists.
    #[must_use]
    pub fn cluster(&self, name: &Name) -> Option<Arc<ComputeCluster>> {
        self.read().clusters.get(name)
    }

    /// The correlation id that a job's caller gave it, for the logs and the events.
    #[must_use]
    pub fn correlation(&self, job: &Uid) -> Option<Arc<String>> {
        self.read().correlations.get(job)
    }

    pub(super) fn put_correlation(&self, job: Uid, correlation: &str) {
        self.write().correlations.put(job, correlation.to_owned());
    }

    pub(super) fn remove_correlation(&self, job: &Uid) {
        self.write().correlations.remove(job);
    }

    pub(super) fn list_jobs(&self) {
        self.write().correlations.list();
    }

    pub(super) fn jobs_listed(&self) {
        self.write().correlations.sweep();
    }

    pub(super) fn put_operation(&self, key: ObjectKey, operation: Operation) {
        self.write().operations.put(key, operation);
    }

    pub(super) fn remove_operation(&self, key: &ObjectKey) {
        self.write().operations.remove(key);
    }

    pub(super) fn put_cluster(&self, name: Name, cluster: ComputeCluster) {
        self.write().clusters.put(name, cluster);
    }

    pub(super) fn remove_cluster(&self, name: &Name) {
        self.write().clusters.remove(name);
    }

    pub(super) fn list_operations(&self) {
        self.write().operations.list();
    }

    pub(super) fn operations_listed(&self) {
        self.write().operations.sweep();
    }

    pub(super) fn list_clusters(&self) {
        self.write().clusters.list();
    }

    pub(super) fn clusters_listed(&self) {
        self.write().clusters.sweep();
    }

    // Nothing is left half-changed by a panic in here: a poisoned lock holds what it held.
    fn read(&self) -> RwLockReadGuard<'_, Shelves> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Shelves> {
        self.shelves.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_does_not_name_is_gone() {
        let catalog = Catalog::default();
        let (a, b) = (ObjectKey::new("ns", "a"), ObjectKey::new("ns", "b"));
        let operation = || Operation::new("x", crate::api::v1alpha1::OperationSpec::default());
        catalog.put_operation(a.clone(), operation());
        catalog.list_operations();
        catalog.put_operation(b.clone(), operation());
        catalog.operations_listed();
        assert!(catalog.operation(&a).is_none() && catalog.operation(&b).is_some());
    }

    #[test]
    fn a_correlation_id_stays_as_long_as_its_job() {
        let catalog = Catalog::default();
        let (a, b): (Uid, Uid) = ("a".into(), "b".into());
        catalog.put_correlation(a.clone(), "c-1");
        catalog.put_correlation(b.clone(), "c-2");
        catalog.list_jobs();
        catalog.put_correlation(a.clone(), "c-1");
        catalog.jobs_listed();
        assert_eq!(catalog.correlation(&a).as_deref().map(String::as_str), Some("c-1"));
        assert!(catalog.correlation(&b).is_none());
        catalog.remove_correlation(&a);
        assert!(catalog.correlation(&a).is_none());
    }
}
