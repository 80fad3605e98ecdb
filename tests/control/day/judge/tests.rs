//! The judge of a day is shown what may not be.

use serde_json::json;

use super::*;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A judge and a clock: what is shown comes so long after what was shown before.
struct Scene {
    judge: Judge,
    now: Instant,
    generation: i64,
    max: u64,
    desired: u64,
}

impl Scene {
    /// Of two to ten units, six are desired.
    fn new() -> Self {
        let (namespace, cluster) = ("jobs".to_owned(), "business".to_owned());
        let declared = Declared { namespace, cluster, stabilization: seconds(2.0) };
        let judge = Judge::new(declared, Released::default());
        let mut scene = Self { judge, now: Instant::now(), generation: 1, max: 10, desired: 6 };
        scene.cluster();
        scene
    }

    fn cluster(&mut self) {
        let object = object(
            "business",
            json!({"generation": self.generation}),
            json!({
                "spec": {"executors": {"min": 2, "max": self.max}},
                "status": {"observedGeneration": self.generation, "executors": {"desired": self.desired}},
            }),
        );
        self.judge.cluster(&object, self.now);
    }

    fn after(&mut self, passed: f64) -> &mut Self {
        self.now += seconds(passed);
        self
    }

    fn desires(&mut self, desired: u64) -> &mut Self {
        self.desired = desired;
        self.cluster();
        self
    }

    /// Somebody edits it, and it follows at once.
    fn edited(&mut self, max: u64, desired: u64) -> &mut Self {
        (self.generation, self.max) = (self.generation + 1, max);
        self.desires(desired)
    }

    /// A driver and two executors, a core and a GiB each.
    fn application(&mut self, name: &str, state: &str) -> &mut Self {
        let pod = json!({"coreRequest": "1000m", "memory": "640m", "memoryOverhead": "384m", "instances": 2});
        let status = json!({"applicationState": {"state": state}});
        let content = json!({"spec": {"driver": pod, "executor": pod}, "status": status});
        self.judge.application(&object(name, json!({}), content), self.now);
        self
    }

    fn pod(&mut self, name: &str, metadata: Value, content: Value) -> &mut Self {
        self.judge.pod(&object(name, metadata, content), self.now);
        self
    }

    fn placeholder(&mut self, name: &str) -> &mut Self {
        self.pod(name, json!({}), json!({"spec": {"priorityClassName": "slowlane-placeholder"}}))
    }

    #[track_caller]
    fn has_found(&self, words: &[&str]) {
        let found = &self.judge.violations;
        assert_eq!(found.len(), words.len(), "{found:?}");
        assert!(found.iter().zip(words).all(|(found, words)| found.contains(words)), "{found:?}");
    }
}

/// Its UID is its name.
fn object(name: &str, metadata: Value, content: Value) -> DynamicObject {
    let (mut object, mut metadata) = (content, metadata);
    (metadata["name"], metadata["uid"], metadata["namespace"]) = (json!(name), json!(name), json!("jobs"));
    object["metadata"] = metadata;
    serde_json::from_value(object).expect("an object")
}

fn leaving() -> Value {
    json!({"deletionTimestamp": "2026-03-04T12:00:00Z"})
}

fn of_role(role: &str) -> Value {
    json!({"labels": {"spark-role": role}})
}

#[test]
fn no_more_is_granted_than_max_and_what_was_max_just_now_still_is() {
    let mut scene = Scene::new();
    scene.application("1", "").application("2", "").application("3", "");
    scene.has_found(&[]);
    scene.application("2", "COMPLETED").application("4", "").application("4", "RUNNING");
    scene.has_found(&[]);
    scene.application("5", "").has_found(&["12 units are granted with 5, 10 are allowed"]);
    let mut scene = Scene::new();
    scene.application("1", "").application("2", "").after(9.0).edited(4, 4).after(0.5).application("3", "");
    scene.has_found(&[]);
    scene.application("3", "COMPLETED").after(1.0).application("4", "");
    scene.has_found(&["9 units are granted with 4, 4 are allowed"]);
}

