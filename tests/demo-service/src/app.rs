//! The routes.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use profiler_annotate::RequestIdLayer;
use profiler_annotate::profile_header::ProfileKeyError;
use sqlx::SqlitePool;

use crate::measure::MeasureLayer;
use crate::orders::{self, Invoice, OrderError, OrderName};
use crate::truth::{Truth, Truths};

/// `GET /orders/{name}` does the work; `GET /truth/{request id}` tells what the service measured of one of its requests.
pub(crate) fn routes(pool: SqlitePool) -> Result<Router, ProfileKeyError> {
    let truths = Truths::default();
    let orders = Router::new()
        .route("/orders/{name}", get(order))
        .with_state(pool)
        // For the profiler's tests: the service's own clocks, just inside the scope.
        .layer(MeasureLayer::new(truths.clone()))
        // The line for the profiler: each request is a scope named by its `x-request-id`, and can ask to be profiled by a token, if the
        // environment has a key for these.
        .layer(RequestIdLayer::new().profile_key_from_env()?);
    let truth = Router::new().route("/truth/{id}", get(truth)).with_state(truths);
    Ok(orders.merge(truth))
}

async fn order(State(pool): State<SqlitePool>, Path(name): Path<String>) -> Result<Json<Invoice>, OrderError> {
    let name: OrderName = name.parse()?;
    orders::invoice(&pool, name).await.map(Json)
}

async fn truth(State(truths): State<Truths>, Path(id): Path<String>) -> Result<Json<Truth>, StatusCode> {
    truths.get(&id).map(Json).ok_or(StatusCode::NOT_FOUND)
}

impl IntoResponse for OrderError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoName => StatusCode::BAD_REQUEST,
            Self::NoSuchOrder => StatusCode::NOT_FOUND,
            Self::Database(_) | Self::Child(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, format!("{self}\n")).into_response()
    }
}
