//! Which request of Docker's API is meant, and what was asked so far.

use std::ops::Sub;

use http::{Method, Uri};

/// A request of the API, as far as tests tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    Info,
    Events,
    List,
    Inspect,
    Logs,
    Create,
    Start,
    Stop,
    Remove,
    InspectNetwork,
    CreateNetwork,
    InspectImage,
    Pull,
    Other,
}

impl Call {
    /// The path may begin with the API's version. What is asked to compare the state root with the one that
    /// Docker mounts is about no game, and is none of the others.
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        if path.contains("gamekeeper-state-root-")
            || query.contains("gamekeeper-state-root-")
            || query.contains("fromSrc=")
        {
            return Self::Other;
        }
        let mut parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if parts[0].starts_with('v') && parts[0][1..].starts_with(|digit: char| digit.is_ascii_digit()) {
            parts.remove(0);
        }
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["info"]) => Self::Info,
            ("GET", ["events"]) => Self::Events,
            ("GET", ["containers", "json"]) => Self::List,
            ("GET", ["containers", _, "json"]) => Self::Inspect,
            ("GET", ["containers", _, "logs"]) => Self::Logs,
            ("POST", ["containers", "create"]) => Self::Create,
            ("POST", ["containers", _, "start"]) => Self::Start,
            ("POST", ["containers", _, "stop"]) => Self::Stop,
            ("DELETE", ["containers", _]) => Self::Remove,
            ("GET", ["networks", _]) => Self::InspectNetwork,
            ("POST", ["networks", "create"]) => Self::CreateNetwork,
            // An image's name may have slashes.
            ("GET", ["images", .., "json"]) if parts.len() > 2 => Self::InspectImage,
            ("POST", ["images", "create"]) => Self::Pull,
            _ => Self::Other,
        }
    }

    /// Whether it changes what Docker has of containers and networks.
    pub fn changes(self) -> bool {
        matches!(self, Self::CreateNetwork | Self::Create | Self::Start | Self::Stop | Self::Remove)
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    pub call: Call,
    /// With its query, decoded.
    pub path: String,
    /// What Docker itself answered; none if it was not asked or has not answered.
    pub answered: Option<u16>,
}

/// How often Docker did what changes something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub networks: usize,
    pub creates: usize,
    pub starts: usize,
    pub stops: usize,
    pub removes: usize,
}

impl Counts {
    pub(super) fn of(asked: &[Asked]) -> Self {
        let of = |call| {
            let done = |asked: &&Asked| asked.call == call && asked.answered.is_some_and(|code| code < 400);
            asked.iter().filter(done).count()
        };
        Self {
            networks: of(Call::CreateNetwork),
            creates: of(Call::Create),
            starts: of(Call::Start),
            stops: of(Call::Stop),
            removes: of(Call::Remove),
        }
    }
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            networks: self.networks - before.networks,
            creates: self.creates - before.creates,
            starts: self.starts - before.starts,
            stops: self.stops - before.stops,
            removes: self.removes - before.removes,
        }
    }
}

/// `%7B` as `{`: what a request's query says, readable.
pub(super) fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
