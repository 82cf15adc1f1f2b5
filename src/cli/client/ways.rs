//! What is asked of the whole controller: how it is, what it would do, and what operators decide.

use reqwest::Method;
use serde_json::Value;

use super::{Address, Client, ClientError, Object, Place, Writing};
use crate::game::operation::OperationKind;

/// More play in no game.
const PLAYERS: usize = 5_000;

/// The path of all controllers, of which there is one.
pub(crate) const CONTROLLERS: &str = "apis/gamekeeper.dev/v1/controllers";
const CONTROLLER: &str = "apis/gamekeeper.dev/v1/controllers/gamekeeper";

impl Client {
    /// The whole controller.
    pub(crate) async fn controller(&self) -> Result<Object, ClientError> {
        self.json(Method::GET, self.url(CONTROLLER, &[]), None).await
    }

    /// Changes what is wanted of it.
    pub(crate) async fn change_controller(&self, patch: &Value, how: Writing) -> Result<Object, ClientError> {
        let url = self.url(CONTROLLER, &how.query());
        self.json(Method::PATCH, url, Some(("application/merge-patch+json", patch))).await
    }

    /// Gives a container that belongs to no game one.
    pub(crate) async fn adopt(&self, body: &Value, how: Writing) -> Result<Object, ClientError> {
        self.decide("adopt", body, how).await
    }

    /// Has a container that belongs to no game removed.
    pub(crate) async fn remove(&self, body: &Value, how: Writing) -> Result<Object, ClientError> {
        self.decide("remove", body, how).await
    }

    async fn decide(&self, what: &str, body: &Value, how: Writing) -> Result<Object, ClientError> {
        let url = self.url(&[CONTROLLER, what].join("/"), &how.query());
        self.json(Method::POST, url, Some(("application/json", body))).await
    }

    /// What the controller would do about a game now, and why.
    pub(crate) async fn explain(&self, game: Address<'_>) -> Result<Object, ClientError> {
        self.json(Method::GET, self.url(&[&game.path(), "explain"].join("/"), &[]), None).await
    }

    /// What was decided about a game at a time, and why.
    pub(crate) async fn moment(&self, game: Address<'_>, at: &str) -> Result<Object, ClientError> {
        let url = self.url(&[&game.path(), "moment"].join("/"), &[("at", at.to_owned())]);
        self.json(Method::GET, url, None).await
    }

    /// A game's turns, newest first.
    pub(crate) async fn turns(&self, game: Address<'_>, limit: usize) -> Result<Vec<Object>, ClientError> {
        self.history(game, "turns", limit).await
    }

    /// Where a game's turns are watched.
    pub(crate) fn place_of_turns(game: Address<'_>) -> Place {
        let path = ["apis/gamekeeper.dev/v1/namespaces", game.namespace, "turns"].join("/");
        Place { path, selectors: vec![("fieldSelector", format!("spec.game={}", game.name))] }
    }

    /// Where a game's operations of a kind are watched.
    pub(crate) fn place_of_operations(game: Address<'_>, op: OperationKind) -> Place {
        let path = ["apis/gamekeeper.dev/v1/namespaces", game.namespace, "operations"].join("/");
        let selector = format!("spec.game={},spec.op={}", game.name, op.as_row());
        Place { path, selectors: vec![("fieldSelector", selector)] }
    }

    /// What became of a game's slots, newest first.
    pub(crate) async fn slots(&self, game: Address<'_>, limit: usize) -> Result<Vec<Object>, ClientError> {
        self.history(game, "turnslots", limit).await
    }

    /// A game's kept copies, newest first.
    pub(crate) async fn backups(&self, game: Address<'_>, limit: usize) -> Result<Vec<Object>, ClientError> {
        self.backups_with(game, "", limit).await
    }

    /// Those of a game's kept copies that this field selector admits, newest first.
    pub(crate) async fn backups_with(
        &self,
        game: Address<'_>,
        selector: &str,
        limit: usize,
    ) -> Result<Vec<Object>, ClientError> {
        let path = [&game.path(), "backups"].join("/");
        let selector = Some(("fieldSelector", selector.to_owned())).filter(|(_, text)| !text.is_empty());
        let query = selector.into_iter().chain([("limit", limit.to_string())]).collect();
        self.pages(&path, query, Some(limit)).await
    }

    /// Who plays or played in a game.
    pub(crate) async fn players(&self, game: Address<'_>) -> Result<Vec<Object>, ClientError> {
        self.history(game, "playermappings", PLAYERS).await
    }

    async fn history(
        &self,
        game: Address<'_>,
        plural: &str,
        limit: usize,
    ) -> Result<Vec<Object>, ClientError> {
        let path = ["apis/gamekeeper.dev/v1/namespaces", game.namespace, plural].join("/");
        let selector = format!("spec.game={}", game.name);
        self.pages(&path, vec![("fieldSelector", selector), ("limit", limit.to_string())], Some(limit)).await
    }

    /// What it would do if this were applied: a game, or a list of it and engine versions.
    pub(crate) async fn plan(&self, game: Address<'_>, body: &Value) -> Result<Object, ClientError> {
        let how = Writing { from_manifest: true, dry_run: true };
        let url = self.url(&[&game.path(), "plan"].join("/"), &how.query());
        self.json(Method::POST, url, Some(("application/json", body))).await
    }

    /// The latest events in a namespace, or in all, oldest first.
    pub(crate) async fn latest_events(
        &self,
        namespace: Option<&str>,
        selector: Option<String>,
        limit: usize,
    ) -> Result<Vec<Object>, ClientError> {
        let path = match namespace {
            Some(namespace) => ["api/v1/namespaces", namespace, "events"].join("/"),
            None => "api/v1/events".into(),
        };
        // A limit would make pages, of which the first need not have the latest.
        let mut query = vec![("latest", limit.to_string())];
        query.extend(selector.map(|selector| ("fieldSelector", selector)));
        self.pages(&path, query, Some(limit)).await
    }

    /// What the lobby is told, oldest first.
    pub(crate) async fn outbox(
        &self,
        namespace: Option<&str>,
        selector: &str,
        limit: usize,
    ) -> Result<Vec<Object>, ClientError> {
        let query = vec![("limit", limit.to_string()), ("fieldSelector", selector.to_owned())];
        self.pages(&outbox(namespace), query, Some(limit)).await
    }

    /// Has events told again (`retry`, `replay`), or not at all (`skip`).
    pub(crate) async fn change_outbox(
        &self,
        namespace: &str,
        verb: &str,
        body: &Value,
        how: Writing,
    ) -> Result<Object, ClientError> {
        let url = self.url(&[&outbox(Some(namespace)), verb].join("/"), &how.query());
        self.json(Method::POST, url, Some(("application/json", body))).await
    }
}

fn outbox(namespace: Option<&str>) -> String {
    let root = "apis/gamekeeper.dev/v1";
    match namespace {
        Some(namespace) => [root, "namespaces", namespace, "outbox"].join("/"),
        None => [root, "outbox"].join("/"),
    }
}
