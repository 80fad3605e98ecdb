//! Everybody who asks: what they are to the API server, and what was granted to them.

use serde_json::{Value, json};

use crate::ask::Place;
use crate::chart::SPARK_OPERATOR;
use crate::helm::KEEPER;
use crate::server::Server;
use crate::stage::Stage;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Who {
    /// Without credentials.
    Anonymous,
    /// Edits another tenant's namespace.
    Outsider,
    /// May write jobs and use one operation.
    Submitter,
    /// May write jobs and use no operation.
    Useless,
    /// Owns the operations of the namespace, and may use one `ServiceAccount`.
    Owner,
    /// Has Kubernetes' own role `edit` in the namespace.
    Editor,
    /// Has everything in the namespace.
    Landlord,
    /// Works with SparkApplications and pods in the namespace, beside the keeper.
    SparkUser,
    /// Looks after clusters.
    PlatformAdmin,
    /// Has everything everywhere, by RBAC.
    ClusterAdmin,
    /// Is above RBAC.
    Master,
    /// The keeper, by a token of its `ServiceAccount`.
    Keeper,
    /// The spark-operator, by a token of its `ServiceAccount`.
    SparkOperator,
    /// A run's driver, by the token of its pod.
    Driver,
    /// The drivers' `ServiceAccount`, by a token that is no pod's.
    DriversAccount,
    /// A `ServiceAccount` that nothing was granted to.
    Stranger,
    GarbageCollector,
    NamespaceController,
    ReplicaSetController,
    Scheduler,
    Kubelet,
}

impl Who {
    pub(crate) const ALL: [Self; 21] = [
        Self::Anonymous,
        Self::Outsider,
        Self::Submitter,
        Self::Useless,
        Self::Owner,
        Self::Editor,
        Self::Landlord,
        Self::SparkUser,
        Self::PlatformAdmin,
        Self::ClusterAdmin,
        Self::Master,
        Self::Keeper,
        Self::SparkOperator,
        Self::Driver,
        Self::DriversAccount,
        Self::Stranger,
        Self::GarbageCollector,
        Self::NamespaceController,
        Self::ReplicaSetController,
        Self::Scheduler,
        Self::Kubelet,
    ];
}

/// What somebody is to the API server.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Anonymous,
    Master,
    Token { name: String, token: String },
    Impersonated { name: &'static str, groups: &'static [&'static str] },
}

/// All of them, with what they need to be recognised.
pub(crate) struct People {
    keeper: Identity,
    spark_operator: Identity,
    driver: Identity,
    drivers_account: Identity,
    stranger: Identity,
}

impl People {
    /// Binds everybody's roles and gets the tokens; the charts' own are there.
    pub(crate) async fn invite(server: &Server, stage: &Stage) -> Self {
        bind_users(server, stage).await;
        let (jobs, driver) = (&stage.jobs, Some(&stage.driver));
        Self {
            keeper: account(server, KEEPER, "slowlane", None).await,
            spark_operator: account(server, SPARK_OPERATOR, "spark-operator-controller", None).await,
            driver: account(server, jobs, "slowlane-driver", driver).await,
            drivers_account: account(server, jobs, "slowlane-driver", None).await,
            stranger: account(server, jobs, "stranger", None).await,
        }
    }

    pub(crate) fn identity(&self, who: Who) -> Identity {
        match who {
            Who::Anonymous => Identity::Anonymous,
            Who::Master => Identity::Master,
            Who::Keeper => self.keeper.clone(),
            Who::SparkOperator => self.spark_operator.clone(),
            Who::Driver => self.driver.clone(),
            Who::DriversAccount => self.drivers_account.clone(),
            Who::Stranger => self.stranger.clone(),
            Who::Kubelet => Identity::Impersonated { name: "system:node:node1", groups: &["system:nodes"] },
            other => Identity::Impersonated { name: user(other), groups: &[] },
        }
    }

    /// As RBAC calls somebody in a refusal.
    pub(crate) fn name(&self, who: Who) -> String {
        match self.identity(who) {
            Identity::Anonymous => "system:anonymous".into(),
            Identity::Master => "admin".into(),
            Identity::Token { name, .. } => name,
            Identity::Impersonated { name, .. } => name.into(),
        }
    }
}

/// The user name of those who are impersonated.
fn user(who: Who) -> &'static str {
    match who {
        Who::Outsider => "outsider",
        Who::Submitter => "submitter",
        Who::Useless => "useless",
        Who::Owner => "owner",
        Who::Editor => "editor",
        Who::Landlord => "landlord",
        Who::SparkUser => "spark-user",
        Who::PlatformAdmin => "platform-admin",
        Who::ClusterAdmin => "cluster-admin",
        Who::GarbageCollector => "system:serviceaccount:kube-system:generic-garbage-collector",
        Who::NamespaceController => "system:serviceaccount:kube-system:namespace-controller",
        Who::ReplicaSetController => "system:serviceaccount:kube-system:replicaset-controller",
        Who::Scheduler => "system:kube-scheduler",
        Who::Anonymous
        | Who::Master
        | Who::Keeper
        | Who::SparkOperator
        | Who::Driver
        | Who::DriversAccount
        | Who::Stranger
        | Who::Kubelet => unreachable!("{who:?} is not impersonated by name alone"),
    }
}

