//! `frostline serve`: a page to drop an image on, and the protocols that clients of other servers speak.
//!
//! A request is read and understood on the threads of the runtime ([`router`], [`plain`], [`tensorflow`], [`open_inference`]), waits
//! in a bounded queue ([`queue`]) and is predicted by one worker, with all that waits beside it ([`worker`]). The numbers are those
//! of `predict`: both call [`Predictor`].

mod about;
mod answers;
mod app;
mod body;
mod explain;
mod listen;
mod metrics;
mod nested;
mod open_inference;
mod openapi;
mod page;
mod plain;
mod queue;
mod refusal;
mod router;
mod tensorflow;
mod tensors;
mod worker;

use crate::Failure;
use crate::args::Serve;
use crate::console::Console;
use crate::predict::Teller;
use about::About;
pub(crate) use answers::Answers;
use app::App;
use explain::HeatMaps;
use frostline::predict::Predictor;
use queue::Waiting;
use std::net::TcpListener;
use std::sync::Arc;

/// The environment variable that a token may be given in.
const TOKEN: &str = "FROSTLINE_TOKEN";
/// Likeliest classes in an answer.
const TOP: usize = 5;
/// Threads that read and write requests; pictures are decoded and predicted on others.
const THREADS: usize = 2;

pub(crate) fn run(command: &Serve, console: &Console) -> Result<(), Failure> {
    let token = match &command.token {
        Some(token) => Some(token.clone()),
        None => std::env::var(TOKEN).ok().filter(|token| !token.is_empty()),
    };
    let (app, predictor, work) = ready(command, token.as_deref(), console)?;
    let listener = TcpListener::bind(command.addr).map_err(|error| {
        format!(
            "cannot listen at {}: {error}\nhelp: give another address with --addr, or end what listens there",
            command.addr
        )
    })?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() && token.is_none() {
        console.warn(format_args!(
            "{address} can be reached from other machines, by anybody\nhelp: give a token in {TOKEN}, or listen at 127.0.0.1"
        ));
    }
    let runtime = runtime()?;
    console.print(format_args!("`{}` is served at http://{address}", app.about.name))?;
    std::thread::scope(|scope| {
        let metrics = app.metrics.clone();
        scope.spawn(move || worker::work(predictor, work, &metrics, console));
        let done = runtime.block_on(listen::serve(listener, app, console));
        // connections that are still open hold the queue, which the worker waits for
        runtime.shutdown_timeout(std::time::Duration::ZERO);
        done
    })
}

/// What answers requests, and what the worker needs that it waits for.
fn ready(
    command: &Serve,
    token: Option<&str>,
    console: &Console,
) -> Result<(Arc<App>, Predictor, Waiting), Failure> {
    let mut predictor = Predictor::open(&command.model.path, &command.options()?)?;
    let about = About::new(&mut predictor, command)?;
    predictor.take_notes().iter().for_each(|note| console.warn(note));
    let teller = Teller::new(&predictor, Some(TOP), command.threshold);
    let (queue, work) = queue::queue(&command.limits);
    let pipeline = predictor.ready_for_pictures().ok().cloned();
    let heat_maps = HeatMaps::new(predictor.model(), pipeline);
    let app = Arc::new(App::new(about, teller, queue, command.limits, heat_maps, token));
    Ok((app, predictor, work))
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build()
}
