//! Commands about turns and players, against the real API.

use std::time::Duration;

use gamekeeper::game::operation::{Ending, NewOperation, OperationKind};
use gamekeeper::game::player::{Mapping, Standing};
use gamekeeper::game::record::Life;
use gamekeeper::game::spec::Source;
use gamekeeper::game::turn::{DecidedSlot, LedgerEntry, OpenTurn, TurnCause, TurnEnd, TurnState};
use gamekeeper::game::{ConditionStatus, ContainerId, OperationId, Phase, RaceName};
use gamekeeper::store::Recording;
use serde_json::{Value, json};

use crate::world::{GAME, World};

async fn spec(world: &World, name: &str) -> Value {
    let json = world.run(&["get", name, "-o", "json"]).await.ok();
    serde_json::from_str::<Value>(&json).unwrap()["spec"].clone()
}

async fn seen(world: &World) -> Recording {
    world.recording("andromeda", Phase::Running, ConditionStatus::True).await
}

/// A turn as the controller has it in the ledger.
fn turn(number: i64, cause: TurnCause, end: Option<TurnEnd>) -> LedgerEntry {
    let now = jiff::Timestamp::now();
    let life = Life { container: ContainerId::new("c1"), started_at: "t".into() };
    let slot = (cause == TurnCause::Schedule).then_some(now);
    let state = TurnState::Dispatched { life, at: now, deadline: now };
    LedgerEntry { turn: OpenTurn { number, cause, slot, attempts: 1, opened_at: now, state }, end }
}

