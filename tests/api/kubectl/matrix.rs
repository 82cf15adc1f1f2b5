//! Every verb, and every error, in every version of kubectl: what it prints is one text, which has to
//! be the same for all of them (`snapshots/`). Lines that begin with `!` are of its standard error,
//! those with `=` its exit code. What differs from run to run is masked, and so are the few words that
//! kubectl itself changed from one version to the next.

use gamekeeper::api::auth::Role;

use super::{ANDROMEDA, Kubectl, Said, VERSION};
use crate::world::{World, token};

/// What is done, in this order.
enum Step {
    /// A heading.
    Part(&'static str),
    /// kubectl, with these arguments; they are split at blanks.
    Run(&'static str),
    /// Somebody writes SQL.
    Sql(&'static str),
}
use Step::{Part, Run, Sql};

const STEPS: &[Step] = &[
    Part("what there is"),
    Run("api-resources --api-group=gamekeeper.dev --verbs=watch"),
    Run("explain game.spec.turns"),
    Run("get games"),
    Part("create"),
    Run("create -f version.yaml -f andromeda.yaml --dry-run=server"),
    Run("get game andromeda"),
    Run("create -f version.yaml -f andromeda.yaml"),
    Run("create -f andromeda.yaml"),
    Part("apply"),
    Run("apply -f borealis.yaml"),
    Run("apply -f borealis.yaml"),
    Run("apply -f borealis-stopped.yaml --dry-run=server"),
    Run("diff -f borealis.yaml"),
    Run("diff -f borealis-stopped.yaml"),
    Run("apply -f borealis-stopped.yaml"),
    Part("apply --server-side"),
    Run("apply --server-side -f cygnus.yaml"),
    Run("apply --server-side -f cygnus.yaml"),
    Run("apply --server-side -f cygnus-stopped.yaml --field-manager=bot"),
    Run("apply --server-side -f cygnus-stopped.yaml --field-manager=bot --force-conflicts"),
    Run("diff --server-side -f cygnus.yaml --field-manager=bot --force-conflicts"),
    Part("get"),
    Run("get games"),
    Run("get gm -o wide"),
    Run("get games -A"),
    Run("get games -l season=8"),
    Run("get games -l season=9"),
    Run("get games --field-selector metadata.name!=borealis --no-headers"),
    Run("get games --sort-by=.spec.desiredStatus --no-headers"),
    Run("get games -L season --show-labels --no-headers"),
    Run("get games -o name"),
    Run("get games --chunk-size=1 -o name"),
    Run("get games -o jsonpath={.items[*].spec.desiredStatus}"),
    Run("get games -o custom-columns=WHO:.metadata.name,WANTED:.spec.desiredStatus"),
    Run("get games -o go-template={{range.items}}{{.metadata.name}},{{end}}"),
    Run("get game borealis -o yaml"),
    Run("get game andromeda -o json"),
    Run("get game/andromeda ev/1.4.2"),
    Run("get game andromeda --subresource=scale -o yaml"),
    Run("get all"),
    Run("get ev -o wide"),
    Run("get turns,operations,outbox"),
    Part("describe and events"),
    Sql("INSERT INTO events (kind, name, uid, type, reason, message) \
         SELECT 'Game', name, CAST(game_id AS TEXT), 'warning', 'CrashLoop', 'It died.' \
         FROM games WHERE name = 'andromeda'"),
    Run("describe game andromeda"),
    Run("describe ev 1.4.2"),
    Run("get events"),
    Run("get events --field-selector involvedObject.name=andromeda,type=Warning --no-headers"),
    Run("get events --field-selector involvedObject.name=andromeda,type=Normal"),
    Run("events --for game/andromeda --no-headers"),
    Part("label and annotate"),
    Run("label game andromeda team=a"),
    Run("label game andromeda team=b"),
    Run("label game andromeda team=b --overwrite"),
    Run("label game andromeda team-"),
    Run("annotate game andromeda note=x"),
    Part("patch, edit and replace"),
    Run("patch game andromeda --type=merge -p {\"spec\":{\"paused\":true}}"),
    Run("patch game andromeda --type=merge -p {\"spec\":{\"paused\":true}}"),
    Run(
        "patch game andromeda --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/paused\",\"value\":false}]",
    ),
    Run("patch game andromeda --type=json -p [{\"op\":\"test\",\"path\":\"/spec/paused\",\"value\":true}]"),
    Run("patch game andromeda -p {\"spec\":{\"paused\":true}}"),
    Run("edit game andromeda"),
    Run("replace -f stale.yaml"),
    Run("replace -f borealis.yaml"),
    Part("scale and wait"),
    Run("scale game andromeda --replicas=0"),
    Run("scale game andromeda --replicas=1 --current-replicas=1"),
    Run("scale game andromeda --replicas=3"),
    Run("wait game/andromeda --for=jsonpath={.spec.desiredStatus}=Stopped --timeout=20s"),
    Run("wait game/andromeda --for=condition=Ready --timeout=1s"),
    Run("wait game/nobody --for=delete --timeout=20s"),
    Part("delete"),
    Run("delete ev 1.4.2 --wait=false"),
    Run("delete game andromeda --wait=false"),
    Run("get game andromeda"),
    Run("apply -f andromeda.yaml --dry-run=server"),
    Sql("DELETE FROM games WHERE name = 'andromeda'"),
    Run("wait game/andromeda --for=delete --timeout=20s"),
    Run("delete games --all --wait=false"),
    Sql("DELETE FROM games"),
    Run("delete ev --all --timeout=20s"),
    Run("delete game andromeda --ignore-not-found"),
    Part("errors"),
    Run("get game nobody"),
    Run("get nothings"),
    Run("get games -n Not_A_Namespace"),
    Run("get games --field-selector spec.paint=red"),
    Run("create -f kindless.yaml"),
    Run("create -f unknown-kind.yaml"),
    Run("create -f wrong-type.yaml"),
    Run("create -f wrong-cron.yaml"),
    Run("create -f unknown-field.yaml"),
    Run("create -f unknown-field.yaml --validate=warn --dry-run=server"),
    Run("create -f unknown-field.yaml --validate=ignore --dry-run=server"),
    Run("apply --server-side -f unknown-field.yaml"),
    Run("create -f andromeda.yaml -n Not_A_Namespace"),
    Run("create -f huge.yaml"),
    Run("create -f image.yaml"),
    Run("apply -f version.yaml"),
    Run("get games --token=looker"),
    Run("create -f andromeda.yaml --token=looker"),
    Run("get games --token=nobody"),
    Run("get --raw /nowhere"),
    Run("get --raw /apis/gamekeeper.dev/v1/games?watch=true&resourceVersion=1"),
];

fn files(kubectl: &Kubectl) {
    let game = |name: &str| ANDROMEDA.replace("andromeda", name);
    let borealis = game("borealis").replace('7', "8").replace("0 1", "30 1");
    let stopped = |manifest: &str| manifest.replace("Running", "Stopped");
    let stale = game("borealis").replace("labels:", "resourceVersion: \"1\"\n  labels:");
    let huge = format!("{ANDROMEDA}  displayName: {}\n", "x".repeat(4 << 20));
    for (name, text) in [
        ("version.yaml", VERSION.to_owned()),
        ("image.yaml", VERSION.replace("engine:1.4.2", "engine: 1 4 2")),
        ("andromeda.yaml", ANDROMEDA.to_owned()),
        ("borealis-stopped.yaml", stopped(&borealis)),
        ("borealis.yaml", borealis),
        ("cygnus.yaml", game("cygnus")),
        ("cygnus-stopped.yaml", stopped(&game("cygnus"))),
        ("stale.yaml", stale),
        ("huge.yaml", huge),
        ("kindless.yaml", ANDROMEDA.replace("kind: Game\n", "")),
        ("unknown-kind.yaml", ANDROMEDA.replace("kind: Game", "kind: Gamme")),
        ("wrong-type.yaml", ANDROMEDA.replace("\"1.4.2\"", "1.4")),
        ("wrong-cron.yaml", ANDROMEDA.replace("0 18 *", "0 99 *").replace("500m", "lots")),
        ("unknown-field.yaml", ANDROMEDA.replace("schedule:", "scedule:")),
        ("editor.sh", "sed -i 's/raceName: Terrans/raceName: Martians/' \"$1\"".to_owned()),
    ] {
        kubectl.file(name, &text);
    }
}

/// Everything that a kubectl prints.
async fn transcript(number: usize) -> String {
    let world = World::with(|tokens| token(tokens, Role::Viewer, "looker")).await;
    let kubectl = Kubectl::all(&world).swap_remove(number);
    files(&kubectl);
    let mut told = String::new();
    for step in STEPS {
        match step {
            Part(part) => told.push_str(&format!("\n# {part}\n\n")),
            Sql(statement) => world.sql(statement).await,
            Run(arguments) => {
                let split: Vec<&str> = arguments.split(' ').collect();
                let Said { code, out, err } = kubectl.run_with(&split, "", "sh editor.sh").await;
                told.push_str(&format!("$ kubectl {arguments}\n{out}"));
                if !out.is_empty() && !out.ends_with('\n') {
                    told.push('\n');
                }
                told.push_str(&err.lines().map(|line| format!("! {line}\n")).collect::<String>());
                if code != Some(0) {
                    told.push_str(&format!("= {}\n", code.unwrap_or(-1)));
                }
            }
        }
    }
    let directory = world.directory.path().display().to_string();
    let told = told.replace(&directory, "DIRECTORY").replace(&world.address.to_string(), "ADDRESS");
    world.end().await;
    told
}

/// What differs from run to run, and from version to version.
const MASKS: &[(&str, &str)] = &[
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}", "TIME"),
    (r#"("?(?i:uid)"?: +)"?[0-9a-f-]{36}"?"#, "${1}UID"),
    (r#""?\b\d{16}\b"?"#, "VERSION"),
    (r"\b\d+s\b( ago)?", "AGE"),
    (r"/(LIVE|MERGED)-\d+/", "/$1/"),
    // Columns are as wide as what is in them.
    (r"(\S) {2,}", "$1  "),
    (r" +\n", "\n"),
    // Words of kubectl's own.
    (r"deleted from default namespace", "deleted"),
    (r"andromeda annotated?\n", "andromeda annotated\n"),
    (r"Game/andromeda  It", "game/andromeda  It"),
    (r"\n\n\n", "\n\n"),
];

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_and_every_error_is_the_same_in_every_kubectl() {
    let versions = super::programs().len();
    let transcripts = futures::future::join_all((0..versions).map(transcript)).await;
    let mut settings = insta::Settings::clone_current();
    for (mask, with) in MASKS {
        settings.add_filter(mask, *with);
    }
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| {
        for transcript in transcripts {
            insta::assert_snapshot!("matrix", transcript);
        }
    });
}
