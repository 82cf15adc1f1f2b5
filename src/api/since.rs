//! Since when the controller is ready, or not: what a condition's transition time tells.

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::wire::is_ready;
use crate::game::controller::ControllerStatus;

/// Follows the controller's status, for as long as somebody reads the answer.
pub(super) fn follow(
    mut controller: watch::Receiver<ControllerStatus>,
    shutdown: CancellationToken,
) -> watch::Receiver<Timestamp> {
    let (since, told) = watch::channel(Timestamp::now());
    let mut ready = is_ready(&controller.borrow_and_update());
    let following = async move {
        while controller.changed().await.is_ok() {
            let now = is_ready(&controller.borrow_and_update());
            if now != ready {
                ready = now;
                since.send_replace(Timestamp::now());
            }
        }
    };
    tokio::spawn(shutdown.run_until_cancelled_owned(following));
    told
}
