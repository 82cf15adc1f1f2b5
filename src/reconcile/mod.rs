//! From what should be and what is to the next steps.
//!
//! [`plan`](plan::plan) is a pure function; the modules beside it (`observed`, `step`, `backoff`,
//! `operations`, `conditions`, `schedule`, `turns`) are pure too: no I/O, no clock, no randomness, no
//! logging, no async. Only [`apply`] touches the world, and it decides nothing.

pub mod apply;
pub mod backoff;
pub mod conditions;
pub mod deletions;
pub mod explain;
pub mod forecast;
pub mod ground;
pub mod observed;
pub mod operations;
pub mod plan;
pub mod policy;
pub mod schedule;
pub mod step;
pub mod turns;
pub mod wait;

pub use observed::{
    Beside, EngineView, Failure, FailureClass, Fetching, Image, ImageUsers, Looked, NextImage, Observation,
    Pace, Pulling, Reached, Remains, RuntimeView, Seen, Work,
};
pub use plan::{Plan, plan};
pub use policy::{Policy, PullPolicy};
pub use step::{Planned, Step};
pub use wait::{EndedBy, Wait};
