//! What kubectl tells of errors.

use gamekeeper::api::auth::Role;

use super::{ANDROMEDA, Kubectl, VERSION};
use crate::world::{World, token};

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_tells_what_is_wrong() {
    let world = World::with(|tokens| token(tokens, Role::Viewer, "looker")).await;
    for (number, kubectl) in Kubectl::all(&world).iter().enumerate() {
        let missing = kubectl.fails(&["get", "gm", "nobody"]).await;
        assert_eq!(missing, "Error from server (NotFound): games.gamekeeper.dev \"nobody\" not found\n");

        let name = format!("andromeda{number}");
        let manifest = ANDROMEDA.replace("andromeda", &name);
        let wrong = async |from: &str, to: &str, with: &[&str]| {
            let file = kubectl.file("wrong.yaml", &manifest.replace(from, to));
            let mut arguments = vec!["apply", "-f", &file];
            arguments.extend(with);
            kubectl.run(&arguments).await
        };
        let typed = wrong("engineVersion: \"1.4.2\"", "engineVersion: 1.4", &[]).await;
        assert!(typed.code != Some(0) && typed.err.contains("spec.engineVersion"), "{typed:#?}");
        let strict = wrong("desiredStatus:", "desiredStatos:", &["--validate=strict"]).await;
        assert!(strict.code != Some(0) && strict.err.contains("spec.desiredStatos"), "{strict:#?}");
        let many = wrong("schedule:", "scedule:", &["--server-side", "--validate=strict"]).await;
        assert!(many.code != Some(0) && many.err.contains("spec.turns.scedule"), "{many:#?}");
        let invalid = wrong("0 18 * * *", "0 99 * * *", &[]).await;
        assert!(invalid.err.contains(&format!("The Game \"{name}\" is invalid")), "{invalid:#?}");
        assert!(invalid.err.contains("spec.turns.schedule"), "{invalid:#?}");

        let warned = wrong("  resources:", "  resorces:", &["--validate=warn"]).await;
        assert_eq!(warned.code, Some(0), "{warned:#?}");
        assert!(warned.err.contains("Warning: unknown field \"spec.resorces\""), "{warned:#?}");
        let ignored = wrong("  resources:", "  resorces:", &["--validate=ignore"]).await;
        assert_eq!((ignored.code, ignored.err.as_str()), (Some(0), ""), "{ignored:#?}");

        let exists = kubectl.file("exists.yaml", &manifest);
        let exists = kubectl.fails(&["create", "-f", &exists]).await;
        assert!(exists.contains("(AlreadyExists)"), "{exists}");
        let strategic = kubectl.fails(&["patch", "gm", &name, "-p", "{}"]).await;
        assert!(strategic.contains("--type=merge") || strategic.contains("strategic"), "{strategic}");
        let scaled = kubectl.fails(&["scale", "gm", &name, "--replicas=3"]).await;
        assert!(scaled.contains("one engine (1) or none (0)"), "{scaled}");
        let moved = kubectl.fails(&["scale", "gm", &name, "--resource-version=1", "--replicas=0"]).await;
        assert!(!moved.is_empty());

        let version = kubectl.file("version.yaml", VERSION);
        kubectl.ok(&["apply", "-f", &version]).await;
        let image = kubectl.file("image.yaml", &VERSION.replace("engine:1.4.2", "engine:other"));
        let image = kubectl.fails(&["apply", "-f", &image]).await;
        assert!(image.contains("spec.image") && image.contains("never changes"), "{image}");

        let looker = kubectl.with_token("looker");
        looker.ok(&["get", "games"]).await;
        let forbidden = looker.fails(&["label", "gm", &name, "a=b"]).await;
        assert!(forbidden.starts_with("Error from server (Forbidden): "), "{forbidden}");
        let nobody = kubectl.with_token("nobody");
        let unauthorized = nobody.fails(&["get", "games"]).await;
        assert!(
            unauthorized.contains("You must be logged in") || unauthorized.contains("bearer token"),
            "{unauthorized}"
        );
    }
    world.end().await;
}