#[test]
fn it_is_within_its_bounds_and_shrinks_a_window_after_its_last_change_or_two_after_it_grew() {
    Scene::new().desires(11).has_found(&["11 are desired"]);
    Scene::new().edited(4, 5).has_found(&["5 are desired"]);
    let mut forgetful = Scene::new();
    forgetful.judge.cluster(&object("business", json!({"generation": 1}), json!({})), forgetful.now);
    forgetful.has_found(&["it is said no more how many are desired"]);
    let shrinks = |passed: f64| {
        let mut scene = Scene::new();
        scene.after(9.0).desires(8).after(passed).desires(6);
        scene
    };
    shrinks(3.1).has_found(&[]);
    shrinks(2.9).has_found(&["it shrank from 8 to 6 2.9s after its last change"]);
    let mut scene = shrinks(9.0);
    scene.after(1.1).desires(5).has_found(&[]);
    scene.after(0.9).desires(4).has_found(&["it shrank from 5 to 4 900.0ms after its last change"]);
    let mut edited = shrinks(9.0);
    edited.after(0.1).desires(7).after(0.1).edited(4, 4).has_found(&[]);
}

#[test]
fn while_one_keeper_takes_over_from_another_it_changes_once() {
    let dies = || {
        let mut scene = Scene::new();
        let now = scene.after(9.0).now;
        scene.judge.keeper_died(now);
        scene.after(4.0);
        scene
    };
    let again = "it changed twice while one keeper took over from another, to 8";
    dies().desires(7).after(9.0).desires(8).has_found(&[again]);
    dies().application("1", "").desires(7).after(1.9).desires(8).has_found(&[again]);
    dies().application("1", "").desires(7).after(2.1).desires(8).has_found(&[]);
}

#[test]
fn executors_go_when_they_were_released_drivers_when_they_have_ended_and_placeholders_at_any_time() {
    let gone = |role: &str, status: Value, of: &str| {
        let mut scene = Scene::new();
        scene.judge.released.add("released".to_owned());
        let object = object(of, of_role(role), json!({"status": status}));
        scene.judge.pod(&object, scene.now);
        scene.has_found(&[]);
        scene.judge.pod_gone(&object, scene.now);
        scene
    };
    gone("executor", json!({"phase": "Running"}), "released").has_found(&[]);
    gone("executor", json!({"phase": "Running"}), "busy").has_found(&["busy was lost"]);
    gone("driver", json!({"phase": "Succeeded"}), "driver").has_found(&[]);
    gone("driver", json!({"phase": "Running"}), "driver").has_found(&["driver was lost"]);
    let mut scene = Scene::new();
    let mut metadata = of_role("executor");
    metadata["deletionTimestamp"] = leaving()["deletionTimestamp"].clone();
    scene.pod("busy", metadata, json!({})).has_found(&["busy was lost"]);
    let condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"});
    let status = json!({"conditions": [condition]});
    let mut scene = Scene::new();
    scene.pod("1", leaving(), json!({"spec": {"priorityClassName": "slowlane-placeholder"}, "status": status}));
    scene.has_found(&[]);
    assert_eq!((scene.judge.displaced(), scene.judge.held()), (1, 0));
    scene.pod("2", of_role("executor"), json!({"status": status})).has_found(&["2 had to go: Preemption"]);
}

#[test]
fn placeholders_have_room_beside_what_is_granted() {
    let mut scene = Scene::new();
    scene.edited(4, 4).after(9.0).placeholder("1").application("1", "").placeholder("2");
    scene.after(0.9).application("1", "RUNNING").has_found(&[]);
    scene.after(0.2).application("1", "RUNNING");
    scene.has_found(&["2 placeholders are there where 1 have room"]);
}

#[test]
fn no_job_ends_but_well_and_no_application_before_it_has_ended() {
    let mut scene = Scene::new();
    scene.judge.job(&object("1", json!({}), json!({"status": {"state": "Succeeded"}})));
    scene.judge.job(&object("2", json!({}), json!({"status": {"state": "Failed"}})));
    scene.application("3", "COMPLETED").application("4", "RUNNING");
    ["3", "4"].iter().for_each(|name| scene.judge.application_gone(&object(name, json!({}), json!({}))));
    scene.application("5", "FAILED");
    scene.has_found(&["2 is Failed", "4 went before it had ended", "5 failed"]);
    assert_eq!(scene.judge.succeeded(), 1);
}
