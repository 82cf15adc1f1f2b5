//! Which path leads where.

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    Shared, access, asking, backups, controllers, definitions, deployments, discovery, events, front, games,
    health, logs, moment, namespaces, negotiate, operations, outbox, players, pods, reviews, scale, turns,
    versions,
};

/// Every path, behind what every request passes.
pub(super) fn router(shared: Shared) -> Router {
    let routes = Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .merge(discovery::routes())
        .nest("/apis/gamekeeper.dev/v1", group().layer(from_fn(negotiate::shape)))
        .nest("/apis/apps/v1", apps().layer(from_fn(negotiate::shape)))
        .nest("/apis/apiextensions.k8s.io/v1", extensions().layer(from_fn(negotiate::shape)))
        .nest("/apis/events.k8s.io/v1", events_group().layer(from_fn(negotiate::shape)))
        .nest("/api/v1", core().layer(from_fn(negotiate::shape)))
        .nest("/apis/authorization.k8s.io/v1", reviews::authorization())
        .nest("/apis/authentication.k8s.io/v1", reviews::authentication("v1"))
        .nest("/apis/authentication.k8s.io/v1beta1", reviews::authentication("v1beta1"))
        .fallback(front::no_such_path)
        .method_not_allowed_fallback(front::method_not_allowed)
        .layer(CatchPanicLayer::custom(front::panicked))
        .with_state(shared.clone());
    // The outer router knows no path, so that the path can still be changed before it is matched.
    Router::new().fallback_service(routes).layer(from_fn_with_state(shared, front::pass))
}

fn group() -> Router<Shared> {
    Router::new()
        .route("/games", get(games::list_all))
        .route("/namespaces/{namespace}/games", get(games::list).post(games::create))
        .route(
            "/namespaces/{namespace}/games/{name}",
            get(games::get).put(games::replace).patch(games::patch).delete(games::delete),
        )
        .route(
            "/namespaces/{namespace}/games/{name}/status",
            get(games::get).put(games::refuse_status).patch(games::refuse_status),
        )
        .route(
            "/namespaces/{namespace}/games/{name}/scale",
            get(scale::get).put(scale::replace).patch(scale::patch),
        )
        .route("/namespaces/{namespace}/games/{name}/explain", get(asking::explain))
        .route("/namespaces/{namespace}/games/{name}/plan", post(asking::plan))
        .route("/namespaces/{namespace}/games/{name}/moment", get(moment::get))
        .route("/namespaces/{namespace}/games/{name}/backups", get(backups::list))
        .route("/controllers", get(controllers::list))
        .route("/controllers/{name}", get(controllers::get).patch(controllers::patch))
        .route("/controllers/{name}/adopt", post(controllers::adopt))
        .route("/controllers/{name}/remove", post(controllers::remove))
        .route("/engineversions", get(versions::list).post(versions::create))
        .route(
            "/engineversions/{name}",
            get(versions::get).put(versions::replace).patch(versions::patch).delete(versions::delete),
        )
        .route(
            "/engineversions/{name}/status",
            get(versions::get).put(versions::refuse_status).patch(versions::refuse_status),
        )
        .route("/accesstokens", get(access::list).post(access::create))
        .route("/accesstokens/{name}", get(access::get).delete(access::delete))
        .route("/operations", get(operations::list_all))
        .route("/namespaces/{namespace}/operations", get(operations::list))
        .route("/namespaces/{namespace}/operations/{name}", get(operations::get))
        .route("/turns", get(turns::list_all))
        .route("/namespaces/{namespace}/turns", get(turns::list))
        .route("/namespaces/{namespace}/turns/{name}", get(turns::get))
        .route("/turnslots", get(turns::list_all_slots))
        .route("/namespaces/{namespace}/turnslots", get(turns::list_slots))
        .route("/namespaces/{namespace}/turnslots/{name}", get(turns::get_slot))
        .route("/playermappings", get(players::list_all))
        .route("/playermappings/{name}", get(players::get_by_id))
        .route("/namespaces/{namespace}/playermappings", get(players::list))
        .route("/namespaces/{namespace}/playermappings/{name}", get(players::get))
        .route("/outbox", get(outbox::list_all))
        .route("/namespaces/{namespace}/outbox", get(outbox::list))
        .route("/namespaces/{namespace}/outbox/retry", post(outbox::retry))
        .route("/namespaces/{namespace}/outbox/skip", post(outbox::skip))
        .route("/namespaces/{namespace}/outbox/replay", post(outbox::replay))
}

fn core() -> Router<Shared> {
    Router::new()
        .route("/events", get(events::list_all))
        .route("/namespaces/{namespace}/events", get(events::list))
        .route("/namespaces", get(namespaces::list).post(namespaces::refuse).delete(namespaces::refuse))
        .route(
            "/namespaces/{namespace}",
            get(namespaces::get).put(namespaces::refuse).patch(namespaces::refuse).delete(namespaces::refuse),
        )
        .route("/pods", get(pods::list_all))
        .route("/namespaces/{namespace}/pods", get(pods::list).post(pods::refuse).delete(pods::refuse))
        .route(
            "/namespaces/{namespace}/pods/{name}",
            get(pods::get).put(pods::refuse).patch(pods::refuse).delete(pods::refuse),
        )
        .route("/namespaces/{namespace}/pods/{name}/log", get(logs::get))
        .route("/namespaces/{namespace}/pods/{name}/eviction", post(pods::refuse))
        .route("/namespaces/{namespace}/pods/{name}/ephemeralcontainers", any(pods::not_yet))
        .route("/namespaces/{namespace}/pods/{name}/exec", any(pods::not_yet))
        .route("/namespaces/{namespace}/pods/{name}/attach", any(pods::not_yet))
        .route("/namespaces/{namespace}/pods/{name}/portforward", any(pods::not_yet))
        .route("/namespaces/{namespace}/pods/{name}/proxy", any(pods::not_yet))
        .route("/namespaces/{namespace}/pods/{name}/proxy/{*path}", any(pods::not_yet_below))
}

fn apps() -> Router<Shared> {
    Router::new()
        .route("/deployments", get(deployments::list_all))
        .route(
            "/namespaces/{namespace}/deployments",
            get(deployments::list).post(deployments::refuse).delete(deployments::refuse),
        )
        .route(
            "/namespaces/{namespace}/deployments/{name}",
            get(deployments::get)
                .put(deployments::replace)
                .patch(deployments::patch)
                .delete(deployments::refuse),
        )
        .route(
            "/namespaces/{namespace}/deployments/{name}/scale",
            get(scale::get_of_deployment).put(scale::replace_of_deployment).patch(scale::patch_of_deployment),
        )
        .route("/replicasets", get(deployments::no_past))
        .route("/namespaces/{namespace}/replicasets", get(deployments::no_past))
}

fn extensions() -> Router<Shared> {
    Router::new()
        .route(
            "/customresourcedefinitions",
            get(definitions::list).post(definitions::refuse).delete(definitions::refuse),
        )
        .route(
            "/customresourcedefinitions/{name}",
            get(definitions::get)
                .put(definitions::refuse)
                .patch(definitions::refuse)
                .delete(definitions::refuse),
        )
        .route("/customresourcedefinitions/{name}/status", get(definitions::get))
}

fn events_group() -> Router<Shared> {
    Router::new()
        .route("/events", get(events::list_all_of_group))
        .route("/namespaces/{namespace}/events", get(events::list_of_group))
}
