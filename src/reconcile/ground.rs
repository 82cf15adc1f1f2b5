//! Whether what is found is what the games of this database stand on: the Docker Engine, the state
//! root, and the database itself. If not, the whole controller touches nothing.

use crate::game::InstanceId;
use crate::game::controller::{
    Binding, ControllerSpec, Freeze, FreezeReason as Reason, Ground, Instance, MountView,
};

/// What was found, and who else is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What an operator would confirm.
    pub ground: Ground,
    /// Why the state root cannot be read, if so.
    pub unreadable: Option<String>,
    /// Another process works in the state root.
    pub locked_by_another: bool,
    /// The state root as Docker mounts it.
    pub mount: MountView,
    /// What became of the database's file, if it is no longer the one that is open.
    pub database_replaced: Option<String>,
}

/// What follows from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The reasons that nothing may be touched; empty if it may. The operators' own is not among them: see
    /// [`by_hand`].
    pub freezes: Vec<Freeze>,
    /// What is to be bound: at a first start, or because an operator confirmed it.
    pub bind: Option<Binding>,
}

const REBIND: &str = "If this is a deliberate move, confirm it with `gamekeeper rebind`.";

/// Compares what is found with what should be.
pub fn verdict(spec: &ControllerSpec, instance: &Instance, found: &Found) -> Verdict {
    let mut freezes = Vec::new();
    let mut bind = Binding::default();
    // A confirmation counts once, and only for what it names.
    let asked = spec.rebind_generation > instance.observed_rebind_generation;
    let confirmed = |named: bool| asked && named;

    // First of all: whoever reads one reason must read this one.
    if let Some(what) = &found.database_replaced {
        freezes.push(freeze(
            Reason::DatabaseReplaced,
            format!("The database file was replaced under the running process: {what}. What is written is refused, as it would be lost."),
            "Move the file back with its -wal and -shm, and it goes on by itself; or stop this process, put the right database in its place, and start it again.".into(),
        ));
        return Verdict { freezes, bind: None };
    }
    let kept = found.ground.high_water.filter(|_| found.ground.state_root == Some(own(instance.id)));
    if let Some(kept) = kept.filter(|kept| *kept > instance.high_water) {
        if confirmed(spec.rebind.high_water == Some(kept)) {
            bind.high_water = Some(kept);
        } else {
            freezes.push(freeze(
                Reason::DatabaseOlder,
                format!(
                    "The database is older than what happened since: it counts {}, the state root {kept}. It looks like a backup that was put back.",
                    instance.high_water
                ),
                "Put the newer database back. If this one shall be the truth, confirm it with `gamekeeper rebind`; what it does not know of is then listed by `gamekeeper adopt`.".into(),
            ));
        }
    }
    match (&instance.docker_engine_id, &found.ground.docker_engine_id) {
        (None, Some(id)) => bind.docker_engine_id = Some(id.clone()),
        (Some(expected), Some(id)) if expected != id => {
            if confirmed(spec.rebind.docker_engine_id.as_ref() == Some(id)) {
                bind.docker_engine_id = Some(id.clone());
            } else {
                freezes.push(freeze(
                    Reason::OtherDocker,
                    format!("The games run on Docker Engine {expected}, but {id} answers."),
                    format!("Point --docker-host at the right one. {REBIND}"),
                ));
            }
        }
        _ => {}
    }
    let named_root = confirmed(spec.rebind.state_root == found.ground.state_root);
    match state_root(instance, found) {
        StateRoot::Ours => bind.state_root = !instance.state_root_bound,
        StateRoot::Fresh => bind.state_root = true,
        // A confirmation makes another root ours; it mends none, and drives nobody out of it.
        StateRoot::Wrong(why) => match why.reason {
            Reason::StateRootMissing | Reason::StateRootOfAnother if named_root => bind.state_root = true,
            _ => freezes.push(why),
        },
    }
    freezes.extend(mounted_elsewhere(&found.mount));
    if asked && freezes.is_empty() {
        bind.rebind_generation = Some(spec.rebind_generation);
    }
    let bind = (bind != Binding::default()).then_some(bind);
    Verdict { freezes, bind }
}

