//! The Docker runtime against a real Docker and the reference engine's images.

#![allow(missing_docs, unreachable_pub)]

mod aliases;
mod copies;
#[path = "../support/cut_socket.rs"]
mod cut_socket;
mod directories;
mod events;
mod faults;
mod hardening;
mod lanes;
mod life;
#[path = "../support/meddler.rs"]
mod meddler;
mod mount_view;
mod world;
