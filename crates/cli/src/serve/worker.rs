//! Predicts what waits. All that has come while a batch was predicted is the next batch: nobody waits for company.

use super::metrics::Metrics;
use super::queue::{Answered, Batch, Job, Waiting, Work};
use super::refusal::Refusal;
use crate::console::Console;
use axum::http::StatusCode;
use frostline::predict::Refusal as OfImage;
use frostline::predict::{Picture, Prediction, Predictor, Rows};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokio::sync::oneshot;

type Reply = oneshot::Sender<Result<Answered, Refusal>>;
type Found = Vec<Result<Prediction, OfImage>>;

/// Predicts until no request can come any more.
pub(super) fn work(mut predictor: Predictor, mut waiting: Waiting, metrics: &Metrics, console: &Console) {
    let mut rest: Option<Job> = None;
    while let Some(first) = rest.take().or_else(|| waiting.jobs.blocking_recv()) {
        let mut images = first.work.images();
        let mut jobs = vec![first];
        while let Ok(job) = waiting.jobs.try_recv() {
            if images + job.work.images() > waiting.max_batch {
                rest = Some(job);
                break;
            }
            images += job.work.images();
            jobs.push(job);
        }
        // nobody waits for the answer any more
        jobs.retain(|job| !job.reply.is_closed());
        let (mut pictures, mut rows) = (Vec::new(), VecDeque::new());
        for Job { work, reply, .. } in jobs {
            match work {
                Work::Pictures(of_one) => pictures.push((of_one, reply)),
                Work::Rows(inputs) => rows.push_back((inputs, reply)),
            }
        }
        predict_pictures(&mut predictor, pictures, metrics, console);
        while let Some((first, reply)) = rows.pop_front() {
            let shapes = row_shapes(&first);
            let (alike, others): (VecDeque<_>, VecDeque<_>) =
                rows.into_iter().partition(|(inputs, _)| row_shapes(inputs) == shapes);
            rows = others;
            predict_rows(
                &mut predictor,
                std::iter::once((first, reply)).chain(alike).collect(),
                metrics,
                console,
            );
        }
        predictor.take_notes().iter().for_each(|note| console.warn(note));
    }
}

fn row_shapes(inputs: &[Batch]) -> Vec<Vec<usize>> {
    inputs.iter().map(|batch| batch.shape[1..].to_vec()).collect()
}

fn predict_pictures(
    predictor: &mut Predictor,
    jobs: Vec<(Vec<Picture>, Reply)>,
    metrics: &Metrics,
    console: &Console,
) {
    let (mut all, mut of_jobs) = (Vec::new(), Vec::new());
    for (pictures, reply) in jobs {
        of_jobs.push((pictures.len(), None, reply));
        all.extend(pictures);
    }
    let found = guarded(console, || predictor.predict(&all));
    answer(of_jobs, found, metrics);
}

/// Predicts batches whose rows have the same shapes as one.
fn predict_rows(
    predictor: &mut Predictor,
    jobs: Vec<(Vec<Batch>, Reply)>,
    metrics: &Metrics,
    console: &Console,
) {
    const NAME: &str = "inputs";
    let mut all: Vec<Batch> = Vec::new();
    let mut of_jobs = Vec::new();
    for (inputs, reply) in jobs {
        let rows: Vec<Rows<'_>> = inputs.iter().map(|batch| Rows::new(&batch.shape, &batch.values)).collect();
        let warning = match predictor.check_rows(NAME, &rows) {
            Ok(warning) => warning,
            Err(error) => {
                drop(reply.send(Err(Refusal::bad(error.to_string()))));
                continue;
            }
        };
        of_jobs.push((inputs[0].shape[0], warning, reply));
        if all.is_empty() {
            all = inputs;
            continue;
        }
        for (all, batch) in all.iter_mut().zip(inputs) {
            all.shape[0] += batch.shape[0];
            all.values.extend(batch.values);
        }
    }
    if of_jobs.is_empty() {
        return;
    }
    let rows: Vec<Rows<'_>> = all.iter().map(|batch| Rows::new(&batch.shape, &batch.values)).collect();
    let found = guarded(console, || predictor.predict_rows(NAME, &rows, 0..all[0].shape[0]));
    answer(of_jobs, found, metrics);
}

/// A panic is an error of what was asked for: the server goes on.
fn guarded(console: &Console, predict: impl FnOnce() -> frostline::Result<Found>) -> Result<Found, Refusal> {
    let failed = |message: String| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, message);
    match catch_unwind(AssertUnwindSafe(predict)) {
        Ok(found) => found.map_err(|error| failed(error.to_string())),
        Err(_) => {
            console.warn("a prediction has failed in a way that is not foreseen; the server goes on");
            Err(failed("the prediction has failed in a way that is not foreseen".to_owned()))
        }
    }
}

/// Gives each request its part.
fn answer(jobs: Vec<(usize, Option<String>, Reply)>, found: Result<Found, Refusal>, metrics: &Metrics) {
    if jobs.is_empty() {
        return;
    }
    match found {
        Ok(found) => {
            metrics.batch(found.len(), found.iter().filter(|one| one.is_err()).count());
            let mut found = found.into_iter();
            for (count, warning, reply) in jobs {
                let predictions = found.by_ref().take(count).collect();
                drop(reply.send(Ok(Answered { predictions, warning })));
            }
        }
        Err(Refusal { status, message }) => {
            for (_, _, reply) in jobs {
                drop(reply.send(Err(Refusal::new(status, message.clone()))));
            }
        }
    }
}
