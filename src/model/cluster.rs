//! A named share of Spark capacity, as far as deciding needs it.

use std::collections::BTreeMap;
use std::fmt;

use super::name::{Name, ObjectKey, Uid};
use super::resources::{ExecutorBounds, ExecutorChoice, PodSize, Resources};
use super::{Account, ClusterStatus, Hold, Outline, PodSizing, PoolRules, Priority, Warmth, Window};

/// A `ComputeCluster`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cluster {
    /// Its name.
    pub name: Name,
    /// Its UID.
    pub uid: Uid,
    /// `metadata.generation`.
    pub generation: i64,
    /// Its labels, by which jobs may select it.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Which namespaces may use it; `None` = none.
    pub selector: Option<Selector>,
    /// Runs that may be alive on it at once; `None` = no limit.
    pub max_jobs: Option<u32>,
    /// What each namespace may have of it.
    pub share: Share,
    /// Permits of the locks that hold for its runs alone.
    pub locks: BTreeMap<Name, u32>,
    /// Nothing starts while the fullest dimension is at this many percent or above; `None` = no such bound.
    pub admit_below: Option<u32>,
    /// Nothing starts while so many runs are granted and not yet taken up by the spark-operator; `None` = its pace alone decides.
    pub max_pending: Option<u32>,
    /// Who goes first.
    pub strategy: Strategy,
    /// What it holds. A dimension that nobody declared is unbounded.
    pub capacity: Resources,
    /// How its pool grows and shrinks; `None`: it has no size.
    pub pool: Option<PoolRules>,
    /// What is wrong with its pool's bounds, and what holds instead.
    pub pool_defect: Option<Box<str>>,
    /// What each executor of the pool is; `None`: they are counted only.
    pub unit: Option<PodSize>,
    /// Warm executors are held by placeholders.
    pub holds_placeholders: bool,
    /// Nothing starts on it while this is set.
    pub held: bool,
    /// Who set it, where that is known.
    pub hold: Option<Hold>,
    /// Its windows.
    pub windows: Vec<Window>,
    /// Whom it accepts: jobs to which any of these applies; none: every job.
    pub accept: Vec<Accept>,
    /// Runs that it does not accept any more are ended, and their jobs queue again.
    pub cancels_at_window_end: bool,
    /// What its template forces on every application.
    pub template: Outline,
    /// Sizes that jobs may pick by their names.
    pub sizes: BTreeMap<Name, Size>,
    /// What is wrong with it so that nothing can be placed on it.
    pub defect: Option<Box<str>>,
    /// The status as it stands in the API, to compare before writing.
    pub published: Option<ClusterStatus>,
    /// Its account as it stands in the API.
    pub account: Account,
    /// What its placeholders took, as it stands there.
    pub warmth: Option<Warmth>,
}

/// Without bounds, and for nobody yet.
impl Default for Cluster {
    fn default() -> Self {
        Self {
            name: Name::default(),
            uid: Uid::from(""),
            generation: 0,
            labels: BTreeMap::new(),
            selector: None,
            max_jobs: None,
            share: Share::default(),
            locks: BTreeMap::new(),
            admit_below: None,
            max_pending: None,
            strategy: Strategy::default(),
            capacity: Resources::UNBOUNDED,
            pool: None,
            pool_defect: None,
            unit: None,
            holds_placeholders: false,
            held: false,
            hold: None,
            windows: Vec::new(),
            accept: Vec::new(),
            cancels_at_window_end: false,
            template: Outline::default(),
            sizes: BTreeMap::new(),
            defect: None,
            published: None,
            account: Account::default(),
            warmth: None,
        }
    }
}

impl Cluster {
    /// Whether `labels` are those of a namespace that may use this cluster.
    #[must_use]
    pub fn admits(&self, labels: &BTreeMap<Box<str>, Box<str>>) -> bool {
        self.selector.as_ref().is_some_and(|selector| selector.matches(labels))
    }

