//! The database schema keeps its promises, on SQLite under every setting of its pragmas and on PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "schema/agreement.rs"]
mod agreement;
#[path = "support/cluster.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with other tests")]
mod cluster;
#[path = "schema/db.rs"]
mod db;
#[path = "schema/postgres_only.rs"]
mod postgres_only;
#[path = "schema/promises.rs"]
mod promises;
#[path = "schema/random.rs"]
mod random;
#[path = "schema/sqlite_only.rs"]
mod sqlite_only;

use std::collections::{BTreeMap, BTreeSet};

use cluster::Cluster;
use db::{Db, Pragmas};

/// Each promise is a test of its own on SQLite; on PostgreSQL they share one cluster, hence one test.
macro_rules! promises {
    ($($promise:ident,)*) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $promise() {
                    for pragmas in super::Pragmas::ALL {
                        super::promises::$promise(&mut super::Db::sqlite(pragmas).await).await;
                    }
                }
            )*
        }

        async fn every_promise_on(cluster: &Cluster) {
            $(
                eprintln!("postgres: {}", stringify!($promise));
                promises::$promise(&mut Db::postgres(cluster, stringify!($promise)).await).await;
            )*
        }
    };
}

promises! {
    a_hand_written_game_gets_its_defaults,
    each_spec_column_moves_the_generation_by_one,
    what_changes_nothing_moves_nothing,
    what_is_not_spec_moves_the_row_version_only,
    a_direct_write_of_generation_is_overridden,
    request_counters_cannot_decrease,
    identity_is_immutable,
    a_membership_that_changes_moves_revision_and_generation,
    a_membership_that_does_not_change_moves_nothing,
    an_active_race_name_is_unique_in_its_game,
    a_membership_needs_its_game,
    bulk_writes_count_every_row_once,
    many_members_cost_what_their_number_says,
    managers_go_with_their_game,
    an_upsert_counts_real_changes_only,
    game_changes_say_what_changed_and_who_asked,
    a_delete_leaves_a_tombstone_and_takes_the_memberships,
    a_game_made_again_goes_on_counting,
    requests_done_are_none_of_a_game_made_again,
    a_requested_deletion_stays_requested,
    hostile_text_is_refused,
    nonsense_is_refused,
    labels_and_annotations_are_what_the_api_takes,
    an_engine_version_keeps_its_image,
    an_engine_version_moves_no_game,
    what_is_rolled_back_leaves_nothing,
    game_status_says_whether_a_row_came_true,
    an_operation_is_closed_once,
    a_slot_and_a_number_give_one_turn,
    the_longest_event_fits_its_index,
    the_lobby_s_page_can_be_followed,
    the_database_has_an_identity_and_a_version,
    a_token_is_kept_as_a_digest_and_does_not_change,
}

#[tokio::test]
async fn what_a_manifest_may_say_the_database_takes() {
    agreement::what_is_valid_can_be_written(&mut Db::sqlite(Pragmas::ALL[0]).await).await;
}

#[tokio::test]
async fn postgresql_keeps_the_same_promises() {
    let cluster = Cluster::start();
    every_promise_on(&cluster).await;
    postgres_only::every_promise_on(&cluster).await;
    agreement::what_is_valid_can_be_written(&mut Db::postgres(&cluster, "agreement").await).await;
    both_dialects_have_the_same_tables_and_columns(&cluster).await;
    random::the_dialects_agree_on_a_long_series_of_writes(&cluster).await;
}

/// What SQLite's triggers need and PostgreSQL's do not.
const ONLY_ON_SQLITE: [&str; 9] = [
    "game_shadow",
    "engine_version_shadow",
    "replace_notes",
    "replaced_managers",
    "write_batches",
    "member_changed",
    "metadata_written",
    "game_documents",
    "engine_version_documents",
];

async fn both_dialects_have_the_same_tables_and_columns(cluster: &Cluster) {
    let mut sqlite = Db::sqlite(Pragmas::ALL[0]).await;
    let mut postgres = Db::postgres(cluster, "columns").await;
    let on_sqlite = columns(
        &mut sqlite,
        "SELECT t.name, c.name FROM sqlite_schema AS t JOIN pragma_table_info(t.name) AS c
          WHERE t.type IN ('table', 'view') AND t.name NOT LIKE 'sqlite_%' AND t.name NOT LIKE '_sqlx_%'",
    )
    .await;
    let on_postgres = columns(
        &mut postgres,
        "SELECT table_name, column_name FROM information_schema.columns
          WHERE table_schema = current_schema() AND table_name NOT LIKE '_sqlx_%'",
    )
    .await;
    let on_sqlite: BTreeMap<_, _> =
        on_sqlite.into_iter().filter(|(table, _)| !ONLY_ON_SQLITE.contains(&table.as_str())).collect();
    assert_eq!(on_sqlite, on_postgres);
    assert!(on_sqlite.len() >= 20, "{:?}", on_sqlite.keys());
}

async fn columns(db: &mut Db, sql: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables = BTreeMap::<String, BTreeSet<String>>::new();
    for row in db.rows(sql).await {
        let (table, column) = row.split_once('|').unwrap();
        tables.entry(table.to_owned()).or_default().insert(column.to_owned());
    }
    tables
}
