//! What `serve` answers, without a socket.

use super::{ready, router, runtime, worker};
use crate::Failure;
use crate::args::Serve;
use crate::console::{Console, Listener};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A server in this process that listens nowhere.
pub(crate) struct Answers {
    runtime: Runtime,
    router: TowerToHyperService<Router>,
}

impl Answers {
    /// Reads the model. Its worker ends with what this gives.
    pub(crate) fn start(command: &Serve, listener: Arc<dyn Listener>) -> Result<Self, Failure> {
        let console = Console::to(listener);
        let (app, predictor, work) = ready(command, command.token.as_deref(), &console)?;
        let router = TowerToHyperService::new(router::router(&app));
        let metrics = app.metrics.clone();
        std::thread::spawn(move || worker::work(predictor, work, &metrics, &console));
        Ok(Self { runtime: runtime()?, router })
    }

    /// The status and the body of the answer.
    ///
    /// Error: this is no request.
    pub(crate) fn answer(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let request =
            headers.iter().fold(Request::builder().method(method).uri(target), |head, (name, value)| {
                head.header(*name, *value)
            });
        let request = request.body(Body::from(body))?;
        self.runtime.block_on(async {
            let answer = self.router.call(request).await?;
            let status = answer.status().as_u16();
            let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await?;
            Ok((status, body.to_vec()))
        })
    }
}
