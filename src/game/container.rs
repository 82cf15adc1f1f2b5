//! A game's container as a runtime describes it.

use super::id::{ContainerId, GameId, ImageId, ImageRef, NetworkId};
use super::record::{AppliedSpec, Endpoints, Life};

/// A container that carries this instance's labels, or the name of one of its games.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Docker's id.
    pub id: ContainerId,
    /// Whose it is.
    pub owner: Owner,
    /// What it is doing.
    pub state: ContainerState,
    /// What it runs.
    pub image_id: ImageId,
    /// How its name and its mounts are others than those that its game's container is made with, in words;
    /// none if they are the same.
    pub unlike: Option<String>,
    /// The id of the network that its endpoint belongs to; none if it has lost it.
    pub network_id: Option<NetworkId>,
    /// Where its engine is reached; all empty unless running.
    pub endpoints: Endpoints,
    /// The address that the controller itself uses (`host:port`); none unless running.
    pub reachable_at: Option<String>,
    /// The epoch it was created in, from its label.
    pub epoch: Option<i64>,
    /// The declared inputs it was made from, from its label: what a lost record is made of again.
    pub applied: Option<AppliedSpec>,
    /// The admin token that it was created with.
    pub token: Option<EngineToken>,
}

/// The admin token of one container. Never logged.
#[derive(Clone)]
pub struct EngineToken(secrecy::SecretString);

impl EngineToken {
    /// Wraps a token.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The token, to be sent.
    pub fn reveal(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }
}

impl std::fmt::Debug for EngineToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("EngineToken(…)")
    }
}

impl PartialEq for EngineToken {
    fn eq(&self, other: &Self) -> bool {
        self.reveal() == other.reveal()
    }
}

impl Eq for EngineToken {}

/// Whose a container is, by its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This instance's, for this game.
    Game(GameId),
    /// Anything else: another instance's, a person's.
    Foreign,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, never started.
    Created,
    /// Its process lives.
    Running {
        /// Docker's `StartedAt`, compared for equality only.
        started_at: String,
    },
    /// Frozen or restarting by somebody else's hand: a process that is not proven dead.
    Unsettled {
        /// Docker's word for it.
        status: String,
    },
    /// Its process ended.
    Exited {
        /// Docker's `StartedAt`.
        started_at: String,
        /// Its exit code.
        code: i64,
        /// Docker says the kernel killed it for memory.
        out_of_memory: bool,
    },
    /// Being removed.
    Removing,
    /// Docker began to remove it and could not finish. It has no process, and stays until a removal succeeds.
    Dead,
}

/// Who else has a game's state directory, and may write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rival {
    /// A container that Docker does not say is dead, by its name.
    Container(String),
    /// A process that Docker's word does not cover.
    Process(HostProcess),
    /// Nobody else is known, and nobody can tell: a process of this container of the game's may be alive,
    /// whatever Docker says of it by now, and the host cannot be asked.
    Unseen {
        /// The container.
        container: ContainerId,
        /// The reason that the host cannot be asked.
        why: String,
    },
}

impl Rival {
    /// That it may be at work on the state, and what a person has to do about it.
    pub fn in_use(&self) -> String {
        match self {
            Self::Container(name) => format!(
                "Container {name}, and is not proven dead; two writers on one state would destroy it. Stop that container, or mount it read-only."
            ),
            Self::Process(process) => process.in_use(),
            Self::Unseen { container, why } => format!(
                "Docker said at a start of container {id} that a process of it may be alive, and processes of Docker's host are not seen from here ({why}). Nothing is removed or made beside it. See on Docker's host that no process of it is left, and remove it there (`docker rm {id}`); the game goes on by itself then.",
                id = container.short()
            ),
        }
    }
}

/// A process on the engine's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostProcess {
    /// Its number.
    pub pid: u32,
    /// What it is called.
    pub command: String,
    /// The container that it is in, by its control group.
    pub container: Option<ContainerId>,
    /// How many others are in the same place.
    pub others: usize,
}

impl HostProcess {
    /// That it has a game's state though Docker does not say so, and what is to be done about it.
    pub fn in_use(&self) -> String {
        format!(
            "Docker does not say that it runs, but {self} has the game's state directory mounted: it may be an engine that outlived Docker. Nothing is started or removed beside it. End it on Docker's host (`kill {}`); the game goes on by itself then.",
            self.pid
        )
    }
}

impl std::fmt::Display for HostProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} (`{}`", self.pid, self.command)?;
        if let Some(container) = &self.container {
            write!(f, ", in container {}", container.short())?;
        }
        match self.others {
            0 => f.write_str(")"),
            others => write!(f, ", and {others} more)"),
        }
    }
}

/// Which image a container is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSelector {
    /// What the reference points to now.
    Reference(ImageRef),
    /// What it pointed to when it was pinned.
    Pinned(ImageId),
}

/// Where the state directory of a game stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateDirectory {
    /// It is there, and the engine's own place in it is not empty: a game.
    WithGame,
    /// It is there, with something in it.
    Present,
    /// It is there, with nothing in it.
    Empty,
    /// It is not.
    Absent,
}

impl Container {
    /// Its present or last life, if it ever lived.
    pub fn life(&self) -> Option<Life> {
        match &self.state {
            ContainerState::Running { started_at } | ContainerState::Exited { started_at, .. } => {
                Some(Life { container: self.id.clone(), started_at: started_at.clone() })
            }
            ContainerState::Created
            | ContainerState::Unsettled { .. }
            | ContainerState::Removing
            | ContainerState::Dead => None,
        }
    }
}