    /// How many executors a job has here at least and at most; `None` where it wants a size that is not declared.
    #[must_use]
    pub fn bounds(&self, executors: &ExecutorChoice) -> Option<ExecutorBounds> {
        match executors {
            ExecutorChoice::Bounds(bounds) => Some(*bounds),
            ExecutorChoice::Size(name) => self.sizes.get(name).map(|size| size.bounds),
        }
    }

    /// What an application is here: the size that its job wants lies over the template, and that over what the operation says.
    #[must_use]
    pub fn outline(&self, executors: &ExecutorChoice, application: Outline) -> Outline {
        let whole = self.template.over(application);
        match executors {
            ExecutorChoice::Bounds(_) => whole,
            ExecutorChoice::Size(name) => self.sizes.get(name).map_or(whole, |size| size.outline().over(whole)),
        }
    }

    /// Whether it takes jobs as another does: what is left is a matter of its present state.
    #[must_use]
    pub fn takes_as(&self, other: &Self) -> bool {
        let of =
            |it: &Self| (it.capacity, it.template, it.defect.is_some(), it.share, it.strategy == Strategy::StrictFifo);
        of(self) == of(other)
            && self.locks == other.locks
            && self.sizes == other.sizes
            && self.selector == other.selector
            && self.accept == other.accept
            && self.labels == other.labels
    }
}

/// What a cluster gives jobs that pick it by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Size {
    /// How many executors.
    pub bounds: ExecutorBounds,
    /// What it says of the driver pod.
    pub driver: PodSizing,
    /// What it says of each executor pod.
    pub executor: PodSizing,
}

impl Size {
    fn outline(self) -> Outline {
        let Self { driver, executor, .. } = self;
        Outline { driver, executor, ..Outline::default() }
    }
}

/// What one namespace may have of a cluster at once; `None` = no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Share {
    /// Runs.
    pub max_jobs: Option<u32>,
    /// Executors of all of its runs.
    pub max_executors: Option<u64>,
}

impl Share {
    /// Whether it bounds anything.
    #[must_use]
    pub fn is_bounded(self) -> bool {
        self.max_jobs.is_some() || self.max_executors.is_some()
    }

    /// Whether one run with this many executors is within it.
    #[must_use]
    pub fn holds(self, executors: u64) -> bool {
        self.max_jobs != Some(0) && self.max_executors.is_none_or(|most| executors <= most)
    }
}

/// Who goes first where not all fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Strategy {
    /// The first in rank that fits; one that does not is passed over, and has a reservation once it has waited for
    /// the bound.
    #[default]
    PriorityFifo,
    /// The first in rank; nobody passes it.
    StrictFifo,
    /// The first in rank that fits; one that does not has a reservation at once, which nobody who passes it delays.
    Backfill,
}

/// Jobs that a cluster accepts: those to which all of it applies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Accept {
    /// While one of these windows is open, by their place among the cluster's; none: at any time.
    pub during: Box<[usize]>,
    /// While none of these is open.
    pub outside: Box<[usize]>,
    /// Of these classes; none: of any.
    pub priorities: Box<[Priority]>,
    /// Of these operations, by name and, where it is said, by namespace; none: of any.
    pub operations: Box<[(Option<Name>, Name)]>,
    /// Of which this expression holds; `None`: whatever they are.
    pub when: Option<Box<str>>,
}

impl Accept {
    /// Whether it applies to jobs of an operation and a class, at its time; `holds` answers its expression.
    #[must_use]
    pub fn may_apply(&self, operation: &ObjectKey, class: Priority, holds: impl Fn(&str) -> bool) -> bool {
        let is_named = |(namespace, name): &(Option<Name>, Name)| {
            *name == operation.name && namespace.as_ref().is_none_or(|namespace| *namespace == operation.namespace)
        };
        (self.priorities.is_empty() || self.priorities.contains(&class))
            && (self.operations.is_empty() || self.operations.iter().any(is_named))
            && self.when.as_deref().is_none_or(holds)
    }

