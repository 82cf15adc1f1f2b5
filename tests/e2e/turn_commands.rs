//! The commands about turns, and the look-up of players, on a real engine.

use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::world::{World, container, docker};

#[tokio::test]
async fn turns_are_forced_held_and_explained_from_the_command_line() {
    let world = World::started().await;
    let game = world.running("vega").await;
    let forced = world.ok(&["force-turn", "vega", "--wait"]);
    assert!(forced.contains("game/vega turn 1 done in "), "{forced}");
    world.ok(&["pause", "vega", "--wait"]);
    let paused =
        format!("SELECT count(*) FROM runtime_records WHERE game_id = '{game}' AND paused_at IS NOT NULL");
    assert_eq!(world.count(&paused).await, 1);
    let told = world.ok(&["explain", "vega"]);
    assert!(told.contains("- Paused: No turn begins since "), "{told}");
    assert_eq!(world.gk(&["force-turn", "vega", "--wait", "--timeout", "1s"]).code, 5);
    world.ok(&["resume", "vega", "--wait"]);
    world
        .eventually("the turn that was kept", async || world.ok(&["turns", "vega"]).lines().count() == 3)
        .await;

    // A schedule of every second, put off: nothing fires, and what waits is one turn.
    world.ok(&["defer", "vega", "--for", "1h", "--wait"]);
    world.sql(&format!("UPDATE games SET turn_schedule = '* * * * * *' WHERE game_id = '{game}'")).await;
    world.eventually("it is taken up", async || world.ok(&["explain", "vega"]).contains("NotBefore")).await;
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    assert_eq!(world.ok(&["turns", "vega"]).lines().count(), 3);
    world.ok(&["defer", "vega", "--clear", "--wait"]);
    world
        .eventually("turns of the schedule", async || {
            world.ok(&["turns", "vega", "-o", "wide"]).matches("Schedule").count() >= 2
        })
        .await;
    let turns: Value = serde_json::from_str(&world.ok(&["turns", "vega", "-o", "json"])).unwrap();
    let turns = turns["items"].as_array().unwrap();
    let last =
        turns.iter().rfind(|turn| turn["status"]["phase"] == "Done" && turn["spec"]["cause"] == "Schedule");
    let status = &last.unwrap()["status"];
    assert!(status["lagSeconds"].as_f64().is_some_and(|lag| (0.0..60.0).contains(&lag)), "{status:#}");
    assert!(world.ok(&["turns", "vega", "--slots"]).contains("Fired"));
    let now = jiff::Timestamp::now().to_string();
    let then = world.ok(&["explain", "vega", "--at", &now]);
    assert!(then.contains("The slot of ") && then.contains("schedule   * * * * * * (UTC)"), "{then}");

    world.ok(&["stop", "vega", "--wait"]);
    let refused = world.gk(&["force-turn", "vega", "--wait"]);
    assert!(refused.code == 1 && refused.stderr.contains("no turn: No turn can be forced"), "{refused:?}");
    for operation in
        ["pause succeeded", "resume succeeded", "force_next_turn succeeded", "force_next_turn failed"]
    {
        assert!(world.operations(&game).await.contains(&operation.to_owned()), "{operation}");
    }
}

/// A proxy in front of the engines.
struct Proxy {
    client: Client,
    server: String,
    token: String,
}

impl Proxy {
    fn of(world: &World) -> Self {
        use base64::Engine;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = std::fs::read_to_string(world.data_dir().join("kubeconfig")).unwrap();
        let config: Value = serde_yaml::from_str(&text).unwrap();
        let cluster = &config["clusters"][0]["cluster"];
        let authority = cluster["certificate-authority-data"].as_str().unwrap();
        let authority = base64::engine::general_purpose::STANDARD.decode(authority).unwrap();
        let authority = reqwest::Certificate::from_pem(&authority).unwrap();
        Self {
            client: Client::builder().tls_certs_only([authority]).no_proxy().build().unwrap(),
            server: cluster["server"].as_str().unwrap().to_owned(),
            token: config["users"][0]["user"]["token"].as_str().unwrap().to_owned(),
        }
    }

    /// Where a user's game is played, and as whom.
    async fn look_up(&self, game: &str, user: &str) -> (StatusCode, Value) {
        let url = format!("{}/apis/gamekeeper.dev/v1/playermappings/{game}.{user}", self.server);
        let answer = self.client.get(url).bearer_auth(&self.token).send().await.unwrap();
        (answer.status(), serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }
}

#[tokio::test]
async fn a_proxy_is_told_the_truth_while_players_and_engines_come_and_go() {
    let world = World::started().await;
    let game = world.running("vega").await;
    let user: String = world.rows("SELECT user_id FROM memberships").await[0].get(0);
    let proxy = Proxy::of(&world);
    let (code, found) = proxy.look_up(&game, &user).await;
    assert_eq!((code, &found["status"]["serving"]), (StatusCode::OK, &true.into()), "{found:#}");
    // The engine itself knows this player, at this endpoint.
    let endpoint = found["status"]["endpoint"].as_str().unwrap();
    let healthy =
        Client::builder().no_proxy().build().unwrap().get(format!("http://{endpoint}/healthz")).send().await;
    assert!(healthy.unwrap().status().is_success());
    let known = world.ok(&["players", "vega"]);
    assert!(known.contains(found["status"]["enginePlayerId"].as_str().unwrap()), "{known}");

    // Removed: refused from the commit on, without waiting for any controller.
    world.sql(&format!("UPDATE memberships SET status = 'removed' WHERE user_id = '{user}'")).await;
    let (code, refused) = proxy.look_up(&game, &user).await;
    assert_eq!((code, &refused["reason"]), (StatusCode::FORBIDDEN, &"Forbidden".into()));
    world.sql(&format!("UPDATE memberships SET status = 'active' WHERE user_id = '{user}'")).await;

    // Stopped: a member all the same, with nowhere to go.
    world.ok(&["stop", "vega", "--wait"]);
    let (code, stopped) = proxy.look_up(&game, &user).await;
    assert_eq!((code, &stopped["status"]["serving"]), (StatusCode::OK, &false.into()));
    assert_eq!((&stopped["status"]["phase"], stopped["status"].get("endpoint")), (&"Stopped".into(), None));
    world.ok(&["start", "vega", "--wait"]);
    world
        .eventually("it serves again", async || {
            proxy.look_up(&game, &user).await.1["status"]["serving"] == true
        })
        .await;

    // Killed, with nobody there to heal it at once: nobody is sent to an address that is free.
    world.misbehave(&game, &serde_json::json!({ "exitAtStart": 3 }));
    docker(&["kill", &container(&game)]);
    world
        .eventually("it serves no more", async || {
            proxy.look_up(&game, &user).await.1["status"]["serving"] == false
        })
        .await;
    assert_eq!(proxy.look_up(&game, "00000000-0000-4000-8000-000000000000").await.0, StatusCode::NOT_FOUND);
}
