//! Applications of runs: created once under their derived names, confirmed by quorum reads, deleted by UID only.

use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy};
use kube::core::{DynamicObject, ObjectMeta};
use serde_json::{Value, json};

use super::super::call::Creation;
use super::{Executor, MANAGER, before_writing};
use crate::api::convert;
use crate::api::v1alpha1::{JobState, LockSpec, ManagedJob};
use crate::command::Failure;
use crate::model::{ApplicationSeen, Holder, ObjectKey, Placeholder, PodSeen, RunId, Uid, child_name};
use crate::spark::marks::{JOB_UID_LABEL, RUN_FINALIZER};
use crate::spark::{self, Application, BuildError, BuildInput, Grant, SparkApplication, api_resource, build};
use crate::text::clean;
use crate::watch::{Object, PodView};

const KIND: &str = "SparkApplication";

impl Executor {
    /// Creates the application of a run. A name that is taken is an answer: what stands there is looked at.
    pub(super) async fn create_application(
        &self,
        run: &RunId,
        holder: &Holder,
        placeholder: Option<Placeholder>,
    ) -> Result<ApplicationSeen, Failure> {
        let name = child_name(&holder.job.name, &run.job, run.number);
        let object = match placeholder {
            Some(why) => placeholder_of(&identity(run, &run.job.to_string(), holder, &name, None), why),
            None => self.application_of(run, holder, &name).await?,
        };
        let object: DynamicObject =
            serde_json::from_value(object).map_err(|error| Failure::Denied(error.to_string().into()))?;
        let namespace = &holder.job.namespace;
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &api_resource());
        let params = PostParams { field_manager: Some(MANAGER.into()), dry_run: false };
        match self.caller.create(KIND, api.create(&params, &object)).await? {
            Creation::New(stored) => Ok(seen(&stored)),
            Creation::Taken => match self.application(namespace, &name).await? {
                Some(standing) => Ok(standing),
                None => Err(Failure::Unknown("something stood under the name and is gone".into())),
            },
        }
    }

    /// Builds a run from the job as it stands, read with a quorum read, and the operation and cluster as last seen. A
    /// job that is to end, or has ended, gets no run: what is right for it, the engine decides with what it learns.
    async fn application_of(&self, run: &RunId, holder: &Holder, name: &str) -> Result<Value, Failure> {
        let jobs: Api<ManagedJob> = Api::namespaced(self.client.clone(), &holder.job.namespace);
        let job = self.caller.call("get", "ManagedJob", jobs.get(&holder.job.name)).await.map_err(before_writing)?;
        if convert::uid(&job.metadata) != run.job || !wants_a_run(&job) {
            return Err(Failure::Gone);
        }
        let key = holder.operation_key();
        let (operation, cluster) = (self.catalog.operation(&key), self.catalog.cluster(&holder.cluster));
        let (Some(operation), Some(cluster)) = (operation, cluster) else { return Err(Failure::GrantOutdated) };
        // It would use what it holds no permit of.
        let covers = |held: u32, permits: i32| u32::try_from(permits).is_ok_and(|permits| permits <= held);
        let holds = |lock: &LockSpec| {
            holder.locks.iter().any(|(name, held)| **name == lock.name && covers(*held, lock.permits))
        };
        if !operation.spec.locks.iter().all(holds) {
            return Err(Failure::GrantOutdated);
        }
        let (defaults, uid) = (operation.spec.defaults.as_ref(), run.job.to_string());
        let executors = job.spec.executors.as_ref().or_else(|| defaults?.executors.as_ref());
        let wanted = executors.and_then(|executors| executors.size.as_deref());
        let size = wanted.and_then(|name| Some((name, cluster.spec.sizes.get(name)?)));
        if wanted.is_some() && size.is_none() {
            return Err(Failure::GrantOutdated);
        }
        let application = Application::merge(&operation.spec.application, cluster.spec.template.as_ref(), size)
            .map_err(|error| refused(&error))?;
        let result = job.spec.result.as_ref().or_else(|| defaults?.result.as_ref());
        build(&BuildInput {
            run: identity(run, &uid, holder, name, job.spec.correlation_id.as_deref()),
            application: &application,
            parameters: &job.spec.parameters,
            submitted_by: job.spec.submitted_by.as_deref(),
            context: &job.spec.context,
            result_uri: result.map(|result| result.uri.as_str()),
        })
        .map_err(|error| refused(&error))
    }

    /// The application first: once it is terminal, no new pod can come, so pods that are listed after it are all there
    /// are.
    pub(super) async fn confirm_run(
        &self,
        run: &RunId,
        key: &ObjectKey,
    ) -> Result<(Option<Box<ApplicationSeen>>, Vec<PodSeen>), Failure> {
        let application = self.application(&key.namespace, &key.name).await?;
        let pods = self.pods(run, &key.namespace).await?;
        Ok((application.map(Box::new), pods))
    }

    async fn application(&self, namespace: &str, name: &str) -> Result<Option<ApplicationSeen>, Failure> {
        let api: Api<SparkApplication> = Api::namespaced(self.client.clone(), namespace);
        match self.caller.call("get", KIND, api.get(name)).await {
            Ok(stored) => Ok(Some(convert::application(&stored.metadata, &stored.status))),
            // A kind that is not defined has no objects: nothing of the run is left but its pods.
            Err(Failure::Gone | Failure::KindMissing) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn pods(&self, run: &RunId, namespace: &str) -> Result<Vec<PodSeen>, Failure> {
        let api: Api<Object<PodView>> = Api::namespaced(self.client.clone(), namespace);
        let mut params = ListParams::default().labels(&format!("{JOB_UID_LABEL}={}", run.job)).limit(500);
        let mut pods = Vec::new();
        loop {
            let page = self.caller.call("list", "Pod", api.list(&params)).await?;
            let seen = page.items.iter().filter_map(|pod| pod.content.as_ref().ok()?.pod(&pod.metadata));
            pods.extend(seen.filter(|pod| pod.run == *run));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(&token),
                None => return Ok(pods),
            }
        }
    }

    /// Deletes in the foreground: its pods go before it does.
    pub(super) async fn delete_application(&self, key: &ObjectKey, uid: &Uid) -> Result<(), Failure> {
        self.delete(key, uid, PropagationPolicy::Foreground).await.map(|_| ())
    }

    /// Deletes a tombstone and lets its name go.
    pub(super) async fn drop_tombstone(&self, key: &ObjectKey, uid: &Uid) -> Result<(), Failure> {
        let Some(standing) = self.delete(key, uid, PropagationPolicy::Background).await? else { return Ok(()) };
        let Some(patch) = without_our_finalizer(&standing, uid) else { return Ok(()) };
        let api: Api<SparkApplication> = Api::namespaced(self.client.clone(), &key.namespace);
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        let patched = self.caller.call("patch", KIND, api.patch(&key.name, &params, &Patch::Merge(&patch))).await;
        gone_is_done(patched.map(|_| ()))
    }

    /// The metadata of what still stands after the deletion was accepted; `None` = nothing of this UID does.
    async fn delete(
        &self,
        key: &ObjectKey,
        uid: &Uid,
        propagation: PropagationPolicy,
    ) -> Result<Option<ObjectMeta>, Failure> {
        let api: Api<SparkApplication> = Api::namespaced(self.client.clone(), &key.namespace);
        let params = DeleteParams {
            propagation_policy: Some(propagation),
            preconditions: Some(Preconditions { uid: Some(uid.to_string()), resource_version: None }),
            ..DeleteParams::default()
        };
        match self.caller.call("delete", KIND, api.delete(&key.name, &params)).await {
            Ok(answer) => Ok(answer.left().map(|standing| standing.metadata)),
            Err(Failure::Gone) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

fn gone_is_done(result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(Failure::Gone) => Ok(()),
        other => other,
    }
}

/// Takes our finalizer off exactly this object as it was seen, and no other off it.
fn without_our_finalizer(meta: &ObjectMeta, uid: &Uid) -> Option<Value> {
    let finalizers = meta.finalizers.as_deref().unwrap_or_default();
    let kept: Vec<&String> = finalizers.iter().filter(|finalizer| *finalizer != RUN_FINALIZER).collect();
    (kept.len() < finalizers.len()).then(
        || json!({"metadata": {"uid": uid.to_string(), "resourceVersion": meta.resource_version, "finalizers": kept}}),
    )
}

/// Whether an application may still be created for a job.
fn wants_a_run(job: &ManagedJob) -> bool {
    let state = job.status.as_ref().and_then(|status| status.state);
    let ended = matches!(state, Some(JobState::Succeeded | JobState::Failed | JobState::Cancelled | JobState::Refused));
    !(ended || job.spec.cancel || job.spec.suspend || job.metadata.deletion_timestamp.is_some())
}

fn identity<'a>(
    run: &'a RunId,
    uid: &'a str,
    holder: &'a Holder,
    name: &'a str,
    correlation: Option<&'a str>,
) -> spark::Run<'a> {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    spark::Run {
        name,
        namespace: &holder.job.namespace,
        job_name: &holder.job.name,
        job_uid: uid,
        number: run.number,
        operation: &holder.operation,
        cluster: &holder.cluster,
        grant: Grant {
            min_executors: small(holder.min_executors),
            max_executors: small(holder.max_executors),
            total: holder.resources().requested(),
            locks: holder.locks.clone(),
        },
        correlation_id: correlation,
    }
}

