//! A pixel on hyper: tokio's current-thread runtime, a connection per task, a text line of log.

use brink_peers::{Arguments, answer, listen, log::Log};
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    cell::RefCell,
    convert::Infallible,
    io::{self, Write},
    net::SocketAddr,
    rc::Rc,
    time::SystemTime,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::LocalSet,
};

/// Names of the answer's headers, as hyper knows them.
const NAMES: [header::HeaderName; 3] =
    [header::CONTENT_TYPE, header::CACHE_CONTROL, header::EXPIRES];

fn main() -> io::Result<()> {
    let arguments = Arguments::of_process()?;
    let path = arguments.log.as_deref().ok_or_else(|| io::Error::other("wanted: a log"))?;
    let log = Rc::new(RefCell::new(Log::create(path)?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    LocalSet::new().block_on(&runtime, async {
        let mut term = signal(SignalKind::terminate())?;
        tokio::select! {
            served = serve(arguments.address, log.clone()) => served?,
            _ = term.recv() => {}
        }
        log.borrow_mut().flush()
    })
}

async fn serve(address: SocketAddr, log: Rc<RefCell<Log>>) -> io::Result<()> {
    let listener = listen(address)?;
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, peer) = listener.accept().await?;
        let log = log.clone();
        tokio::task::spawn_local(async move {
            let answer = service_fn(|request| {
                let answer = answer(&request, peer, &log);
                async { Ok::<_, Infallible>(answer) }
            });
            // Not with `pipeline_flush`: it keeps an answer back while a next request has only
            // begun.
            let connection = http1::Builder::new();
            // One that breaks is over; there is nobody to tell.
            let _ = connection.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    peer: SocketAddr,
    log: &RefCell<Log>,
) -> Response<Full<Bytes>> {
    let found = request.uri().path() == answer::PATH;
    let mut response =
        Response::new(Full::new(Bytes::from_static(if found { &answer::GIF } else { b"" })));
    if found {
        for (name, (_, value)) in NAMES.into_iter().zip(answer::HEADERS) {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        let connection = request.headers().get(header::CONNECTION);
        if connection.is_none_or(|value| value != "close") {
            let kept = HeaderValue::from_static("keep-alive");
            response.headers_mut().insert(header::CONNECTION, kept);
        }
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    if let Err(error) = log.borrow_mut().line(|line| write(line, request, peer, &response)) {
        eprintln!("peer-hyper: the log cannot be written: {error}");
    }
    response
}

fn write(
    line: &mut Vec<u8>,
    request: &Request<Incoming>,
    peer: SocketAddr,
    response: &Response<Full<Bytes>>,
) -> io::Result<()> {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let (method, uri, status) = (request.method(), request.uri(), response.status().as_u16());
    write!(line, "{}.{:03} {} ", now.as_secs(), now.subsec_millis(), peer.ip())?;
    write!(line, "\"{method} {uri} HTTP/1.1\" {status}")?;
    for name in [header::REFERER, header::USER_AGENT, header::COOKIE] {
        let value = request.headers().get(name).map_or(b"-".as_slice(), HeaderValue::as_bytes);
        line.extend_from_slice(b" \"");
        line.extend_from_slice(value);
        line.push(b'"');
    }
    Ok(())
}
