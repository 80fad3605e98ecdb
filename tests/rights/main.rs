//! Who is refused, and by whom: requests of every kind of identity against a real API server that has the chart's own
//! roles and policies, and the spark-operator's roles from its own chart.
//!
//! Needs etcd and a kube-apiserver, found by `KUBECONFIG`, and `helm`. Every request is a dry run, so the rows do not
//! depend on each other; a refusal counts only with the code, the author and the words that it should have.

#[path = "../harness/answer.rs"]
mod answer;
mod ask;
mod chart;
#[path = "../harness/chart.rs"]
mod helm;
#[path = "../harness/install.rs"]
mod install;
mod people;
mod rows;
mod server;
#[path = "../harness/spark.rs"]
mod spark;
mod stage;

use std::collections::BTreeSet;

use ask::{Expected, Row};
use people::{People, Who};
use server::Server;
use stage::Stage;

#[tokio::test]
async fn everybody_may_do_what_is_theirs_and_nothing_else() {
    let server = Server::connect().await;
    let stage = Stage::build(&server).await;
    let people = People::invite(&server, &stage).await;
    let rows = rows::all(&stage);
    ask::until_roles_hold(&server, &people, &rows).await;
    chart::withdraw_policies(&server, &people, &rows).await;
    chart::enforce_policies(&server, &people, &rows).await;
    let mut wrong = Vec::new();
    for row in &rows {
        let answer = server.ask(&people, row).await;
        wrong.extend(row.fault(&people, &answer).map(|fault| format!("- {:?}: {}: {fault}", row.who, row.title)));
    }
    stage.clear(&server).await;
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    let (refused, allowed) = counts(&rows);
    println!("{refused} requests were refused, {allowed} were let pass");
}

fn counts(rows: &[Row]) -> (usize, usize) {
    let allowed = rows.iter().filter(|row| matches!(row.expected, Expected::Allowed)).count();
    (rows.len() - allowed, allowed)
}

#[test]
fn the_table_is_long_and_has_everybody_in_it() {
    let rows = rows::all(&Stage::imagined());
    let (refused, allowed) = counts(&rows);
    assert!(refused >= 60 && allowed >= 30, "{refused} refused, {allowed} allowed");
    let asked: BTreeSet<_> = rows.iter().map(|row| row.who).collect();
    assert_eq!(asked, Who::ALL.into_iter().collect());
    let mut titles = BTreeSet::new();
    for row in &rows {
        assert!(titles.insert((row.who, row.title)), "{:?} {} stands there twice", row.who, row.title);
    }
}

#[test]
fn every_rule_of_every_policy_refuses_somebody() {
    let rows = rows::all(&Stage::imagined());
    let said = |policy: &str, rule: &str| {
        let mut words = rows.iter().flat_map(|row| match row.expected {
            Expected::ByPolicy(name, words) if name == policy => words,
            _ => &[],
        });
        words.any(|words| words.len() > 12 && rule.contains(words))
    };
    for policy in chart::policies("anywhere") {
        let name = policy["metadata"]["name"].as_str().expect("it has a name");
        for rule in policy["spec"]["validations"].as_array().expect("it has rules") {
            let words = chart::fixed_words(rule);
            assert!(said(name, &words), "{name}: no row is refused with {words:?}");
        }
    }
}
