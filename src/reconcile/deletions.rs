//! The guard against mass deletion: so many deletions at once that they are more likely a mistake.
//!
//! # Guarantees
//! - A deletion that was held stays held until an operator confirms it or it is withdrawn. The decision
//!   is kept in the game's record, so neither time nor a restart takes it back.
//! - A confirmation is kept in the same place: a clock that steps later does not undo it.
//! - Only games with state that are older than the window count and are held. Games that are made and
//!   deleted in ordinary work, and games that never ran, are neither.
//! - A deletion whose tear-down has begun is not held: its engine may be gone already.

use std::time::Duration;

use crate::game::record::DeletionGuard;

/// How many deletions within which time are taken for a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Deletions asked for within this time belong together; younger games are not protected.
    pub window: Duration,
    /// Percentage of the protected games that may go within the window.
    pub share: u32,
    /// Fewer deletions are never held.
    pub least: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { window: Duration::from_secs(600), share: 50, least: 5 }
    }
}

/// What the guard knows of one game.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is not to be deleted.
    Stays {
        /// It has state, and is older than the window.
        protected: bool,
    },
    /// It is to be deleted.
    Going {
        /// It had state, and was older than the window, when its deletion was first seen.
        protected: bool,
        /// What was decided earlier.
        guard: Option<DeletionGuard>,
        /// An operator has confirmed it since it was decided about.
        confirmed: bool,
        /// It may begin in the round that is under way.
        beginning: bool,
    },
    /// It is deleted.
    Gone {
        /// What was decided while it was going.
        guard: Option<DeletionGuard>,
        /// The time since its deletion was first seen.
        age: Duration,
    },
}

/// How many deletions were asked for, of how many protected games.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Unconfirmed deletions of protected games: those under way, and those done within the window.
    pub asked: usize,
    /// The protected games there were at the beginning of the window.
    pub known: usize,
}

impl Count {
    /// Counts all games.
    pub fn of(fates: impl Iterator<Item = Fate>, limits: &Limits) -> Self {
        let mut count = Self::default();
        for fate in fates {
            let (known, asked) = match fate {
                Fate::Stays { protected } => (protected, false),
                Fate::Going { .. } => match fate.decided() {
                    None => (false, false),
                    Some(DeletionGuard::Confirmed) => (true, false),
                    Some(DeletionGuard::Counted | DeletionGuard::Begun | DeletionGuard::Held) => (true, true),
                },
                Fate::Gone { guard, age } => {
                    let counted = matches!(guard, Some(DeletionGuard::Counted | DeletionGuard::Begun));
                    let counts = counted && age < limits.window;
                    (counts, counts)
                }
            };
            count.known += usize::from(known);
            count.asked += usize::from(asked);
        }
        count
    }

    /// Whether they are more than the limits let through.
    pub fn too_many(self, limits: &Limits) -> bool {
        let share = usize::try_from(limits.share).unwrap_or(usize::MAX);
        self.asked >= limits.least && self.asked.saturating_mul(100) > self.known.saturating_mul(share)
    }
}

impl Fate {
    /// The decision about this deletion, given whether the deletions are too many now. None: the guard
    /// is not about this game.
    pub fn guard(self, too_many: bool) -> Option<DeletionGuard> {
        match (self, self.decided()) {
            (Self::Going { beginning: false, .. }, Some(DeletionGuard::Counted)) if too_many => {
                Some(DeletionGuard::Held)
            }
            (Self::Gone { guard, .. }, _) => guard,
            (_, decided) => decided,
        }
    }

    /// The decision as it stands without looking at the other games.
    fn decided(self) -> Option<DeletionGuard> {
        match self {
            Self::Stays { .. } | Self::Gone { .. } => None,
            Self::Going { protected, guard, confirmed, .. } => match guard {
                Some(_) if confirmed => Some(DeletionGuard::Confirmed),
                Some(_) => guard,
                None => protected.then_some(DeletionGuard::Counted),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old() -> Fate {
        Fate::Stays { protected: true }
    }

    fn going(guard: Option<DeletionGuard>) -> Fate {
        Fate::Going { protected: true, guard, confirmed: false, beginning: false }
    }

    fn gone(seconds: u64) -> Fate {
        Fate::Gone { guard: Some(DeletionGuard::Counted), age: Duration::from_secs(seconds) }
    }

    fn too_many(fates: &[(usize, Fate)]) -> bool {
        let limits = Limits::default();
        let all = fates.iter().flat_map(|(times, fate)| std::iter::repeat_n(*fate, *times));
        Count::of(all, &limits).too_many(&limits)
    }

    #[test]
    fn more_than_half_and_at_least_five_are_too_many() {
        assert!(!too_many(&[(8, old()), (7, going(None))]));
        assert!(too_many(&[(7, old()), (8, going(None))]));
        assert!(!too_many(&[(4, going(None))]));
        assert!(too_many(&[(5, going(None))]));
    }

    #[test]
    fn one_after_the_other_counts_like_all_at_once() {
        assert!(too_many(&[(7, old()), (1, going(None)), (7, gone(599))]));
        assert!(!too_many(&[(7, old()), (1, going(None)), (7, gone(600))]), "they no longer belong together");
    }

    #[test]
    fn held_stays_held_when_the_finished_deletions_leave_the_window() {
        // Nine of twenty are gone, two more were held: an hour later these two are few, and still held.
        let held = going(Some(DeletionGuard::Held));
        assert!(!too_many(&[(9, old()), (2, held), (9, gone(3_600))]));
        assert_eq!(held.guard(false), Some(DeletionGuard::Held));
    }

    #[test]
    fn a_confirmation_is_kept_and_no_longer_counts() {
        let meant = Fate::Going {
            protected: true,
            guard: Some(DeletionGuard::Held),
            confirmed: true,
            beginning: false,
        };
        assert_eq!(meant.guard(true), Some(DeletionGuard::Confirmed));
        let later = going(Some(DeletionGuard::Confirmed));
        assert_eq!(later.guard(true), Some(DeletionGuard::Confirmed));
        assert!(!too_many(&[(3, old()), (10, later)]));
    }

    #[test]
    fn young_games_and_games_that_never_ran_are_neither_counted_nor_held() {
        let young = Fate::Going { protected: false, guard: None, confirmed: false, beginning: false };
        assert!(!too_many(&[(20, young)]));
        assert_eq!(young.guard(true), None);
        assert!(!too_many(&[(30, Fate::Stays { protected: false }), (4, going(None))]));
        assert!(too_many(&[(30, Fate::Stays { protected: false }), (5, going(None))]), "others add nothing");
    }

    #[test]
    fn a_tear_down_that_has_begun_is_not_held() {
        let beginning = Fate::Going {
            protected: true,
            guard: Some(DeletionGuard::Counted),
            confirmed: false,
            beginning: true,
        };
        assert_eq!(beginning.guard(true), Some(DeletionGuard::Counted));
        let begun = going(Some(DeletionGuard::Begun));
        assert_eq!(begun.guard(true), Some(DeletionGuard::Begun));
        assert!(too_many(&[(7, old()), (8, begun)]), "it goes on to count");
        assert_eq!(going(Some(DeletionGuard::Counted)).guard(true), Some(DeletionGuard::Held));
    }
}
