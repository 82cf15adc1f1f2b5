//! The published schemas are those of the types.

use std::path::{Path, PathBuf};

use gamekeeper::lobby::LobbyEvent;
use gamekeeper::lobby::envelope::schema_id;

/// The documents of this project.
pub(crate) fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

/// `GAMEKEEPER_UPDATE_SCHEMAS=1 cargo test --test lobby documents` writes them anew.
#[test]
fn the_published_schemas_are_those_of_the_types() {
    let update = std::env::var_os("GAMEKEEPER_UPDATE_SCHEMAS").is_some();
    let directory = docs().join("lobby-events");
    let mut known = Vec::new();
    for (word, mut schema) in LobbyEvent::schemas() {
        schema.insert("$id".into(), schema_id(word).into());
        schema.insert("title".into(), format!("dev.gamekeeper.game.{word}.v1").into());
        let text = format!("{:#}\n", schema.to_value());
        let path = directory.join(format!("{word}.json"));
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            published,
            text,
            "{} is not of the type; run this test with GAMEKEEPER_UPDATE_SCHEMAS=1",
            path.display()
        );
        known.push(format!("{word}.json"));
    }
    known.sort();
    let mut there: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(there, known);
}
