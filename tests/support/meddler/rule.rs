//! Rules, and the traps that tell of them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::call::{Asked, Call};

/// The longest that a trap waits for its prey, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(90);

/// Which requests a rule is about.
#[derive(Debug, Clone)]
pub struct When {
    which: Which,
    text: Option<String>,
    nth: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Which {
    Call(Call),
    Change,
}

impl When {
    /// Every such request.
    pub fn call(call: Call) -> Self {
        Self { which: Which::Call(call), text: None, nth: None }
    }

    /// Every request that changes something.
    pub fn change() -> Self {
        Self { which: Which::Change, text: None, nth: None }
    }

    /// Only those with this in their path or query.
    pub fn about(self, text: &str) -> Self {
        Self { text: Some(text.to_owned()), ..self }
    }

    /// Only the first of them, counted from when the rule is set.
    pub fn first(self) -> Self {
        self.nth(1)
    }

    /// Only the nth of them, counted from when the rule is set.
    pub fn nth(self, nth: usize) -> Self {
        Self { nth: Some(nth), ..self }
    }

    fn matches(&self, asked: &Asked) -> bool {
        let which = match self.which {
            Which::Call(call) => asked.call == call,
            Which::Change => asked.call.changes(),
        };
        which && self.text.as_ref().is_none_or(|text| asked.path.contains(text))
    }
}

/// What is done with a request.
#[derive(Clone)]
pub enum Action {
    /// It passes; the trap counts it.
    Forward,
    /// It passes, so much later.
    Delay(Duration),
    /// Docker does not get it, and nobody answers, until [`Trap::let_go`].
    HoldBefore,
    /// Docker gets it and answers; the answer is not delivered until [`Trap::let_go`].
    HoldAfter,
    /// Docker does not get it; this is the answer.
    Respond(u16, Value),
    /// Docker does not get it; the answer is this page of somebody's.
    RespondPage(u16, &'static str),
    /// Docker gets it; this is delivered in the place of its answer.
    RespondAfter(u16, Value),
    /// Docker does not get it; the connection ends.
    DropBefore,
    /// Docker gets it and answers; the connection ends in the place of its answer.
    DropAfter,
    /// Docker's answer passes changed, if it is a success.
    Rewrite(Arc<dyn Fn(Value) -> Value + Send + Sync>),
}

impl Action {
    /// [`Action::Rewrite`], of a closure.
    pub fn rewrite(change: impl Fn(Value) -> Value + Send + Sync + 'static) -> Self {
        Self::Rewrite(Arc::new(change))
    }
}

/// A rule, and how many requests it was about so far.
pub(super) struct Rule {
    when: When,
    pub(super) action: Action,
    pub(super) trap: Arc<TrapState>,
    matched: usize,
}

pub(super) fn new(when: When, action: Action) -> (Rule, Trap) {
    let trap = Trap::new();
    (Rule { when, action, trap: trap.state(), matched: 0 }, trap)
}

impl Rule {
    /// Whether it acts on this request.
    pub(super) fn takes(&mut self, asked: &Asked) -> bool {
        if *self.trap.open.borrow() || !self.when.matches(asked) {
            return false;
        }
        self.matched += 1;
        self.when.nth.is_none_or(|nth| self.matched == nth)
    }
}

/// What a rule and its trap share.
pub(super) struct TrapState {
    times: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

impl TrapState {
    /// It has happened.
    pub(super) fn spring(&self) {
        self.times.send_modify(|times| *times += 1);
    }

    /// Until the test lets go.
    pub(super) async fn opened(&self) {
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }
}

/// Tells whether a rule has acted.
pub struct Trap(Arc<TrapState>);

impl Trap {
    pub(super) fn new() -> Self {
        Self(Arc::new(TrapState { times: watch::Sender::new(0), open: watch::Sender::new(false) }))
    }

    pub(super) fn state(&self) -> Arc<TrapState> {
        Arc::clone(&self.0)
    }

    /// How often the rule has acted. One that holds acts when it holds.
    pub fn times(&self) -> usize {
        *self.0.times.borrow()
    }

    /// Waits until the rule has acted.
    pub async fn sprung(&self) {
        self.sprung_times(1).await;
    }

    /// Waits until the rule has acted so often.
    pub async fn sprung_times(&self, wanted: usize) {
        let mut times = self.0.times.subscribe();
        let sprung = times.wait_for(|times| *times >= wanted);
        let in_time = tokio::time::timeout(DEADLINE, sprung).await;
        assert!(in_time.is_ok(), "a rule acted {} times, not {wanted}", self.times());
    }

    /// The rule acts no more, and what it holds goes on.
    pub fn let_go(&self) {
        self.0.open.send_replace(true);
    }
}