/// So long for a command to look, between two changes that it is to see.
async fn later() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn games_are_paused_and_resumed_by_name_by_label_and_all() {
    let world = World::applied().await;
    let orion = world.files.file("orion.yaml", &GAME.replace("andromeda", "orion").replace("\"7\"", "\"8\""));
    world.run(&["apply", "-f", &orion]).await.ok();
    let tried = world.run(&["pause", "--all", "--dry-run"]).await.ok();
    assert!(tried.lines().count() == 2 && tried.lines().all(|line| line.ends_with("(dry run)")), "{tried}");
    assert_eq!(spec(&world, "orion").await["paused"], false);
    let told = world.run(&["pause", "-l", "season=8"]).await.ok();
    assert!(told.starts_with("game/orion pause requested (generation "), "{told}");
    assert_eq!(
        (&spec(&world, "orion").await["paused"], &spec(&world, "andromeda").await["paused"]),
        (&json!(true), &json!(false))
    );
    let told = world.run(&["pause", "--all", "-A"]).await.ok();
    assert!(
        told.contains("game/andromeda pause requested") && told.contains("game/orion unchanged"),
        "{told}"
    );
    assert_eq!(world.run(&["resume", "orion", "game/orion", "-o", "name"]).await.ok(), "game/orion\n");
    assert_eq!(spec(&world, "orion").await["paused"], false);
    let none = world.run(&["pause", "-l", "season=9"]).await;
    assert_eq!((none.code, none.stderr.as_str()), (0, "no games found\n"), "{none:?}");
    for wrong in [&["pause"][..], &["pause", "orion", "--all"], &["pause", "orion", "--dry-run", "--wait"]] {
        assert_eq!(world.run(wrong).await.code, 2, "{wrong:?}");
    }
    world.run(&["pause", "nobody"]).await.failed(3);
    let stopped = world.run(&["stop", "-l", "season=8"]).await.ok();
    assert!(stopped.starts_with("game/orion stop requested"), "{stopped}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_waited_for_until_it_is_acknowledged() {
    let world = World::applied().await;
    world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    let late = world.run(&["pause", "andromeda", "--wait", "--timeout", "300ms"]).await;
    assert!(late.code == 5 && late.stderr.contains("waiting for the pause to be acknowledged"), "{late:?}");
    // Seen, with a turn still in flight.
    world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    let (ran, ()) = tokio::join!(world.run(&["pause", "andromeda", "--wait", "--timeout", "30s"]), async {
        world.asked("andromeda", "paused", true).await;
        let mut acknowledged = seen(&world).await;
        acknowledged.record.paused_at = Some(jiff::Timestamp::now());
        world.written(acknowledged).await;
    });
    assert!(ran.ok().ends_with("game/andromeda condition met\n"));
    let (ran, ()) = tokio::join!(world.run(&["resume", "andromeda", "--wait", "--timeout", "30s"]), async {
        world.asked("andromeda", "paused", false).await;
        world.record("andromeda", Phase::Running, ConditionStatus::True).await;
    });
    assert!(ran.ok().starts_with("game/andromeda resume requested"));
}

#[tokio::test(flavor = "multi_thread")]
async fn turns_are_put_off_to_a_time_and_that_is_taken_back() {
    let world = World::applied().await;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(48);
    let until = jiff::Timestamp::from_second(until.as_second()).unwrap().to_string();
    let told = world.run(&["defer", "andromeda", "--until", &until]).await.ok();
    assert!(told.starts_with(&format!("game/andromeda deferred until {until} (generation ")), "{told}");
    let turns = spec(&world, "andromeda").await["turns"].clone();
    assert_eq!((&turns["notBefore"], &turns["schedule"]), (&json!(until), &json!("0 18 * * *")));
    let same = world.run(&["defer", "andromeda", "--until", &until]).await.ok();
    assert!(same.starts_with("game/andromeda unchanged"), "{same}");
    let by = world.run(&["defer", "--all", "--for", "90m", "--dry-run"]).await.ok();
    assert!(by.starts_with("game/andromeda deferred until ") && by.ends_with("(dry run)\n"), "{by}");
    world.run(&["defer", "andromeda", "--until", "23:59:59"]).await.ok();
    for (arguments, expected) in [
        (["--until", "2020-01-01T00:00:00Z"], "is not to come"),
        (["--until", "2999-01-01 18:00"], "more than a year ahead"),
        (["--until", "soon"], "game/andromeda: --until: `soon` is not a time; write 2026-11-23T18:00:00Z"),
        (["--for", "9000h"], "more than a year ahead"),
        (["--for=-1h", "--dry-run"], "is not to come"),
    ] {
        let told = world.run(&[&["defer", "andromeda"][..], &arguments].concat()).await.failed(2);
        assert!(told.contains(expected), "{told}");
    }
    let cleared = world.run(&["defer", "andromeda", "--clear"]).await.ok();
    assert!(cleared.starts_with("game/andromeda no longer deferred"), "{cleared}");
    assert_eq!(spec(&world, "andromeda").await["turns"]["notBefore"], Value::Null);
    assert!(world.run(&["defer", "andromeda", "--clear"]).await.ok().starts_with("game/andromeda unchanged"));
    assert_eq!(world.run(&["defer", "andromeda"]).await.code, 2);
    assert_eq!(world.run(&["defer", "andromeda", "--for", "1h", "--clear"]).await.code, 2);
    assert_eq!(world.run(&["defer", "andromeda", "--for", "long"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_turn_is_waited_for_to_its_end() {
    let world = World::applied().await;
    // Somebody else's turn is in the ledger already.
    world
        .written(Recording {
            ledger: vec![turn(1, TurnCause::Forced, Some(TurnEnd::Done))],
            ..seen(&world).await
        })
        .await;
    let (ran, ()) =
        tokio::join!(world.run(&["force-turn", "andromeda", "--wait", "--timeout", "30s"]), async {
            world.asked("andromeda", "forceTurnGeneration", 1).await;
            for (cause, number, end, taken) in [
                (TurnCause::Schedule, 2, Some(TurnEnd::Done), 0),
                (TurnCause::Forced, 3, None, 1),
                (TurnCause::Forced, 3, Some(TurnEnd::Done), 1),
            ] {
                later().await;
                let entry = turn(number, cause, end);
                let mut next = Recording { ledger: vec![entry.clone()], ..seen(&world).await };
                next.record.turn = entry.end.is_none().then_some(entry.turn);
                next.record.observed_requests.force_turn = taken;
                world.written(next).await;
            }
        });
    let told = ran.stderr.clone();
    let out = ran.ok();
    let lines: Vec<_> = out.lines().collect();
    assert!(lines[0].starts_with("game/andromeda turn requested (generation "), "{out}");
    assert!(lines[1].starts_with("game/andromeda turn 3 done in 0."), "{out}");
    assert!(told.contains("game/andromeda: turn 3 is dispatched"), "{told}");
    assert_eq!(spec(&world, "andromeda").await["forceTurnGeneration"], 1);

    let table = world.run(&["turns", "andromeda"]).await.ok();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[0],
        ["TURN", "CAUSE", "SLOT", "STATE", "LAG", "DURATION", "ATTEMPTS", "REQUESTED-BY", "ERROR"]
    );
    let first: Vec<_> = rows[1..].iter().map(|row| (row[0], row[1], row[3])).collect();
    assert_eq!(first, [("1", "Forced", "Done"), ("2", "Schedule", "Done"), ("3", "Forced", "Done")]);
    assert!(rows[2][4].ends_with('s') && rows[3][4] == "-", "{table}");
    let last = world.run(&["turns", "andromeda", "--limit", "1", "-o", "json"]).await.ok();
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!((&last["items"][0]["kind"], &last["items"][0]["spec"]["number"]), (&json!("Turn"), &json!(3)));
    assert!(world.run(&["turns", "andromeda", "-o", "wide"]).await.ok().contains("TIMELINE"));
    world.run(&["turns", "nobody"]).await.failed(3);
    let none = world.run(&["turns", "andromeda", "--slots"]).await;
    assert_eq!(none.stderr, "game/andromeda: no slot was decided about yet\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_turn_that_is_refused_says_why() {
    let world = World::applied().await;
    world.run(&["stop", "andromeda"]).await.ok();
    let (ran, ()) =
        tokio::join!(world.run(&["force-turn", "andromeda", "--wait", "--timeout", "30s"]), async {
            world.asked("andromeda", "forceTurnGeneration", 1).await;
            let mut refused = world.recording("andromeda", Phase::Stopped, ConditionStatus::True).await;
            refused.record.observed_requests.force_turn = 1;
            let new = NewOperation {
                kind: OperationKind::ForceNextTurn,
                cause: "it was asked for".into(),
                source: Source::Operator,
                generation: refused.record.observed_generation,
                requested_by: "admin".into(),
                request_id: "r-1".into(),
                from_version: None,
                to_version: None,
            };
            let ending = Ending::Failed {
                code: "Refused".into(),
                message: "No turn can be forced: the game is stopped.".into(),
            };
            refused.at_once = vec![(OperationId(uuid::Uuid::new_v4()), new, ending)];
            world.written(refused).await;
        });
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("game/andromeda is stopped: the turn will be refused"), "{ran:?}");
    assert!(
        ran.stderr.contains("error: game/andromeda: no turn: No turn can be forced: the game is stopped."),
        "{ran:?}"
    );
    let refused = world.run(&["ops", "andromeda", "--op", "force_next_turn", "-o", "json"]).await.ok();
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!(refused["items"][0]["status"]["errorCode"], "Refused");
    let none = world.run(&["ops", "andromeda", "--op", "pause"]).await;
    assert_eq!(none.stderr, "nothing of that kind was done about game/andromeda yet\n");
    assert!(world.run(&["ops", "andromeda", "--op", "dance"]).await.stderr.contains("there are start, stop"));
    world.run(&["start", "andromeda"]).await.ok();
    world.run(&["pause", "andromeda"]).await.ok();
    let waits = world.run(&["force-turn", "andromeda", "--wait", "--timeout", "200ms"]).await;
    assert_eq!(waits.code, 5, "{waits:?}");
    assert!(waits.stderr.contains("is paused: the turn comes when it is resumed"), "{waits:?}");
    assert!(waits.stderr.contains("waiting for the turn to begin"), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_and_moments_are_told() {
    let world = World::applied().await;
    let slot = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap();
    let skipped = DecidedSlot {
        slot,
        until: None,
        decision: "skipped",
        reason: "Paused".into(),
        message: "The game was paused.".into(),
        turn: None,
    };
    world.written(Recording { slots: vec![skipped], ..seen(&world).await }).await;
    let table = world.run(&["turns", "andromeda", "--slots"]).await.ok();
    assert!(table.starts_with("SLOT ") && table.contains("Skipped    Paused   -"), "{table}");
    world.run(&["pause", "andromeda"]).await.ok();
    let at = jiff::Timestamp::now().to_string();
    let told = world.run(&["explain", "andromeda", "--at", &at]).await.ok();
    for expected in [
        "game/andromeda at ",
        "status     Running, paused",
        "schedule   0 18 * * * (UTC)",
        "The game was paused.",
        "paused: false -> true",
        "admin",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
    let json = world.run(&["explain", "andromeda", "--at", &at, "-o", "json"]).await.ok();
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["kind"], "Moment");
    let wrong = world.run(&["explain", "andromeda", "--at", "soon"]).await.failed(2);
    assert!(wrong.contains("\"2026-11-23 18:00\" or 18:00"), "{wrong}");
    world.run(&["explain", "nobody", "--at", "18:00"]).await.failed(3);
    assert!(
        world
            .run(&["explain", "andromeda", "--at", "2999-01-01T00:00:00Z"])
            .await
            .failed(2)
            .contains("yet to come")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn players_are_shown_with_the_engine_s_ids() {
    let world = World::applied().await;
    let terran = uuid::Uuid::new_v4();
    let user = "6f1c0a52-58a7-4d7e-9a0b-0a2f5f3c7f10";
    let (user_id, race_name) = (user.parse().unwrap(), "Terrans".parse::<RaceName>().unwrap());
    let mapping = Mapping { user_id, race_name: race_name.clone(), engine_id: terran, active: true };
    let standing = Standing {
        user_id,
        race_name,
        timeline: 1,
        turn: 4,
        planets: 3,
        population: 120,
        most_planets: 5,
        most_population: 140,
    };
    let players = Some(vec![mapping]);
    world.written(Recording { players, standings: vec![standing], ..seen(&world).await }).await;
    let table = world.run(&["players", "andromeda"]).await.ok();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[1],
        ["0b9a3c1e-7a3f-4f0e-8a55-3f1f4a5f2d21", "Martians", "-", "yes", "-", "-", "-", "-", "-"]
    );
    assert_eq!(rows[2], [user, "Terrans", &terran.to_string(), "yes", "4", "3", "120", "5", "140"]);
    let names = world.run(&["players", "andromeda", "-o", "name"]).await.ok();
    assert!(names.lines().all(|name| name.contains('.')) && names.lines().count() == 2, "{names}");
    world.run(&["players", "nobody"]).await.failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn help_teaches_and_completion_knows_the_commands() {
    let world = World::new().await;
    for (verb, expected) in [
        ("pause", "no turn begins after that"),
        ("resume", "does not happen"),
        ("defer", "2026-11-23T18:00:00Z"),
        ("force-turn", "prints its number"),
        ("turns", "--slots"),
        ("players", "ACTIVE is what the lobby says"),
        ("explain", "--at <TIME>"),
    ] {
        let help = world.run(&[verb, "--help"]).await.ok();
        assert!(help.contains(expected) && help.contains("Examples:"), "{verb}: {help}");
    }
    let script = world.run(&["completion", "bash"]).await.ok();
    assert!(script.contains("force-turn") && script.contains("--until"));
}
