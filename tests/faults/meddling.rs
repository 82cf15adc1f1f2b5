//! The meddler itself: what it says it does is what happens.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use crate::ground::NOTHING;
use crate::meddler::{Action, Call, Counts, Meddler, Meddling, When};
use crate::world::docker;

const ENGINE: &str = "gamekeeper/reference-engine:1.4.2";

/// Docker's own client, through the meddler.
fn through(meddler: &Meddler, arguments: &[&str]) -> Child {
    let mut client = Command::new("docker");
    client.arg("-H").arg(meddler.host()).args(arguments).stdin(Stdio::null());
    client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ended(client: Child) -> (bool, String) {
    let output = client.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// A container of this test, removed at the end.
struct Made(String);

impl Drop for Made {
    fn drop(&mut self) {
        docker(&["rm", "-f", &self.0]);
    }
}

fn a_name() -> Made {
    Made(format!("gk-meddling-{}", Uuid::new_v4().simple()))
}

fn is_there(made: &Made) -> bool {
    docker(&["inspect", &made.0]).code == 0
}

#[tokio::test]
async fn what_passes_is_counted_and_what_is_refused_is_not() {
    let (meddler, made) = (Meddler::before_docker(), a_name());
    let (well, said) = ended(through(&meddler, &["create", "--name", &made.0, ENGINE]));
    assert!(well && is_there(&made), "{said}");
    assert!(!ended(through(&meddler, &["create", "--name", &made.0, ENGINE])).0, "the name is taken");
    assert!(ended(through(&meddler, &["rm", &made.0])).0);
    assert_eq!(meddler.times(Call::Create), 2);
    assert_eq!(meddler.done(), Counts { creates: 1, removes: 1, ..NOTHING });
    let asked = meddler.asked();
    let create = asked.iter().find(|asked| asked.call == Call::Create).unwrap();
    assert!(create.path.contains(&format!("name={}", made.0)), "{create:?}");
}

#[tokio::test]
async fn a_request_is_held_before_docker_sees_it_or_after_it_has_answered() {
    let (meddler, made) = (Meddler::before_docker(), a_name());
    let before = meddler.set(When::call(Call::Create).first(), Action::HoldBefore);
    let client = through(&meddler, &["create", "--name", &made.0, ENGINE]);
    before.sprung().await;
    assert!(!is_there(&made));
    before.let_go();
    assert!(ended(client).0 && is_there(&made));

    let after = meddler.set(When::call(Call::Remove), Action::HoldAfter);
    let mut client = through(&meddler, &["rm", &made.0]);
    after.sprung().await;
    assert!(!is_there(&made) && client.try_wait().unwrap().is_none());
    // The client may die; that Docker has done it stays true.
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(meddler.done().removes, 1);
}

#[tokio::test]
async fn answers_are_made_up_changed_and_dropped() {
    let (meddler, made) = (Meddler::before_docker(), a_name());
    let refusal = Action::Respond(409, json!({ "message": "made up" }));
    let refused = meddler.set(When::call(Call::Create).nth(1), refusal);
    let (well, said) = ended(through(&meddler, &["create", "--name", &made.0, ENGINE]));
    assert!(!well && said.contains("made up") && !is_there(&made), "{said}");
    let lost = meddler.set(When::call(Call::Create).nth(1), Action::DropAfter);
    assert!(!ended(through(&meddler, &["create", "--name", &made.0, ENGINE])).0);
    assert!(is_there(&made));
    let changed = Action::rewrite(|mut container| {
        container["State"]["Status"] = json!("dreaming");
        container
    });
    let changed = meddler.set(When::call(Call::Inspect).about(&made.0), changed);
    let (well, said) = ended(through(&meddler, &["inspect", "-f", "{{.State.Status}}", &made.0]));
    assert!(well && said.trim() == "dreaming", "{said}");
    assert_eq!([&refused, &lost, &changed].map(|trap| trap.times()), [1, 1, 1]);
    meddler.clear();
    assert_eq!(
        ended(through(&meddler, &["inspect", "-f", "{{.State.Status}}", &made.0])).1.trim(),
        "created"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_lost_repeated_reordered_and_ended() {
    let (meddler, made) = (Meddler::before_docker(), a_name());
    let filter = format!("container={}", made.0);
    let listen = || through(&meddler, &["events", "--filter", &filter, "--format", "{{.Action}}"]);
    let open = async |number: usize| {
        let asked =
            || meddler.asked().iter().filter(|a| a.call == Call::Events && a.answered.is_some()).count();
        while asked() < number {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let cases: [(Meddling, &[&str]); 3] = [
        (Meddling::Drop(|event| event["Action"] == "rename"), &["create", "destroy"]),
        (Meddling::Repeat(2), &["create", "create", "rename", "rename", "destroy", "destroy"]),
        (Meddling::Reorder(3), &["destroy", "rename", "create"]),
    ];
    for (number, (meddling, expected)) in cases.into_iter().enumerate() {
        let trap = meddler.meddle_with_events(meddling);
        let mut client = listen();
        open(number + 1).await;
        let other = format!("{}-x", made.0);
        for arguments in
            [&["create", "--name", &made.0, ENGINE][..], &["rename", &made.0, &other], &["rm", &other]]
        {
            assert_eq!(docker(arguments).code, 0);
        }
        trap.sprung().await;
        let mut lines = BufReader::new(client.stdout.take().expect("a pipe")).lines();
        let heard: Vec<String> =
            tokio::task::block_in_place(|| lines.by_ref().take(expected.len()).map(Result::unwrap).collect());
        assert_eq!(heard, expected, "{meddling:?}");
        meddler.meddle_with_events(Meddling::End).sprung().await;
        client.wait().expect("it ends");
        let more: Vec<String> = lines.map(Result::unwrap).collect();
        assert_eq!(more, [] as [String; 0], "{meddling:?}");
    }
}
