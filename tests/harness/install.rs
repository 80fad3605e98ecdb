//! Installs definitions on the API server under test, and waits until they are served as they are.

use std::time::{Duration, Instant};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
};

/// Install `definitions`; those that stand there already as they are cost one request each.
pub(crate) async fn install(client: Client, definitions: Vec<CustomResourceDefinition>) {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let mut changed = false;
    for crd in &definitions {
        let before = api.get_opt(&crd.name_any()).await.expect("definitions can be read");
        let params = PatchParams::apply("slowlane-tests").force();
        let after = api.patch(&crd.name_any(), &params, &Patch::Apply(crd)).await.expect("the definition is accepted");
        changed |= before.is_some_and(|before| before.metadata.generation != after.metadata.generation);
    }
    for crd in &definitions {
        established(&api, &crd.name_any()).await;
    }
    if changed {
        // An older schema is served for a moment, and no condition says until when.
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

async fn established(api: &Api<CustomResourceDefinition>, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let crd = api.get(name).await.expect("the definition is there");
        let conditions = crd.status.and_then(|status| status.conditions).unwrap_or_default();
        let holds = |kind: &str| conditions.iter().any(|c| c.type_ == kind && c.status == "True");
        if holds("Established") && !holds("NonStructuralSchema") {
            return;
        }
        assert!(Instant::now() < deadline, "{name} is not established: {conditions:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
