//! Connections: not too many, none that only holds its place, and an orderly end.

use super::app::App;
use super::refusal::AGAIN;
use super::router::router;
use crate::Failure;
use crate::console::Console;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// So long a head may take to arrive, and a connection may stay without a request.
const HEAD: Duration = Duration::from_secs(15);
/// So long one that is turned away is given to read why.
const TURNED_AWAY: Duration = Duration::from_secs(1);
/// So long it waits when the system gives it no connection.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers requests until the process is told to end (SIGINT, SIGTERM), and then those that have begun.
pub(super) async fn serve(listener: TcpListener, app: Arc<App>, console: &Console) -> Result<(), Failure> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let (limits, metrics) = (app.limits, app.metrics.clone());
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let router = router(&app);
    let mut end = std::pin::pin!(told_to_end());
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                // of one connection, or of all until others end
                Err(_) => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
            told = &mut end => {
                told?;
                break;
            }
        };
        let Ok(place) = places.clone().try_acquire_owned() else {
            tokio::spawn(turn_away(stream));
            continue;
        };
        drop(stream.set_nodelay(true));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD.min(limits.timeout))
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        let connection = graceful.watch(connection);
        let metrics = metrics.clone();
        metrics.connections.inc();
        tokio::spawn(async move {
            // a client that goes away, or says what is not HTTP, is no fault of the server
            drop(connection.await);
            metrics.connections.dec();
            drop(place);
        });
    }
    drop(listener);
    console.progress("stopping: requests that have begun are answered");
    // a body and its answer
    let most = 2 * limits.timeout;
    if tokio::time::timeout(most, graceful.shutdown()).await.is_err() {
        console.warn(format_args!(
            "some requests were not done in {}, and are dropped",
            humantime::format_duration(most)
        ));
    }
    Ok(())
}

/// Says that there is no place.
async fn turn_away(mut stream: TcpStream) {
    let body = r#"{"error":"the server has as many connections as it takes\nhelp: ask again in a moment"}"#;
    let text = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: {AGAIN}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let say = async {
        stream.write_all(text.as_bytes()).await?;
        stream.shutdown().await?;
        // what is not read would make the system drop what was written
        let mut rest = [0; 4096];
        while stream.read(&mut rest).await? > 0 {}
        std::io::Result::Ok(())
    };
    drop(tokio::time::timeout(TURNED_AWAY, say).await);
}

#[cfg(unix)]
async fn told_to_end() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

#[cfg(not(unix))]
async fn told_to_end() -> std::io::Result<()> {
    tokio::signal::ctrl_c().await
}