/// The freeze of a state root that is not the one that Docker mounts. No confirmation lifts it: copies
/// and deletions would be of other directories than those that engines write to.
fn mounted_elsewhere(mount: &MountView) -> Option<Freeze> {
    let MountView::Other { on_host, here, sees } = mount else { return None };
    Some(freeze(
        Reason::OtherStateRootInDocker,
        format!(
            "Docker would not mount this state root into engines: it looks for it at {on_host}, where {sees}. Here it is {here}."
        ),
        format!(
            "Mount the right disk at {on_host} on Docker's host, and it goes on by itself; or start gamekeeper with --state-root-on-host set to the path that {here} has there."
        ),
    ))
}

/// The freeze that an operator asked for. It comes from what is wanted alone, and from no look at what is
/// there: such a look takes long, and what was wanted before it must not take the place of what is now.
pub fn by_hand(spec: &ControllerSpec) -> Option<Freeze> {
    let why = if spec.frozen_because.is_empty() { "no reason was given" } else { &spec.frozen_because };
    spec.frozen.then(|| {
        freeze(
            Reason::FrozenByHand,
            format!("An operator has frozen the controller: {why}."),
            "`gamekeeper unfreeze` lets it act again.".into(),
        )
    })
}

enum StateRoot {
    Ours,
    /// Nobody's, and this instance has none yet.
    Fresh,
    Wrong(Freeze),
}

fn state_root(instance: &Instance, found: &Found) -> StateRoot {
    if let Some(why) = &found.unreadable {
        return StateRoot::Wrong(freeze(
            Reason::StateRootUnreadable,
            format!("The state root cannot be read: {why}."),
            "Mend the disk, or its owner and mode; it is looked at again by itself.".into(),
        ));
    }
    match found.ground.state_root.as_deref() {
        Some(id) if id == own(instance.id) && found.locked_by_another => StateRoot::Wrong(freeze(
            Reason::StateRootInUse,
            "Another gamekeeper process works in the state root.".into(),
            "Stop that one; this one goes on by itself.".into(),
        )),
        Some(id) if id == own(instance.id) => StateRoot::Ours,
        None | Some("") if instance.state_root_bound => StateRoot::Wrong(freeze(
            Reason::StateRootMissing,
            "The state root is not the one with the games' states: it has no sentinel.".into(),
            format!("Mount its disk; it goes on by itself. {REBIND}"),
        )),
        None | Some("") => StateRoot::Fresh,
        Some(other) => StateRoot::Wrong(freeze(
            Reason::StateRootOfAnother,
            format!("The state root belongs to database {other}; this one is {}.", instance.id),
            format!("Point --database-url or --state-root at the right one. {REBIND}"),
        )),
    }
}

fn own(instance: InstanceId) -> String {
    instance.to_string()
}

