//! `gamekeeper backup-db`: a copy of the embedded database.

use std::os::unix::fs::PermissionsExt;

use crate::database::Database;
use crate::world::Files;

const ROWS: &str = "INSERT INTO games (game_id, name, desired_status)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 500)
    SELECT printf('00000000-0000-4000-8000-%012x', n), 'game-' || n, 'stopped' FROM numbers";

#[tokio::test]
async fn a_database_that_is_in_use_is_copied_into_a_file_that_is_whole() {
    let files = Files::new();
    std::fs::create_dir(files.path("data")).unwrap();
    let database = Database::Sqlite(files.path("data/gamekeeper.db"));
    let store = database.open().await;
    database.sql(ROWS).await;
    let (copy, at) = (files.path("copy.db"), files.path("copy.db").display().to_string());
    let url = database.url();
    let back_up = ["backup-db", "--database-url", &url, &at];
    let told = files.run(&back_up).ok();
    assert!(told.contains(&at) && told.contains("bytes"), "{told}");
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);

    // What came later is not in it; what was there is, and it is a database that a server can use.
    database.sql("DELETE FROM games").await;
    let copied = Database::Sqlite(copy.clone());
    assert_eq!(copied.rows("PRAGMA integrity_check").await[0].get::<String>(0), "ok");
    assert_eq!(copied.count("SELECT count(*) FROM games").await, 500);
    let opened = copied.open().await;
    assert_eq!(opened.instance().await.unwrap().id, store.instance().await.unwrap().id);
    assert_eq!(opened.games(None).await.unwrap().len(), 500);
    opened.close().await.unwrap();

    // The data directory's database needs no name.
    let at = files.path("later.db");
    files.run(&["backup-db", &at.display().to_string()]).ok();
    assert_eq!(Database::Sqlite(at).count("SELECT count(*) FROM games").await, 0);

    // Nothing is overwritten.
    let before = std::fs::read(&copy).unwrap();
    let refused = files.run(&back_up).failed(1);
    assert!(refused.contains("cannot be written") && refused.contains("exists"), "{refused}");
    assert_eq!(std::fs::read(&copy).unwrap(), before);
}

#[test]
fn what_is_no_embedded_database_is_not_copied_and_nothing_is_left() {
    let files = Files::new();
    let copy = files.path("copy.db");
    let at = copy.display().to_string();
    let postgres = "postgres://keeper:hunter2@db.example.com/games";
    let refused = files.run(&["backup-db", "--database-url", postgres, &at]).failed(2);
    assert!(refused.contains("pg_dump") && !refused.contains("hunter2"), "{refused}");
    let none = format!("sqlite:{}", files.path("none.db").display());
    let refused = files.run(&["backup-db", "--database-url", &none, &at]).failed(3);
    assert!(refused.contains("--data-dir") && refused.contains("pg_dump"), "{refused}");
    assert!(!copy.exists() && !files.path("none.db").exists());
}
