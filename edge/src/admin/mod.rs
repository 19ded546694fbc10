//! The operators' listener: what is going on, for people and for machines.
//!
//! ```text
//!  /metrics  Prometheus text: counters, gauges, latency histograms that can be added up
//!  /status   JSON: ledger, rings, spool, service times, threads, memory, alarms
//!  /health   200 while the process lives
//!  /ready    1 and 200, or 0 and 503
//! ```
//!
//! Not for the internet: it has no bound on who asks. Everything is read from counters; nobody who
//! serves is asked, and nobody waits.

pub mod metrics;
pub mod status;

use crate::appliance::board::Board;
use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until the task is dropped.
pub async fn serve(listener: TcpListener, board: Arc<Board>) {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/health", get(async || "ok\n"))
        .route("/ready", get(ready))
        .with_state(board);
    if let Err(error) = axum::serve(listener, routes).await {
        tracing::error!(%error, "the operators' listener has ended");
    }
}

async fn metrics(State(board): State<Arc<Board>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&board))
}

async fn status(State(board): State<Arc<Board>>) -> Json<status::Status> {
    board.gather_latency();
    Json(status::Status::read(&board))
}

async fn ready(State(board): State<Arc<Board>>) -> (StatusCode, &'static str) {
    match board.is_ready() {
        true => (StatusCode::OK, "1\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "0\n"),
    }
}
