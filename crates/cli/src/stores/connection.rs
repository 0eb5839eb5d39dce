//! Requests to stores over the client that `pull` has, with rustls and ring: what comes is handed on block by block.

use async_trait::async_trait;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame};
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse};
use object_store::client::{HttpResponseBody, HttpService};
use object_store::{ClientConfigKey, ClientOptions};
use std::io::{ErrorKind, Read};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::spawn_blocking;
use ureq::Agent;
use ureq::http::Request;

const CONNECT: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(60);
/// A connection that gives or takes nothing for so long has stalled.
const STALLED: Duration = Duration::from_secs(30);
const BLOCK: usize = 1 << 17;
/// Blocks of one answer that wait to be written.
const AHEAD: usize = 4;
/// Connections to a host that are kept for the next request.
const KEPT: usize = 32;

/// Makes connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connector {
    /// How often an answer may lead elsewhere. A signed request is not followed: its signature is for one address.
    pub(super) redirects: u32,
}

#[derive(Debug)]
struct Connection {
    agent: Agent,
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let connect = options.get_config_value(&ClientConfigKey::ConnectTimeout);
        let connect = connect.and_then(|text| humantime::parse_duration(&text).ok());
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(self.redirects)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .max_idle_connections_per_host(KEPT)
            .max_idle_connections(KEPT)
            .timeout_connect(Some(connect.unwrap_or(CONNECT).min(CONNECT)))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(STALLED))
            .timeout_per_write(Some(STALLED))
            .user_agent(concat!("frostline/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(HttpClient::new(Connection { agent }))
    }
}

#[async_trait]
impl HttpService for Connection {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let agent = self.agent.clone();
        let answer = spawn_blocking(move || {
            // what has no body at all must not say how long it is
            let bare = body.is_empty() && !matches!(parts.method.as_str(), "PUT" | "POST" | "PATCH");
            match bare {
                true => agent.run(Request::from_parts(parts, ())),
                false => agent.run(Request::from_parts(parts, &body[..])),
            }
        });
        let answer = answer.await.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let (parts, body) = answer.map_err(|error| HttpError::new(kind(&error), error))?.into_parts();
        let (sender, receiver) = channel(AHEAD);
        spawn_blocking(move || hand_on(body.into_reader(), &sender));
        Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(Blocks(receiver))))
    }
}

/// Reads an answer to its end, as long as somebody wants it.
fn hand_on(mut answer: impl Read, sender: &Sender<Result<Bytes, HttpError>>) {
    loop {
        let mut block = vec![0; BLOCK];
        let read = match answer.read(&mut block) {
            Ok(0) => return,
            Ok(read) => {
                block.truncate(read);
                Ok(Bytes::from(block))
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(HttpError::new(HttpErrorKind::Interrupted, error)),
        };
        let is_over = read.is_err();
        if sender.blocking_send(read).is_err() || is_over {
            return;
        }
    }
}

/// What comes of an answer.
struct Blocks(Receiver<Result<Bytes, HttpError>>);

impl Body for Blocks {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        self.0.poll_recv(context).map(|block| block.map(|block| block.map(Frame::data)))
    }
}

/// Whether a request may be tried again.
fn kind(error: &ureq::Error) -> HttpErrorKind {
    match error {
        ureq::Error::Timeout(_) => HttpErrorKind::Timeout,
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        ureq::Error::Io(error) => match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => HttpErrorKind::Timeout,
            ErrorKind::ConnectionRefused => HttpErrorKind::Connect,
            _ => HttpErrorKind::Interrupted,
        },
        _ => HttpErrorKind::Unknown,
    }
}
