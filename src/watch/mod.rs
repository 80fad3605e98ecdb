//! Events in: one watch for each kind, trimmed, checked, without repetitions, straight into the engine's inputs. Knows
//! how objects are read and that lists begin and end; decides nothing.

mod catalog;
mod expressions;
mod follow;
mod kinds;
mod object;
mod seen;

use kube::Client;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::command::Input;
use crate::observe::{Health, Metrics};

pub use catalog::Catalog;
pub use follow::SILENCE;
pub use kinds::PodView;
pub use object::{Object, View};

use expressions::Expressions;
use follow::{Follow, NobodyListens, Outlets, Translate};

/// A watch ended, which none ever should.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// It broke.
    #[error("a watch broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
    /// It has nobody to tell.
    #[error("a watch ended")]
    Ended,
}

/// Inputs that may wait; a watch that is ahead of the engine by more waits itself.
const INPUTS: usize = 4096;

/// All watches of one start. Dropping them ends them; what they had to say is dropped, too.
pub struct Watches {
    running: JoinSet<Result<(), NobodyListens>>,
    inputs: mpsc::Receiver<Input>,
}

impl Watches {
    /// Lists and watches every kind; `namespace` is the keeper's own.
    #[must_use]
    pub fn start(client: &Client, namespace: &str, health: Health, metrics: Metrics, catalog: Catalog) -> Self {
        let (sender, inputs) = mpsc::channel(INPUTS);
        let outlets = Outlets { inputs: sender, health, metrics };
        let mut running = JoinSet::new();
        let mut follow = Starter { running: &mut running, client, outlets: &outlets };
        follow.start(kinds::Namespaces);
        let expressions = Expressions::default();
        let jobs = kinds::Jobs::new(catalog.clone(), expressions.clone());
        follow.start(kinds::Clusters(catalog.clone(), expressions));
        follow.start(kinds::Operations(catalog));
        follow.start(jobs);
        follow.start(kinds::Applications);
        follow.start(kinds::Strangers);
        follow.start(kinds::Pods);
        follow.start(kinds::Placeholders { namespace: namespace.to_owned() });
        Self { running, inputs }
    }

    /// What the watches have to say, in batches; an error when one of them ended.
    ///
    /// # Errors
    /// When a watch ended: then none of them can be relied on.
    pub async fn next(&mut self, batch: &mut Vec<Input>, most: usize) -> Result<(), WatchError> {
        tokio::select! {
            biased;
            Some(ended) = self.running.join_next() => Err(match ended {
                Ok(_) => WatchError::Ended,
                Err(error) => error.into(),
            }),
            number = self.inputs.recv_many(batch, most) => if number == 0 { Err(WatchError::Ended) } else { Ok(()) },
        }
    }
}

struct Starter<'a> {
    running: &'a mut JoinSet<Result<(), NobodyListens>>,
    client: &'a Client,
    outlets: &'a Outlets,
}

impl Starter<'_> {
    fn start<T: Translate + Sync>(&mut self, translate: T) {
        self.running.spawn(Follow::new(translate, self.outlets.clone()).run(self.client.clone()));
    }
}
