//! A container that another build of Gamekeeper made, whose labels say less, or more, than this one
//! writes: it is taken as it is.

use serde_json::{Value, json};

use crate::ground::{NOTHING, behind};
use crate::meddler::{Action, Call, Meddler, When};
use crate::world::inspect;

/// A build, and what it wrote otherwise.
type Build = (&'static str, fn(&mut Value));

const INPUTS: &str = "gamekeeper.dev/inputs";

/// What Docker says of a container, with other declared inputs in its labels.
fn labelled(change: fn(&mut Value)) -> Action {
    Action::rewrite(move |mut container| {
        let label = &mut container["Config"]["Labels"][INPUTS];
        if let Some(mut inputs) = label.as_str().and_then(|inputs| serde_json::from_str::<Value>(inputs).ok())
        {
            change(&mut inputs);
            *label = inputs.to_string().into();
        }
        container
    })
}

#[tokio::test]
async fn a_container_whose_labels_another_build_wrote_is_adopted_and_not_made_anew() {
    let builds: [Build; 3] = [
        ("an older build, which did not know of limits yet", |inputs| {
            inputs.as_object_mut().unwrap().remove("resources");
        }),
        ("a newer build, which knows of more", |inputs| inputs["addedLater"] = json!({ "any": "thing" })),
        ("a build that wrote something else altogether", |inputs| *inputs = json!(["another", "form"])),
    ];
    for (number, (build, change)) in builds.into_iter().enumerate() {
        for record_is_lost in [false, true] {
            let meddler = Meddler::before_docker();
            let mut world = behind(&meddler, &[]).await;
            let game = world.running(&format!("build-{number}")).await;
            let (life, before) = (inspect(&game, "{{.Id}} {{.State.StartedAt}}"), meddler.done());
            world.kill_keeper();
            if record_is_lost {
                world.sql(&format!("DELETE FROM runtime_records WHERE game_id = '{game}'")).await;
            }
            let rewritten = meddler.set(When::call(Call::Inspect), labelled(change));
            world.start();
            rewritten.sprung().await;
            world
                .until(&game, "running", |status| status.phase == "running" && status.endpoint.is_some())
                .await;
            // A turn, so that several rounds have looked at it.
            world.sql(&format!("UPDATE games SET force_turn_generation = 1 WHERE game_id = '{game}'")).await;
            crate::ledger::until_turn(&world, &game, 1).await;
            assert_eq!(inspect(&game, "{{.Id}} {{.State.StartedAt}}"), life, "{build}");
            assert_eq!((meddler.done() - before, world.inits(&game)), (NOTHING, 1), "{build}");
        }
    }
}