fn freeze(reason: Reason, message: String, way_out: String) -> Freeze {
    Freeze { reason, message, way_out }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn instance() -> Instance {
        Instance {
            id: InstanceId(Uuid::from_u128(1)),
            docker_engine_id: Some("A".into()),
            state_root_bound: true,
            high_water: 10,
            observed_rebind_generation: 0,
        }
    }

    fn found() -> Found {
        Found {
            ground: Ground {
                docker_engine_id: Some("A".into()),
                state_root: Some(own(instance().id)),
                high_water: Some(10),
            },
            ..Found::default()
        }
    }

    fn elsewhere() -> MountView {
        MountView::Other { on_host: "/srv".into(), here: "/games".into(), sees: "nothing is".into() }
    }

    fn reasons(verdict: &Verdict) -> Vec<Reason> {
        verdict.freezes.iter().map(|freeze| freeze.reason).collect()
    }

    #[test]
    fn what_is_as_it_was_freezes_nothing() {
        assert_eq!(verdict(&ControllerSpec::default(), &instance(), &found()), Verdict::default());
    }

    #[test]
    fn a_database_that_was_replaced_freezes_and_binds_nothing() {
        let fresh = Instance { docker_engine_id: None, state_root_bound: false, ..instance() };
        let found = Found { database_replaced: Some("x.db is another file now".into()), ..found() };
        let verdict = verdict(&ControllerSpec::default(), &fresh, &found);
        assert_eq!((reasons(&verdict), verdict.bind), (vec![Reason::DatabaseReplaced], None));
    }

    #[test]
    fn a_first_start_binds_what_it_finds() {
        let fresh = Instance { docker_engine_id: None, state_root_bound: false, ..instance() };
        let empty =
            Found { ground: Ground { state_root: None, high_water: None, ..found().ground }, ..found() };
        let verdict = verdict(&ControllerSpec::default(), &fresh, &empty);
        let bind = Binding { docker_engine_id: Some("A".into()), state_root: true, ..Binding::default() };
        assert_eq!(verdict, Verdict { freezes: Vec::new(), bind: Some(bind) });
    }

    #[test]
    fn whatever_is_not_as_it_was_freezes_and_binds_nothing() {
        let spec = ControllerSpec::default();
        let with = |change: fn(&mut Found)| {
            let mut found = found();
            change(&mut found);
            let verdict = verdict(&spec, &instance(), &found);
            assert_eq!(verdict.bind, None, "{verdict:?}");
            reasons(&verdict)
        };
        assert_eq!(with(|found| found.ground.docker_engine_id = Some("B".into())), [Reason::OtherDocker]);
        assert_eq!(with(|found| found.ground.state_root = None), [Reason::StateRootMissing]);
        assert_eq!(with(|found| found.ground.state_root = Some("x".into())), [Reason::StateRootOfAnother]);
        assert_eq!(with(|found| found.unreadable = Some("EIO".into())), [Reason::StateRootUnreadable]);
        assert_eq!(with(|found| found.locked_by_another = true), [Reason::StateRootInUse]);
        assert_eq!(with(|found| found.ground.high_water = Some(11)), [Reason::DatabaseOlder]);
        assert_eq!(with(|found| found.mount = elsewhere()), [Reason::OtherStateRootInDocker]);
        // A silent Docker is no other one, and a database that is ahead has only not been noted yet.
        assert_eq!(with(|found| found.ground.docker_engine_id = None), []);
        assert_eq!(with(|found| found.ground.high_water = Some(9)), []);
        // A comparison that could not be made says nothing.
        assert_eq!(with(|found| found.mount = MountView::Unknown("no answer".into())), []);
    }

    #[test]
    fn a_confirmation_mends_no_disk_and_drives_nobody_out() {
        let spec = ControllerSpec { rebind_generation: 1, rebind: found().ground, ..Default::default() };
        for change in [
            |found: &mut Found| found.unreadable = Some("EROFS".into()),
            |found: &mut Found| found.locked_by_another = true,
            |found: &mut Found| found.mount = elsewhere(),
        ] {
            let mut found = found();
            change(&mut found);
            let verdict = verdict(&spec, &instance(), &found);
            assert_eq!((verdict.freezes.len(), verdict.bind), (1, None));
        }
    }

    #[test]
    fn a_confirmation_counts_once_and_only_for_what_it_names() {
        let mut found = found();
        found.ground.docker_engine_id = Some("B".into());
        found.ground.high_water = Some(99);
        let mut spec =
            ControllerSpec { rebind_generation: 1, rebind: found.ground.clone(), ..Default::default() };
        let confirmed = verdict(&spec, &instance(), &found);
        assert_eq!(reasons(&confirmed), []);
        let bind = confirmed.bind.unwrap();
        assert_eq!((bind.docker_engine_id.as_deref(), bind.high_water), (Some("B"), Some(99)));
        assert_eq!((bind.state_root, bind.rebind_generation), (false, Some(1)));

        let used = Instance { observed_rebind_generation: 1, ..instance() };
        assert_eq!(reasons(&verdict(&spec, &used, &found)), [Reason::DatabaseOlder, Reason::OtherDocker]);
        spec.rebind.docker_engine_id = Some("C".into());
        assert_eq!(reasons(&verdict(&spec, &instance(), &found)), [Reason::OtherDocker]);
    }
}