async fn account(server: &Server, namespace: &str, name: &str, pod: Option<&Value>) -> Identity {
    let token = server.token(namespace, name, pod).await;
    Identity::Token { name: format!("system:serviceaccount:{namespace}:{name}"), token }
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const WRITE: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

async fn bind_users(server: &Server, stage: &Stage) {
    let jobs = &stage.jobs;
    let parts = parts_of(server, "edit").await;
    for part in &parts {
        bind(server, &stage.other, Who::Outsider, "ClusterRole", part).await;
        bind(server, jobs, Who::Editor, "ClusterRole", part).await;
    }
    bind(server, jobs, Who::Owner, "ClusterRole", "slowlane-operation-owner").await;
    let write_jobs = rule("slowlane.dev", &["managedjobs"], &WRITE);
    let mut use_daily = rule("slowlane.dev", &["operations"], &["use"]);
    use_daily["resourceNames"] = json!(["daily"]);
    let mut use_reports = rule("", &["serviceaccounts"], &["use"]);
    use_reports["resourceNames"] = json!(["reports"]);
    let spark = rule("sparkoperator.k8s.io", &["sparkapplications", "scheduledsparkapplications"], &WRITE);
    let pods = rule("", &["pods", "pods/status"], &WRITE);
    let own = [
        (Who::Submitter, vec![write_jobs.clone(), use_daily]),
        (Who::Useless, vec![write_jobs]),
        (Who::Owner, vec![use_reports]),
        (Who::SparkUser, vec![spark, pods]),
        (Who::Landlord, vec![rule("*", &["*"], &["*"])]),
    ];
    for (who, rules) in own {
        let name = user(who);
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": name, "namespace": jobs}, "rules": rules});
        server.put(&Place::within(jobs, RBAC, "roles").at(name).path(), &role).await;
        bind(server, jobs, who, "Role", name).await;
    }
    for (who, role) in [(Who::PlatformAdmin, "slowlane-platform-admin"), (Who::ClusterAdmin, "cluster-admin")] {
        let name = format!("rights-{}", user(who));
        let binding = binding("ClusterRoleBinding", &name, who, "ClusterRole", role);
        server.put(&cluster_binding(&name), &binding).await;
    }
}

fn cluster_binding(name: &str) -> String {
    Place::everywhere(RBAC, "clusterrolebindings").at(name).path()
}

/// What was granted for all namespaces, to be taken away again.
pub(crate) fn cluster_bindings() -> [String; 2] {
    [Who::PlatformAdmin, Who::ClusterAdmin].map(|who| cluster_binding(&format!("rights-{}", user(who))))
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

fn binding(kind: &str, name: &str, who: Who, role_kind: &str, role: &str) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role_kind, "name": role},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user(who)}]})
}

async fn bind(server: &Server, namespace: &str, who: Who, role_kind: &str, role: &str) {
    let name = format!("{}-{}", user(who), role.replace(':', "-"));
    let path = Place::within(namespace, RBAC, "rolebindings").at(&name).path();
    server.put(&path, &binding("RoleBinding", &name, who, role_kind, role)).await;
}

/// The roles that a role is made of. A controller adds them up; where there is none, each is bound by itself.
async fn parts_of(server: &Server, role: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut open = vec![role.to_owned()];
    let roles = Place::everywhere(RBAC, "clusterroles");
    while let Some(name) = open.pop() {
        let role = server.get(&roles.at(&name).path()).await;
        let selectors = role["aggregationRule"]["clusterRoleSelectors"].as_array().cloned().unwrap_or_default();
        if selectors.is_empty() {
            parts.push(name);
            continue;
        }
        for (label, value) in selectors.iter().filter_map(|selector| selector["matchLabels"].as_object()).flatten() {
            let value = value.as_str().expect("a label is text");
            let path = format!("{}?labelSelector={}%3D{value}", roles.path(), label.replace('/', "%2F"));
            let found = server.get(&path).await["items"].as_array().cloned().unwrap_or_default();
            open.extend(found.iter().filter_map(|role| Some(role["metadata"]["name"].as_str()?.to_owned())));
        }
    }
    parts
}
