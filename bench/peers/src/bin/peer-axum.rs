//! A pixel on axum: tokio's current-thread runtime, a router, a line of JSON for each request.

use axum::{
    Router,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use brink_peers::{Arguments, answer, listen, log::Log};
use serde::Serialize;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

/// Names of the answer's headers, as axum knows them.
const NAMES: [HeaderName; 3] = [header::CONTENT_TYPE, header::CACHE_CONTROL, header::EXPIRES];

/// A line of log.
#[derive(Serialize)]
struct Event<'a> {
    at_ms: u64,
    client: IpAddr,
    method: &'a str,
    target: String,
    status: u16,
    referer: Option<&'a str>,
    user_agent: Option<&'a str>,
    cookie: Option<&'a str>,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::of_process()?;
    let path = arguments.log.as_deref().ok_or_else(|| io::Error::other("wanted: a log"))?;
    let log = Arc::new(Mutex::new(Log::create(path)?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(arguments.address)?;
        listener.set_nonblocking(true)?;
        let app = Router::new().route(answer::PATH, get(pixel)).with_state(log.clone());
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let mut term = signal(SignalKind::terminate())?;
        tokio::select! {
            served = axum::serve(TcpListener::from_std(listener)?, app) => served?,
            _ = term.recv() => {}
        }
        log.lock().unwrap_or_else(PoisonError::into_inner).flush()
    })
}

async fn pixel(
    State(log): State<Arc<Mutex<Log>>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let event = Event {
        at_ms: SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_millis() as u64,
        client: peer.ip(),
        method: method.as_str(),
        target: uri.to_string(),
        status: 200,
        referer: text(header::REFERER),
        user_agent: text(header::USER_AGENT),
        cookie: text(header::COOKIE),
    };
    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
    if let Err(error) = log.line(|line| Ok(serde_json::to_writer(line, &event)?)) {
        eprintln!("peer-axum: the log cannot be written: {error}");
    }
    let mut answer = answer::GIF.into_response();
    for (name, (_, value)) in NAMES.into_iter().zip(answer::HEADERS) {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if text(header::CONNECTION) != Some("close") {
        let kept = HeaderValue::from_static("keep-alive");
        answer.headers_mut().insert(header::CONNECTION, kept);
    }
    answer
}
