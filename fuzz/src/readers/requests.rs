//! Requests to `serve`, answered without a socket.

use frostline_cli::in_process::{Call, GivenModel, Server};
use frostline_graph::Model;
use std::sync::LazyLock;

struct Silent;

impl frostline_cli::in_process::Listener for Silent {
    fn print(&self, _: &str) {}
    fn progress(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn count(&self, _: &str, _: usize, _: usize) {}
    fn stop(&self) -> frostline::fit::Stop {
        frostline::fit::Stop::default()
    }
}

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let model =
        super::scratch::file("served.h5", include_bytes!("../../../crates/cli/assets/demo/my_model_A.h5"));
    let flags = ["--name=shoes", "--max-pixels=1000000", "--max-batch=8", "--max-body=1MiB", "--timeout=20s"];
    let call = Call {
        flags: flags.map(str::to_owned).to_vec(),
        model: GivenModel::Path(model),
        listener: std::sync::Arc::new(Silent),
    };
    Server::start(call).expect("a server")
});

/// A line `METHOD PATH`, lines of headers, an empty line, and the body.
pub(crate) fn requests(bytes: &[u8]) -> Option<Model> {
    let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap_or(bytes.len());
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let body = bytes.get(end + 2..).unwrap_or_default();
    let mut lines = head.lines();
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or(("GET", "/"));
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    if let Ok((status, _)) = SERVER.answer(method, target, &headers, body.to_vec()) {
        assert!(status < 500 || status == 503, "answered by {status}");
    }
    None
}
