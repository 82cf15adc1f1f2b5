//! What keeps the controller that is asked from acting.

use crate::cli::client::Object;
use crate::game::controller::DOCKER_WAY_OUT;

/// One of them.
pub(crate) struct Obstacle {
    /// What was found.
    pub(crate) what: String,
    /// What to do about it.
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
    freezes.chain(docker).collect()
}
