//! Hostile texts are refused, and fast.

use std::time::{Duration, Instant};

use super::*;

#[track_caller]
fn refused_fast(what: &str, text: &str) {
    let begun = Instant::now();
    let told = errors(text);
    let took = begun.elapsed();
    assert_ne!(told, "none", "{what}");
    assert!(told.len() < 100_000, "{what}: {} bytes of errors", told.len());
    // Ten times what it takes without optimisation on a busy machine.
    assert!(took < Duration::from_secs(10), "{what} took {took:?}");
    eprintln!("{what}: {took:?}: {}", told.lines().next().unwrap_or_default());
}

#[test]
fn a_huge_text_is_refused() {
    let begun = Instant::now();
    let huge = "a".repeat(100 << 20);
    let built = begun.elapsed();
    refused_fast("100 MiB", &huge);
    assert!(begun.elapsed() < built + Duration::from_secs(1));
}

#[test]
fn deep_nesting_is_refused() {
    for piece in ["[", "{", "{a: ", "[[", "- ", "? ", "{\"a\":", "[{", "-\n ", "!a [", "&a ["] {
        let text = piece.repeat(MAX_FILE_BYTES / piece.len());
        refused_fast(piece, &text);
    }
    let steps: String = (0..2_000).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    refused_fast("steps", &steps);
}

#[test]
fn alias_bombs_are_refused() {
    let mut doubling = String::from("a0: &a0 [x, x]\n");
    for level in 1..60 {
        let below = level - 1;
        doubling.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}]\n"));
    }
    refused_fast("doubling", &doubling);
    let wide = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(100_000), "*a,".repeat(100_000));
    refused_fast("wide", &wide);
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a,".repeat(100_000));
    refused_fast("long", &long);
    refused_fast("itself", "a: &a [*a]\n");
}

#[test]
fn texts_of_one_piece_are_refused() {
    for piece in [
        "a",
        "a:\n",
        "- a\n",
        "---\n- a\n",
        "'",
        "\"",
        "#\n",
        "&",
        "*",
        "!",
        "%",
        "|\n",
        "a: b\n",
        ",",
        ":",
        " ",
        "\u{2028}",
        "🚀",
    ] {
        let text = format!("x: [\n{}", piece.repeat((MAX_FILE_BYTES - 16) / piece.len()));
        refused_fast(piece.trim(), &text);
        let text = piece.repeat(MAX_FILE_BYTES / piece.len());
        let begun = Instant::now();
        let _ = errors(&text);
        assert!(begun.elapsed() < Duration::from_secs(10), "{piece:?} took {:?}", begun.elapsed());
    }
}

#[test]
fn many_documents_and_many_problems_are_bounded() {
    refused_fast("documents", &format!("{GAME}---\n").repeat(MAX_DOCUMENTS + 1));
    let wrong = "    - { userId: x, raceName: \"\" }\n".repeat(50_000);
    let text = format!("{}{wrong}", GAME.split("  resources").next().unwrap());
    refused_fast("players", &text);
    let unknown: String = (0..100_000).map(|n| format!("  field{n}: 1\n")).collect();
    refused_fast("fields", &format!("{GAME}{unknown}"));
    let labels: String = (0..100_000).map(|n| format!("'{n} ': x, ")).collect();
    refused_fast("labels", &GAME.replace("name: andromeda", &format!("name: a, labels: {{ {labels} }}")));
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let name = "\\e[2J".repeat(10_000);
    for text in [
        GAME.replace("name: andromeda", &format!("name: \"{name}\"")),
        GAME.replace("engineVersion", &format!("\"{name}\"")),
        GAME.replace("Running", &format!("\"{name}\"")),
        GAME.replace("500m", &format!("[\"{name}\"]")),
        GAME.replace("kind: Game", &format!("kind: \"{name}\"")),
        GAME.replace("kind: Game", &format!("kind: Game\n\"{name}\": 1\n\"{name}\": 2")),
    ] {
        let told = errors(&text);
        assert!(told != "none" && told.len() < 1_000 && !told.contains('\u{1b}'), "{told}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[-\\[\\]{}:,a'\"#&*!|> \n?%@1.~<]{0,60}") {
        let _ = parse_documents("f", &text).map_err(|errors| errors.render(&miette::GraphicalTheme::none()));
    }

    #[test]
    fn no_slip_of_the_pen_makes_it_panic(at in 0..GAME.len(), new in "\\PC{0,3}") {
        let text = format!("{}{new}{}", &GAME[..at], &GAME[at + 1..]);
        let _ = parse_documents("f", &text).map_err(|errors| errors.render(&miette::GraphicalTheme::none()));
    }

    #[test]
    fn no_schedule_makes_it_panic(text in "[-0-9*/,LW#?+A-Z ]{0,40}", fields in "([-0-9*/,LW#?]{1,4} ){4,5}[-0-9*/,LW#?+]{1,4}") {
        let _ = (parse_schedule(&text), parse_schedule(&fields));
    }
}
