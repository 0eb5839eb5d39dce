//! Runs a command on a thread of its own, while Python goes on: what is told comes back to the thread that called, which alone
//! speaks with Python, and looks for Ctrl-C.

use crate::lent::Loan;
use frostline::fit::Stop;
use frostline_cli::in_process::{Listener, Outcome, Stopped, Wrong, as_keywords};
use pyo3::prelude::*;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How often signals are looked for.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a command that is stopped has to end. After that it is left to itself: it ends at its next image or step.
const GRACE: Duration = Duration::from_millis(700);
/// A bar moves at most so often.
const BETWEEN_COUNTS: Duration = Duration::from_millis(50);

/// What a command tells.
enum Said {
    Progress(String),
    Warning(String),
    Count { what: String, done: usize, total: usize },
}

enum Message<T> {
    Said(Said),
    Done(thread::Result<Outcome<T>>),
}

/// Sends what is told to the thread that called.
struct Ear<T> {
    sender: Sender<Message<T>>,
    stop: Stop,
    counted: Mutex<Instant>,
}

impl<T> Ear<T> {
    fn say(&self, said: Said) {
        // where nobody listens any more, there is nobody to tell
        drop(self.sender.send(Message::Said(said)));
    }
}

impl<T: Send> Listener for Ear<T> {
    fn print(&self, line: &str) {
        self.say(Said::Progress(line.to_owned()));
    }

    fn progress(&self, line: &str) {
        self.say(Said::Progress(as_keywords(line)));
    }

    fn warn(&self, line: &str) {
        self.say(Said::Warning(as_keywords(line)));
    }

    fn count(&self, what: &str, done: usize, total: usize) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if done >= total || counted.elapsed() >= BETWEEN_COUNTS {
            *counted = Instant::now();
            self.say(Said::Count { what: what.to_owned(), done, total });
        }
    }

    fn stop(&self) -> Stop {
        self.stop.clone()
    }
}

/// Runs `job` without the GIL, lends it the rows of arrays, and calls `tell(kind, text, done, total)` with what it tells.
pub(crate) fn work<T: Send + 'static>(
    py: Python<'_>,
    tell: &Bound<'_, PyAny>,
    loans: Vec<Loan<'_>>,
    job: impl FnOnce(Arc<dyn Listener>) -> Outcome<T> + Send + 'static,
) -> PyResult<T> {
    let tell = tell.clone().unbind();
    py.detach(move || {
        let (sender, receiver) = channel();
        let stop = Stop::default();
        let (told, counted) = (sender.clone(), Mutex::new(Instant::now()));
        let ear: Arc<dyn Listener> = Arc::new(Ear { sender: told, stop: stop.clone(), counted });
        let worker = thread::Builder::new().name("frostline".to_owned()).spawn(move || {
            let done = catch_unwind(AssertUnwindSafe(|| job(ear)));
            drop(sender.send(Message::Done(done)));
        });
        worker.map_err(|error| wrong(Wrong::Failed(format!("no thread can be started: {error}"))))?;
        thread::scope(|scope| {
            let enders: Vec<_> = loans.iter().map(Loan::ender).collect();
            for loan in loans {
                scope.spawn(move || loan.serve());
            }
            let found = attend(&receiver, &tell, &stop);
            drop(enders); // the loans end with them
            found
        })
    })
}

fn attend<T>(receiver: &Receiver<Message<T>>, tell: &Py<PyAny>, stop: &Stop) -> PyResult<T> {
    let mut ended: Option<(PyErr, Instant)> = None;
    let mut looked = Instant::now();
    loop {
        let heard = match receiver.recv_timeout(PAUSE) {
            Ok(Message::Done(done)) => {
                return match (ended, done) {
                    (Some((error, _)), _) => Err(error),
                    (None, Ok(found)) => found.map_err(wrong),
                    (None, Err(panic)) => Err(wrong(Wrong::Failed(bug(&*panic)))),
                };
            }
            Ok(Message::Said(said)) if ended.is_none() => pass_on(tell, said),
            Ok(Message::Said(_)) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(wrong(Wrong::Failed("the command has ended without a result".to_owned())));
            }
        };
        let signals = match looked.elapsed() >= PAUSE && ended.is_none() {
            true => {
                looked = Instant::now();
                Python::attach(|py| py.check_signals())
            }
            false => Ok(()),
        };
        if let Err(error) = heard.and(signals) {
            stop.ask();
            ended.get_or_insert((error, Instant::now()));
        }
        if let Some((error, _)) = ended.take_if(|(_, since)| since.elapsed() > GRACE) {
            return Err(error);
        }
    }
}

fn pass_on(tell: &Py<PyAny>, said: Said) -> PyResult<()> {
    Python::attach(|py| {
        let called = match said {
            Said::Progress(text) => tell.call1(py, ("progress", text, 0, 0)),
            Said::Warning(text) => tell.call1(py, ("warning", text, 0, 0)),
            Said::Count { what, done, total } => tell.call1(py, ("count", what, done, total)),
        };
        called.map(drop)
    })
}

/// What is said of a panic, which is a bug.
fn bug(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    match panic.is::<Stopped>() {
        true => "the command was stopped".to_owned(),
        false => format!(
            "this is a bug in frostline: {}\nhelp: please report it with what you called",
            text.unwrap_or_else(|| "a thread has panicked".to_owned())
        ),
    }
}

/// The exception for what went wrong: the same text as in a shell, with flags as keywords.
pub(crate) fn wrong(wrong: Wrong) -> PyErr {
    let (class, text) = match wrong {
        Wrong::Arguments(text) => ("ArgumentError", text),
        Wrong::Failed(text) => ("FrostlineError", text),
    };
    Python::attach(|py| {
        let raised = py
            .import("frostline._errors")
            .and_then(|errors| errors.getattr(class))
            .and_then(|class| class.call1((as_keywords(&text),)));
        raised.map_or_else(|error| error, PyErr::from_value)
    })
}