fn placeholder_of(run: &spark::Run<'_>, why: Placeholder) -> Value {
    let mut object = spark::placeholder(run);
    object["metadata"]["annotations"][convert::PLACEHOLDER_ANNOTATION] = convert::placeholder_word(why).into();
    object
}

fn refused(error: &BuildError) -> Failure {
    match error {
        BuildError::OutgrewGrant { .. } => Failure::GrantOutdated,
        other => Failure::Denied(clean(&other.to_string(), 500).into()),
    }
}

fn seen(stored: &DynamicObject) -> ApplicationSeen {
    let status = stored.data.get("status").cloned().unwrap_or_default();
    let status: spark::Status = serde_json::from_value(status).unwrap_or_default();
    convert::application(&stored.metadata, &status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Footprint, Locks, PodSize, Time};

    #[test]
    fn only_our_finalizer_is_taken_off() {
        let meta = |finalizers: &[&str]| ObjectMeta {
            finalizers: Some(finalizers.iter().map(ToString::to_string).collect()),
            resource_version: Some("7".into()),
            ..ObjectMeta::default()
        };
        let patch = without_our_finalizer(&meta(&["other/x", RUN_FINALIZER]), &"u".into()).unwrap();
        let expected = json!({"metadata": {"uid": "u", "resourceVersion": "7", "finalizers": ["other/x"]}});
        assert_eq!(patch, expected);
        assert_eq!(without_our_finalizer(&meta(&["other/x"]), &"u".into()), None);
    }

    #[test]
    fn a_job_that_is_to_end_or_has_ended_wants_no_run() {
        let mut job = ManagedJob::new("daily", crate::api::v1alpha1::ManagedJobSpec::default());
        assert!(wants_a_run(&job));
        for (state, wanted) in
            [("Queued", true), ("Succeeded", false), ("Failed", false), ("Cancelled", false), ("Refused", false)]
        {
            job.status = serde_json::from_value(json!({"state": state})).unwrap();
            assert_eq!(wants_a_run(&job), wanted, "{state}");
        }
        job.status = None;
        job.spec.cancel = true;
        assert!(!wants_a_run(&job));
        job.spec.cancel = false;
        job.metadata.deletion_timestamp = serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
        assert!(!wants_a_run(&job));
    }

    #[test]
    fn a_placeholder_is_recognised_as_one() {
        let pod = PodSize { milli_cores: 100, memory_mib: 500 };
        let holder = Holder {
            job: ObjectKey::new("jobs", "daily"),
            operation: "report".into(),
            cluster: "business".into(),
            footprint: Footprint { driver: pod, executor: pod },
            min_executors: 1,
            max_executors: 2,
            locks: Locks::from([("lake".into(), 3)]),
            expected: None,
            granted: Time(0),
            seen: false,
        };
        let run = RunId { job: "u".into(), number: 3 };
        let object = placeholder_of(&identity(&run, "u", &holder, "daily-3", None), Placeholder::Replan);
        let seen = seen(&serde_json::from_value(object).unwrap());
        assert_eq!((seen.placeholder, seen.run, seen.held), (Some(Placeholder::Replan), Some(run), true));
        assert_eq!(seen.cluster.as_deref(), Some("business"));
        let (footprint, executors, locks) = seen.grant.unwrap();
        assert_eq!((footprint.with(executors).milli_cores, executors, &locks), (300, 2, &holder.locks));
    }
}
