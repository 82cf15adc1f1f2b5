//! The things that keep the controller that is asked from acting.

use crate::cli::client::Object;
use crate::game::controller::DOCKER_WAY_OUT;

/// One of them.
pub(crate) struct Obstacle {
    /// The finding.
    pub(crate) what: String,
    /// The way out.
    pub(crate) way_out: String,
}

/// All of them; none of a controller that acts, or could.
pub(crate) fn obstacles(controller: &Object) -> Vec<Obstacle> {
    let freezes = controller.list("/status/freezes").iter().cloned().map(Object);
    let freezes = freezes.map(|freeze| {
        let of = |at: &str| freeze.text(at).unwrap_or_default().to_owned();
        Obstacle { what: format!("{}: {}", of("/reason"), of("/message")), way_out: of("/wayOut") }
    });
    let docker = controller.text("/status/dockerDown").map(|why| Obstacle {
        what: format!("Docker does not answer: {why}"),
        way_out: DOCKER_WAY_OUT.to_owned(),
    });
    let database = controller.text("/status/databaseDown").map(|why| Obstacle {
        what: format!("the database does not answer the controller: {why}"),
        way_out: "mend the database; the controller goes on by itself".to_owned(),
    });
    let is_starting = controller.text("/status/phase") == Some("Starting");
    let starting = is_starting.then(|| Obstacle {
        what: "the controller has not looked at everything yet, and hears of no change of desired state"
            .into(),
        way_out: "wait a moment; if it stays so, the server's log says what it waits for".to_owned(),
    });
    freezes.chain(docker).chain(database).chain(starting).collect()
}
