//! What waits for the worker: a bounded number of images.

use super::refusal::Refusal;
use crate::args::LimitFlags;
use axum::http::StatusCode;
use frostline::predict::{Picture, Prediction};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// As many batches may wait.
const BATCHES: usize = 8;

/// What is to be predicted.
pub(super) enum Work {
    /// Pictures as files hold them.
    Pictures(Vec<Picture>),
    /// A batch for each input, in the model's own layout.
    Rows(Vec<Batch>),
}

/// A batch for one input, that of the batch first.
pub(super) struct Batch {
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<f32>,
}

impl Work {
    /// How many images it holds.
    pub(super) fn images(&self) -> usize {
        match self {
            Self::Pictures(pictures) => pictures.len(),
            Self::Rows(inputs) => inputs.first().and_then(|batch| batch.shape.first()).copied().unwrap_or(0),
        }
    }
}

/// What is predicted for one request.
pub(super) struct Answered {
    /// In the order of its images.
    pub(super) predictions: Vec<Result<Prediction, frostline::predict::Refusal>>,
    /// What its sender should know.
    pub(super) warning: Option<String>,
}

/// One request that waits.
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<Answered, Refusal>>,
    _place: Place,
}

/// Room in the queue, given back when its job is done or dropped.
struct Place {
    waiting: Arc<AtomicUsize>,
    images: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.images, Ordering::Relaxed);
    }
}

/// The end that requests come in at.
pub(super) struct Queue {
    jobs: mpsc::UnboundedSender<Job>,
    waiting: Arc<AtomicUsize>,
    most: usize,
    timeout: Duration,
}

/// The end that the worker takes from.
pub(super) struct Waiting {
    pub(super) jobs: mpsc::UnboundedReceiver<Job>,
    pub(super) max_batch: usize,
}

pub(super) fn queue(limits: &LimitFlags) -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let most = BATCHES * limits.max_batch;
    let queue = Queue { jobs: sender, waiting: Arc::default(), most, timeout: limits.timeout };
    (queue, Waiting { jobs: receiver, max_batch: limits.max_batch })
}

impl Queue {
    /// Waits for an answer.
    ///
    /// Errors: there is no room, it takes too long, or it cannot be predicted.
    pub(super) async fn ask(&self, work: Work) -> Result<Answered, Refusal> {
        let images = work.images();
        let before = self.waiting.fetch_add(images, Ordering::Relaxed);
        let place = Place { waiting: self.waiting.clone(), images };
        if before + images > self.most {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "{before} images wait already, and at most {} may\nhelp: ask again in a moment",
                    self.most
                ),
            ));
        }
        let (reply, answer) = oneshot::channel();
        let gone = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is stopping");
        self.jobs.send(Job { work, reply, _place: place }).map_err(|_| gone())?;
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => Err(Refusal::new(
                StatusCode::GATEWAY_TIMEOUT,
                format!(
                    "there was no answer in {}\nhelp: send fewer or smaller images, or start the server with the setting `timeout`",
                    humantime::format_duration(self.timeout)
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue for batches of two images.
    fn small() -> (Queue, Waiting) {
        let (max_batch, timeout) = (2, Duration::from_millis(50));
        queue(&LimitFlags { max_body: 1, max_pixels: 1, max_batch, timeout, connections: 1 })
    }

    fn rows(count: usize) -> Work {
        Work::Rows(vec![Batch { shape: vec![count, 1], values: vec![0.0; count] }])
    }

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(work)
    }

    #[test]
    fn what_finds_no_room_is_told_to_come_again() {
        let (queue, waiting) = small();
        block_on(async {
            let most = BATCHES * 2;
            // it waits for nobody, and gives up
            let slow = queue.ask(rows(most - 1)).await.err().expect("no answer");
            assert_eq!(slow.status, StatusCode::GATEWAY_TIMEOUT);
            let full = queue.ask(rows(2)).await.err().expect("no room");
            assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
            let one = queue.ask(rows(1)).await.err().expect("no answer");
            assert_eq!(one.status, StatusCode::GATEWAY_TIMEOUT);
        });
        drop(waiting);
        assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
        let gone = block_on(queue.ask(rows(1))).err().expect("nobody works");
        assert!(gone.message.contains("stopping"), "{}", gone.message);
    }
}
