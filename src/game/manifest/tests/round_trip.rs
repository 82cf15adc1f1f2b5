use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::game::RaceName;
use crate::game::spec::{Contract, DeletionPolicy, DesiredStatus, ForceMode, MissedTurns, Relaxation};

fn texts() -> impl Strategy<Value = BTreeMap<String, String>> {
    // Values that YAML would read as something else, unquoted.
    let value = prop_oneof![
        "[a-zA-Z0-9]{1,8}",
        prop::sample::select(vec!["1.4", "007", "true", "null", "~", "yes", "0x10", "1e3", "", "-", "on"])
            .prop_map(str::to_owned)
            .prop_filter("no label", |text| !matches!(text.as_str(), "-" | "~")),
    ];
    prop::collection::btree_map("[a-z0-9]{1,8}(\\.[a-z]{1,3})?", value, 0..4)
}

fn metadata(name: impl Strategy<Value = String>) -> impl Strategy<Value = ObjectMeta> {
    let annotations = prop::collection::btree_map("[a-z]{1,8}", "\\PC{0,20}|[ \n\t:#'\"-]{0,6}", 0..3);
    (name, texts(), annotations).prop_map(|(name, labels, annotations)| ObjectMeta {
        name,
        labels,
        annotations,
        ..ObjectMeta::default()
    })
}

fn turns() -> impl Strategy<Value = TurnsManifest> {
    let zone = prop::sample::select(vec!["Europe/Berlin", "UTC", "America/New_York"]).prop_map(str::to_owned);
    let schedule = (0..60u8, 0..24u8).prop_map(|(minute, hour)| format!("{minute} {hour} * * *"));
    (
        prop::option::of(schedule),
        prop::option::of(zone),
        prop::sample::select(MissedTurns::ALL),
        prop::option::of(Just("2026-12-01T18:00:00Z".to_owned())),
        prop::sample::select(ForceMode::ALL),
    )
        .prop_map(|(schedule, time_zone, missed, not_before, force_mode)| TurnsManifest {
            schedule,
            time_zone,
            missed,
            not_before,
            force_mode,
        })
}

fn players() -> impl Strategy<Value = Vec<PlayerManifest>> {
    // A name of spaces alone is refused, as the database refuses it.
    let race_name = "[^\\p{C}]{1,20}".prop_filter("no race name", |name| name.parse::<RaceName>().is_ok());
    prop::collection::btree_map(any::<u128>(), race_name, 0..5).prop_map(|players| {
        let mut races = std::collections::BTreeSet::new();
        players
            .into_iter()
            .filter(|(_, race_name)| races.insert(race_name.clone()))
            .map(|(id, race_name)| PlayerManifest {
                user_id: uuid::Uuid::from_u128(id).to_string(),
                race_name,
            })
            .collect()
    })
}

fn resources() -> impl Strategy<Value = ResourcesManifest> {
    let cpu =
        prop_oneof![(10..9_999u32).prop_map(|m| format!("{m}m")), (1..64u32).prop_map(|n| n.to_string())];
    let memory = (6..9_999u32).prop_map(|m| format!("{m}Mi"));
    (prop::option::of(cpu), prop::option::of(memory), prop::option::of(1..4_096u64)).prop_map(
        |(cpu, memory, pids)| ResourcesManifest {
            cpu: cpu.map(Quantity),
            memory: memory.map(Quantity),
            pids,
        },
    )
}

prop_compose! {
    fn games()(
        metadata in metadata("[a-z][a-z0-9]{0,20}"),
        desired_status in prop::sample::select(DesiredStatus::ALL),
        (paused, stop_now, backup_before_turn) in any::<(bool, Option<bool>, bool)>(),
        display_name in prop::option::of("[^\\p{C}]{1,20}"),
        engine_version in prop::option::of("[0-9]\\.[1-9]\\.[1-9]"),
        turns in prop::option::of(turns()),
        players in prop::option::of(players()),
        resources in prop::option::of(resources()),
        deletion_policy in prop::sample::select(DeletionPolicy::ALL),
        counters in prop::array::uniform6(prop::option::of(0..i64::MAX)),
    ) -> Manifest {
        let spec = GameSpecManifest {
            paused, stop_now, backup_before_turn, display_name, engine_version, turns, players, resources, deletion_policy,
            restart_generation: counters[0],
            force_turn_generation: counters[1],
            patch_generation: counters[2],
            restore_generation: counters[3],
            unblock_generation: counters[4],
            backup_generation: counters[5],
            ..GameSpecManifest::new(desired_status)
        };
        Manifest::Game(Box::new(GameManifest::new(metadata, spec)))
    }
}

prop_compose! {
    fn versions()(
        metadata in metadata("[1-9]\\.[1-9]\\.[1-9]"),
        enabled in any::<bool>(),
        port in 1..=u16::MAX,
        contract in prop::sample::select(Contract::ALL),
        run_as in "auto|image|[1-9][0-9]{0,4}:[1-9][0-9]{0,4}",
        relaxations in prop::sample::subsequence(Relaxation::ALL, 0..=Relaxation::ALL.len()),
        resources in prop::option::of(resources()),
        resume_generation in prop::option::of(0..5_i64),
    ) -> Manifest {
        let spec = EngineVersionSpecManifest {
            enabled, port, contract, run_as, relaxations, resources, resume_generation,
            ..EngineVersionSpecManifest::new("a/b:1")
        };
        Manifest::EngineVersion(Box::new(EngineVersionManifest::new(metadata, spec)))
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(manifest in prop_oneof![games(), versions()]) {
        let yaml = to_yaml(&manifest).unwrap();
        let read = parse_documents("f", &yaml).map_err(|errors| TestCaseError::fail(format!("{errors}\n{yaml}")))?;
        prop_assert_eq!(&read[0].value, &manifest);

        let json = serde_json::to_string_pretty(&manifest).unwrap();
        let (read, dropped) = from_json(serde_json::from_str(&json).unwrap(), UnknownFields::Refuse).unwrap();
        prop_assert_eq!((&read, dropped), (&manifest, vec![]));
        prop_assert!(validate(&read).is_ok());
    }
}
