//! What is promised always, looked at again and again from outside: in the database, in Docker, and in the
//! engines' own journals.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::{AssertSqlSafe, ConnectOptions, Connection, Error, Row, raw_sql};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::lobby::CALM;
use super::report::Record;
use crate::database::Database;
use crate::world::{World, docker};

/// Rows as text, if the server answers; what is null is empty.
pub(super) async fn asked(world: &World, query: &str) -> Result<Vec<Vec<String>>, Error> {
    let Database::Postgres { url, schema } = &world.database else { unreachable!() };
    let options: PgConnectOptions = url.parse().unwrap();
    let options = options.options([("search_path", schema.as_str())]).application_name("watcher");
    let mut client = options.disable_statement_logging().connect().await?;
    let rows = raw_sql(AssertSqlSafe(query.to_owned())).fetch_all(&mut client).await?;
    client.close().await?;
    let text = |row: &sea_orm::sqlx::postgres::PgRow| {
        (0..row.len()).map(|at| row.get_unchecked::<Option<String>, _>(at).unwrap_or_default()).collect()
    };
    Ok(rows.iter().map(text).collect())
}

/// The engine's own journal; a line that is being written is not there yet.
pub(super) fn journal(world: &World, game: &str) -> Vec<Value> {
    let path = world.state_root().join(game).join(game).join("journal.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The turns that the engine accepted later than this. (Their number alone says nothing: a copy that is put
/// back brings its own journal.)
fn accepted_after(world: &World, game: &str, then: i64) -> usize {
    let accepted = |line: &&Value| line["event"] == "turn-accepted" && line["at"].as_i64() > Some(then);
    journal(world, game).iter().filter(accepted).count()
}

/// The turns that the engine says it has generated, and how often it was initialised.
pub(super) fn history(world: &World, game: &str) -> (Vec<i64>, usize) {
    let journal = journal(world, game);
    let turns = journal.iter().filter(|line| line["event"] == "turn-done");
    let turns = turns.filter_map(|line| line["turn"].as_i64()).collect();
    (turns, journal.iter().filter(|line| line["event"] == "init-accepted").count())
}

/// What was seen last of what never goes back.
#[derive(Default)]
struct Seen {
    counters: HashMap<String, i64>,
    /// Each pause that was acknowledged, and when that was seen, as the engine's journal tells the time.
    pauses: HashMap<String, (String, i64)>,
    /// Deletions that are held, and the confirmation that was there then.
    held: HashMap<String, String>,
}

/// Goes on until it is told to end.
pub(super) async fn promises(world: Arc<World>, record: Arc<Record>, over: CancellationToken) {
    let mut seen = Seen::default();
    let mut rounds = 0_u64;
    while !over.is_cancelled() {
        // Without a server there is nothing to see.
        let _ = seen.look(&world, &record).await;
        if rounds.is_multiple_of(4) {
            engines(&world, &record).await;
        }
        rounds += 1;
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    record.set("looks at the promises", i64::try_from(rounds).unwrap());
}

const RECORDS: &str = "SELECT r.game_id::text, coalesce(g.generation, 0), r.observed_generation, r.timeline, r.outbox_seq, r.epoch,
        CASE WHEN g.paused THEN r.paused_at::text END, r.deletion_guard = 'held', r.deleted_at::text,
        (SELECT deletions_confirmed_at::text FROM controller_spec), (SELECT epoch FROM leases)
   FROM runtime_records AS r LEFT JOIN games AS g USING (game_id)";

impl Seen {
    async fn look(&mut self, world: &World, record: &Record) -> Result<(), Error> {
        let rows = asked(world, RECORDS).await?;
        for row in &rows {
            let game = &row[0];
            let names = ["generation", "observed generation", "timeline", "events", "epoch of the record"];
            for (name, value) in names.iter().zip(&row[1..6]) {
                self.grows(record, &format!("{name} of {game}"), value);
            }
            self.grows(record, "epoch", &row[10]);
            self.pause(world, record, game, &row[3], &row[6]).await?;
            let confirmed = &row[9];
            if row[7] == "t" {
                self.held.entry(game.clone()).or_insert_with(|| confirmed.clone());
            } else if let Some(before) = self.held.remove(game)
                && !row[8].is_empty()
                && before == *confirmed
            {
                record.broken(format!("the deletion of {game} was held, and is done without a confirmation"));
            }
        }
        Ok(())
    }

    fn grows(&mut self, record: &Record, what: &str, value: &str) {
        let value: i64 = value.parse().unwrap_or_default();
        let before = self.counters.entry(what.to_owned()).or_insert(value);
        // A game that is gone has no generation; made again it goes on counting.
        if value == 0 && what.starts_with("generation") {
            return;
        }
        if value < *before {
            record.broken(format!("{what} went from {before} back to {value}"));
        }
        *before = value;
    }

    /// From the acknowledgement on, an engine accepts no turn.
    async fn pause(
        &mut self,
        world: &World,
        record: &Record,
        game: &str,
        timeline: &str,
        paused_at: &str,
    ) -> Result<(), Error> {
        if paused_at.is_empty() {
            self.pauses.remove(game);
            return Ok(());
        }
        let this = format!("{timeline} {paused_at}");
        match self.pauses.get(game) {
            Some((known, then)) if *known == this => {
                let after = accepted_after(world, game, *then);
                if after == 0 {
                    return Ok(());
                }
                // It may have ended between the two readings.
                let query = format!("{RECORDS} WHERE r.game_id = '{game}'");
                let still = asked(world, &query).await?;
                if still.first().is_some_and(|row| format!("{} {}", row[3], row[6]) == this) {
                    let pause = format!("the pause of {game} acknowledged at {paused_at}");
                    record.broken(format!("{pause}: {after} turns were accepted after it"));
                }
            }
            _ => {
                record.counted("pauses acknowledged");
                let now = jiff::Timestamp::now().as_millisecond();
                self.pauses.insert(game.to_owned(), (this, now));
            }
        }
        Ok(())
    }
}

/// One engine for each game, and one history for each engine.
async fn engines(world: &World, record: &Record) {
    let label = "{{.Label \"gamekeeper.dev/game-id\"}}";
    let network = format!("network={}", world.network());
    let running = docker(&["ps", "--filter", &network, "--format", label]);
    let mut games = HashSet::new();
    for game in running.stdout.split_whitespace() {
        if !games.insert(game.to_owned()) {
            record.broken(format!("two containers of {game} run"));
        }
    }
    for entry in std::fs::read_dir(world.state_root()).into_iter().flatten().flatten() {
        let Ok(game) = entry.file_name().into_string() else { continue };
        let (turns, inits) = history(world, &game);
        if inits > 1 {
            record.broken(format!("{game} was initialised {inits} times"));
        }
        if !turns.iter().zip(1..).all(|(turn, n)| *turn == n) {
            record.broken(format!("the turns of {game} are {turns:?}"));
        }
        let conflicts = journal(world, &game).iter().filter(|line| line["event"] == "conflict").count();
        if conflicts > 0 {
            record.broken(format!("a second engine came to the state of {game}"));
        }
    }
}

/// Wishes a turn of a game that nobody locks, again and again, and sees how long it takes.
pub(super) async fn probe(world: Arc<World>, record: Arc<Record>, game: String, over: CancellationToken) {
    let wish = format!(
        "UPDATE games SET force_turn_generation = force_turn_generation + 1 WHERE game_id = '{game}'"
    );
    let open = format!(
        "SELECT count(*) FROM games JOIN runtime_records AS r USING (game_id)
          WHERE game_id = '{game}' AND r.observed_force_turn_generation = force_turn_generation"
    );
    while !over.is_cancelled() {
        let wished = Instant::now();
        if world.database.try_sql(&wish).await.is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        }
        let mut told = Duration::from_secs(60);
        loop {
            if asked(&world, &open).await.is_ok_and(|rows| rows[0][0] == "1") {
                record.probe(wished);
                record.counted(&format!("wishes of {CALM}games"));
                break;
            }
            if wished.elapsed() > told {
                eprintln!(
                    "{:>8.1?} a wish waits for {told:?}\n{}",
                    record.began.elapsed(),
                    record.last_blows()
                );
                told *= 2;
            }
            if over.is_cancelled() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}
