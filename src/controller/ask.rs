//! Questions to the loop: what it would do, and why. Nothing is changed by asking.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::game::GameId;
use crate::game::spec::Desired;
use crate::reconcile::explain::{Explanation, Hindrance, explain_beside};

use super::Controller;
use super::entry::{Around, Entry};
use super::round::{Late, observe};

/// So many questions may wait; a question is a second's matter.
const WAITING: usize = 64;

/// A question.
#[derive(Debug)]
pub struct Question {
    /// The game.
    pub game: GameId,
    /// A desired state in the place of its row's; none: its row's.
    pub instead: Option<Box<Desired>>,
    /// The way back for the answer; dropped, it says that the game is not known.
    pub reply: oneshot::Sender<Explanation>,
}

/// The reason for no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The loop does not know the game (yet).
    #[error("the controller does not know this game yet; try again in a second")]
    UnknownGame,
    /// The controller is busy.
    #[error("the controller does not answer now; try again in a second")]
    NotNow,
    /// There is none in this process now.
    #[error("this gamekeeper does not lead now; ask the one that `gamekeeper leader` names")]
    StandsBy,
}

/// The end at which questions are asked. Its clones are the same.
#[derive(Debug, Clone)]
pub struct Asker(Arc<Mutex<mpsc::Sender<Question>>>);

/// The end at which the loop takes them.
#[derive(Debug)]
pub struct Questions(pub(super) mpsc::Receiver<Question>);

impl Questions {
    /// The next question; none when nobody can ask any more.
    pub async fn next(&mut self) -> Option<Question> {
        self.0.recv().await
    }
}

/// A pair of both.
pub fn questions() -> (Asker, Questions) {
    let (ask, asked) = mpsc::channel(WAITING);
    (Asker(Arc::new(Mutex::new(ask))), Questions(asked))
}

impl Asker {
    /// The steps that the controller would take for a game now.
    ///
    /// # Errors
    /// The game is unknown, or the controller does not answer.
    pub async fn explain(&self, game: GameId) -> Result<Explanation, NoAnswer> {
        self.ask(game, None).await
    }

    /// The steps that it would take if this were desired. The game need not exist.
    ///
    /// # Errors
    /// The controller does not answer.
    pub async fn forecast(&self, desired: Desired) -> Result<Explanation, NoAnswer> {
        self.ask(desired.id, Some(Box::new(desired))).await
    }

    /// The end at which another loop takes the questions from now on.
    pub fn to_another(&self) -> Questions {
        let (ask, asked) = mpsc::channel(WAITING);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ask;
        Questions(asked)
    }

    async fn ask(&self, game: GameId, instead: Option<Box<Desired>>) -> Result<Explanation, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let loop_ = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        loop_.try_send(Question { game, instead, reply }).map_err(|failed| match failed {
            TrySendError::Full(_) => NoAnswer::NotNow,
            TrySendError::Closed(_) => NoAnswer::StandsBy,
        })?;
        // The loop drops the question of a game that it does not know.
        answer.await.map_err(|_| NoAnswer::UnknownGame)
    }
}

impl Controller {
    /// The thing that keeps this controller from acting for a game, beside a freeze and a Docker that does not answer,
    /// which its plan knows of itself.
    fn hindrance(&self, entry: &Entry) -> Option<Hindrance> {
        let database = self.health.borrow().database_down.clone();
        if !self.context.leading.holds() {
            Some(Hindrance::NotLeading)
        } else if let Some(why) = database {
            Some(Hindrance::DatabaseUnreachable(why))
        } else if !self.guards.looked {
            Some(Hindrance::Starting)
        } else {
            entry.not_recorded().map(|why| Hindrance::NotRecorded(why.to_owned()))
        }
    }

    /// Answers from what is remembered, after looking again at what is stale.
    pub(super) fn explain(&mut self, question: Question) {
        let Question { game, instead, reply } = question;
        let around = Around {
            start_slot: self.places.starts.holds(game),
            disruption_place: self.places.disruptions.holds(game),
            copying: self.copies.get(&game).map(super::copies::words),
            failures: &self.failures,
            pulling: self.pulls.of(game),
            docker_down: self.docker_down.clone(),
            docker_engine_id: self.docker_known(),
            guards: &self.guards,
            clock: self.clock.clock(),
        };
        let new = Entry::unknown();
        let entry = self.games.get(&game).unwrap_or(&new);
        // Nobody knows the game: dropping the question says so.
        let Some(desired) = instead.map(|desired| Arc::from(*desired)).or(entry.desired()) else { return };
        let mut input = entry.input(desired, around);
        if input.late != Late::No {
            // A call that hangs for its own rounds hangs for a question, too.
            input.late = Late::Rests;
        }
        let hindrance = self.hindrance(entry);
        let context = self.context.clone();
        let mut reply = reply;
        self.workshop.tasks.spawn(async move {
            // Nobody looks on behalf of someone who no longer listens.
            let observed = tokio::select! {
                () = reply.closed() => false,
                observed = observe(&context, &context.questions, &mut input) => observed,
            };
            if !observed {
                return;
            }
            let observation = input.observation();
            // Whoever asked may have gone.
            let _ = reply.send(explain_beside(
                &input.desired,
                &input.record,
                &observation,
                &context.policy,
                hindrance,
            ));
        });
    }
}