    /// Whether it is its time, with these windows open.
    #[must_use]
    pub fn applies_now(&self, is_open: impl Fn(usize) -> bool) -> bool {
        (self.during.is_empty() || self.during.iter().any(|window| is_open(*window)))
            && !self.outside.iter().any(|window| is_open(*window))
    }
}

/// Which clusters a job may go to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClusterChoice {
    /// The one of this name.
    Named(Name),
    /// Those whose labels match.
    Selected(Selector),
}

impl ClusterChoice {
    /// Whether it takes in a cluster of this name with these labels.
    #[must_use]
    pub fn includes(&self, name: &str, labels: &BTreeMap<Box<str>, Box<str>>) -> bool {
        match self {
            Self::Named(wanted) => **wanted == *name,
            Self::Selected(selector) => selector.matches(labels),
        }
    }

    /// The name, if it is one.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        match self {
            Self::Named(name) => Some(name),
            Self::Selected(_) => None,
        }
    }
}

/// A label selector. Empty: everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Selector {
    /// All must hold.
    pub requirements: Vec<Requirement>,
}

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    /// Label key.
    pub key: Box<str>,
    /// How the values are compared.
    pub operator: RequirementOperator,
    /// The values; empty for `Exists` and `DoesNotExist`.
    pub values: Vec<Box<str>>,
}

/// Kubernetes' selector operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequirementOperator {
    /// The label has one of the values.
    In,
    /// The label is missing or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is missing.
    DoesNotExist,
}

impl Selector {
    /// Whether the labels satisfy every requirement.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<Box<str>, Box<str>>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            match requirement.operator {
                RequirementOperator::In => value.is_some_and(|value| requirement.values.contains(value)),
                RequirementOperator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
                RequirementOperator::Exists => value.is_some(),
                RequirementOperator::DoesNotExist => value.is_none(),
            }
        })
    }
}

/// As `kubectl --selector` takes it: `tier=night,env in (a,b)`.
impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, it) in self.requirements.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            let (key, values) = (&it.key, it.values.join(","));
            match it.operator {
                RequirementOperator::In if it.values.len() == 1 => write!(f, "{comma}{key}={values}")?,
                RequirementOperator::In => write!(f, "{comma}{key} in ({values})")?,
                RequirementOperator::NotIn => write!(f, "{comma}{key} notin ({values})")?,
                RequirementOperator::Exists => write!(f, "{comma}{key}")?,
                RequirementOperator::DoesNotExist => write!(f, "{comma}!{key}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<Box<str>, Box<str>> {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn requirement(operator: RequirementOperator, values: &[&str]) -> Selector {
        let values = values.iter().map(|value| (*value).into()).collect();
        Selector { requirements: vec![Requirement { key: "team".into(), operator, values }] }
    }

    #[test]
    fn selectors_match_as_kubernetes_does() {
        use RequirementOperator::{DoesNotExist, Exists, In, NotIn};
        let data = labels(&[("team", "data")]);
        let bare = labels(&[]);
        for (selector, on_data, on_bare) in [
            (Selector::default(), true, true),
            (requirement(In, &["data", "web"]), true, false),
            (requirement(NotIn, &["data"]), false, true),
            (requirement(Exists, &[]), true, false),
            (requirement(DoesNotExist, &[]), false, true),
        ] {
            assert_eq!((selector.matches(&data), selector.matches(&bare)), (on_data, on_bare), "{selector:?}");
        }
    }

    #[test]
    fn a_selector_is_shown_as_kubectl_takes_it() {
        use RequirementOperator::{DoesNotExist, Exists, In, NotIn};
        let all = [(In, &["a"][..]), (In, &["a", "b"]), (NotIn, &["c"]), (Exists, &[]), (DoesNotExist, &[])];
        let requirements = all.iter().flat_map(|(operator, values)| requirement(*operator, values).requirements);
        let shown = Selector { requirements: requirements.collect() }.to_string();
        assert_eq!(shown, "team=a,team in (a,b),team notin (c),team,!team");
    }
}
