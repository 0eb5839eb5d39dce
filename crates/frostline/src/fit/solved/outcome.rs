//! Solving the head of a prepared training, and what is known of it then.

use super::findings::{Findings, mislabelled, neighbours};
use super::head::refused;
use super::head::{Found, OwnTargets, class_of, groups_of};
use super::left_out::LeftOut;
use super::reading::views::{Viewed, squashed};
use crate::fit::config::text;
use crate::fit::train::observe::counter;
use crate::fit::{ClassReport, LabelScores, Observer, Prepared, Task};
use frostline_data::{Example, Target, View};
use frostline_engine::Squash;
use frostline_formats as formats;
use frostline_graph::{Keep, Model, Pooling, Result, Transfer};
use frostline_head::novelty::Novelty;
use frostline_head::{Solved, interval, interval::is_right};
use serde::Serialize;
use std::time::Instant;

/// The stated intervals hold what is to be expected in this share of cases.
pub(super) const LEVEL: f64 = 0.95;

/// A head that was solved.
#[derive(Clone, Debug, Serialize)]
pub struct SolvedHead {
    /// The layers whose outputs it reads, the highest first.
    pub cuts: Vec<String>,
    /// How those outputs become vectors.
    #[serde(serialize_with = "text::serialize")]
    pub pooling: Pooling,
    /// The views of an image that are averaged.
    pub views: Vec<View>,
    /// How it was solved: `ridge`, `logistic` or `mean`.
    pub method: String,
    /// By how much scores were multiplied so that probabilities are as sure as they are right.
    pub temperature: f64,
    /// What is to be expected of new images.
    #[serde(skip)]
    pub prospect: Prospect,
    /// What is said of each training image by a head that has not seen it.
    #[serde(skip)]
    pub left_out: Vec<LeftOut>,
    /// `[images, outputs]`: what a head puts out for each training image that has not seen it; of two classes, too, a probability
    /// for each.
    #[serde(skip)]
    pub out_of_sample: Vec<f32>,
    /// What tells images that are none of the classes, where that is asked for.
    #[serde(skip)]
    pub novelty: Option<Novelty>,
    /// How long features and solution took.
    pub seconds: f64,
}

/// What is to be expected of new images like those to train on, from each of these as it is predicted by a head that was solved
/// without it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Prospect {
    /// The share of images whose class is found, or of which all labels are; none for numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Scores that labels alone have.
    #[serde(flatten)]
    pub labels: LabelScores,
    /// The mean squared error of numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mse: Option<f64>,
    /// The ends of a 95 % interval of that.
    pub interval: [f64; 2],
    /// The mean cross-entropy; none for numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<f64>,
    /// By how much the probability of the predicted class differs from how often it is right, on the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Images that it is taken from.
    pub images: usize,
    /// Those that are the only ones of their class: no head that has not seen them can find it, and they count as wrong.
    #[serde(skip_serializing_if = "is_none")]
    pub alone: usize,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Prepared {
    /// Solves the head, if that is what the recipe asks for, and puts it on the model.
    ///
    /// Errors: images that do not suit the model; labels that have no solution.
    pub(in crate::fit) fn solve_head(&mut self, observe: Observer<'_>) -> Result<Option<SolvedHead>> {
        let Some(mut solving) = self.solving.take() else { return Ok(None) };
        let start = Instant::now();
        self.dataset.know_contents()?;
        let task = Task::of(&self.dataset);
        let all: Vec<&Example> = self.dataset.examples().map(|(_, example)| example).collect();
        if !solving.has(&self.dataset, &all) {
            let told = counter("train", all.len(), observe);
            let errors = solving.gather(&self.dataset, &self.pipeline, &self.setting, &all, &told)?;
            if let Some(error) = errors.into_iter().flatten().next() {
                return Err(error.into());
            }
        }
        let examples: Vec<&Example> = self.dataset.train.iter().collect();
        let work = solving
            .work(&self.dataset, &task, self.setting.config.class_weights.as_ref())
            .expect("they were gathered");
        let found = work.run(&examples)?;
        let reading = &found.reading;
        solving.store_read(reading, &self.dataset, &self.pipeline, &self.setting)?;
        let cuts: Vec<String> = reading.cuts.iter().map(|cut| solving.cuts[*cut].path.clone()).collect();
        let (prospect, left_out) = told_of(&found, &examples, &groups_of(&self.dataset, &examples)?, &task)?;
        let head = SolvedHead {
            cuts,
            pooling: reading.pooling,
            views: reading.views.clone(),
            method: format!("{:?}", found.solved.method).to_lowercase(),
            temperature: found.solved.temperature,
            prospect,
            left_out,
            out_of_sample: out_of_sample(&found, &task),
            novelty: work.novelty(&examples, &found)?,
            seconds: start.elapsed().as_secs_f64(),
        };
        self.put_on(&solving.backbone, &head, &found, &task)?;
        self.solving = Some(solving);
        Ok(Some(head))
    }

    /// The model of the kept layers that the head reads, and the head.
    fn put_on(&mut self, backbone: &Model, head: &SolvedHead, found: &Found, task: &Task) -> Result<()> {
        let input = self.pipeline.input().to_vec();
        let mut model = backbone.keep_with(&Keep::Layer(head.cuts[0].clone()), Transfer::Share)?;
        self.reused = model.graph.counted_paths();
        let outputs: Vec<(&str, Pooling)> =
            head.cuts.iter().map(|cut| (cut.as_str(), head.pooling)).collect();
        model.join(&outputs, &input)?;
        let names = model.add_layers(vec![task.output_layer(None).into()], &[input], self.setting.seed)?;
        let (kernel, bias) = output_weights(&found.solved, task);
        let set = |variable: &str, data: &[f32]| -> Result<()> {
            model.weights.get(&format!("{}/{variable}", names[0]))?.set(data);
            Ok(())
        };
        set("kernel", &kernel)?;
        set("bias", &bias)?;
        model.info.clone_from(&self.model.info);
        if head.views.iter().any(|view| !view.is_own()) {
            model.info.views = head.views.iter().map(ToString::to_string).collect();
            model.open_input();
        }
        formats::check_can_be_written(&model)?;
        self.model = model;
        Ok(())
    }

    /// What the solved head puts out for images whose features are known, `[images, outputs]`.
    pub(in crate::fit) fn solved_outputs(
        &self,
        head: &SolvedHead,
        examples: &[Example],
    ) -> Result<Option<Vec<f32>>> {
        let Some(solving) = &self.solving else { return Ok(None) };
        let task = Task::of(&self.dataset);
        let Some(work) = solving.work(&self.dataset, &task, None) else { return Ok(None) };
        let examples: Vec<&Example> = examples.iter().collect();
        let table = work.table(&examples, &solving.reading(head))?;
        let Some(layer) = Viewed::of(&self.model, None)? else { return Ok(None) };
        let mut row = vec![0.0; table.width()];
        let mut outputs = Vec::new();
        for index in 0..examples.len() {
            table.read(index..index + 1, &mut row)?;
            outputs.extend(layer.outputs(&row));
        }
        Ok(Some(outputs))
    }

    /// What the features of a solved head tell about the training images.
    ///
    /// Errors: features that cannot be read.
    pub fn findings(&self, head: &SolvedHead) -> Result<Findings> {
        let mislabelled = mislabelled(&head.left_out, &self.dataset.classes);
        let task = Task::of(&self.dataset);
        let work = self.solving.as_ref().and_then(|solving| solving.work(&self.dataset, &task, None));
        let Some(work) = work else { return Ok(Findings { mislabelled, ..Findings::default() }) };
        let examples: Vec<&Example> = self.dataset.train.iter().collect();
        let table = work.table(&examples, &work.highest())?;
        let groups = groups_of(&self.dataset, &examples)?;
        let (near_duplicates, far) = neighbours(&examples, &table, &groups)?;
        Ok(Findings { mislabelled, near_duplicates, far })
    }
}

/// What is put out for each training image by a head that has not seen it.
fn out_of_sample(found: &Found, task: &Task) -> Vec<f32> {
    let squash = match task {
        Task::Binary | Task::Classes(_) => Some(Squash::Softmax),
        Task::Labels(_) => Some(Squash::Sigmoid),
        Task::Numbers(_) => None,
    };
    let rows = found.solved.out_of_sample.chunks_exact(found.solved.bias.len().max(1));
    rows.flat_map(|row| squashed(row, squash)).collect()
}

/// Kernel and bias of the output layer: of two classes it has one output, which is the second class's.
pub(super) fn output_weights(solved: &Solved, task: &Task) -> (Vec<f32>, Vec<f32>) {
    let (kernel, bias) = (&solved.kernel, &solved.bias);
    match task {
        Task::Binary => {
            let difference = |pair: &[f32]| (f64::from(pair[1]) - f64::from(pair[0])) as f32;
            (kernel.chunks_exact(2).map(difference).collect(), bias.chunks_exact(2).map(difference).collect())
        }
        Task::Classes(_) | Task::Labels(_) | Task::Numbers(_) => (kernel.clone(), bias.clone()),
    }
}

/// How many labels stand there once alone.
fn alone(labels: &[usize]) -> usize {
    let mut counts = vec![0usize; labels.iter().max().map_or(0, |most| most + 1)];
    labels.iter().for_each(|label| counts[*label] += 1);
    counts.into_iter().filter(|count| *count == 1).count()
}

/// What is said of each label of images by a head that has not seen them.
fn of_labels(found: &Found, examples: &[&Example], labels: usize) -> ClassReport {
    let outputs: Vec<f32> = squashed(&found.solved.out_of_sample, Some(Squash::Sigmoid)).collect();
    let values = match OwnTargets::of(examples, &Task::Labels(labels)) {
        OwnTargets::Labels { values, .. } => values,
        _ => Vec::new(),
    };
    ClassReport::of_labels(&outputs, labels, &values, &[], found.solved.log_loss.unwrap_or(f64::NAN))
}

fn told_of(
    found: &Found,
    examples: &[&Example],
    groups: &[usize],
    task: &Task,
) -> Result<(Prospect, Vec<LeftOut>)> {
    let width = found.solved.bias.len().max(1);
    let rows = found.solved.out_of_sample.chunks_exact(width);
    let images = examples.len();
    if let Task::Numbers(_) = task {
        let error = |(row, example): (&[f64], &&Example)| match &example.target {
            Target::Value(values) => {
                let squares =
                    values.iter().zip(row).map(|(value, found)| (f64::from(*value) - found).powi(2));
                squares.sum::<f64>() / width as f64
            }
            Target::Class(_) | Target::Labels(_) => 0.0,
        };
        let errors: Vec<f64> = rows.zip(examples).map(error).collect();
        let found = interval::mean_squared_error(&errors, LEVEL).map_err(refused)?;
        let (mse, interval) = (Some(found.value), [found.low, found.high]);
        return Ok((Prospect { mse, interval, images, ..Prospect::default() }, Vec::new()));
    }
    if let Task::Labels(labels) = task {
        let report = of_labels(found, examples, *labels);
        let correct = is_right(&OwnTargets::of(examples, task).all(), &found.solved.out_of_sample);
        let all_right: Vec<bool> =
            correct.chunks_exact(width).map(|row| row.iter().all(|right| *right)).collect();
        let accuracy = interval::accuracy(&all_right, Some(groups), LEVEL).map_err(refused)?;
        let prospect = Prospect {
            accuracy: Some(report.accuracy),
            labels: report.labels,
            interval: [accuracy.low, accuracy.high],
            log_loss: found.solved.log_loss,
            images,
            ..Prospect::default()
        };
        return Ok((prospect, Vec::new()));
    }
    let of_image = |(row, example): (&[f64], &&Example)| LeftOut {
        name: example.name.clone(),
        label: class_of(example),
        probabilities: squashed(row, Some(Squash::Softmax)).collect(),
    };
    let left_out: Vec<LeftOut> = rows.clone().zip(examples).map(of_image).collect();
    let correct: Vec<bool> = left_out.iter().map(|one| one.predicted() == one.label).collect();
    let labels: Vec<usize> = left_out.iter().map(|one| one.label).collect();
    let accuracy = interval::accuracy(&correct, Some(groups), LEVEL).map_err(refused)?;
    let calibration = interval::expected_calibration_error(&found.solved.probabilities(), &labels, width)
        .map_err(refused)?;
    let prospect = Prospect {
        accuracy: Some(correct.iter().filter(|correct| **correct).count() as f64 / images.max(1) as f64),
        interval: [accuracy.low, accuracy.high],
        log_loss: found.solved.log_loss,
        calibration_error: Some(calibration),
        images,
        alone: alone(&labels),
        ..Prospect::default()
    };
    Ok((prospect, left_out))
}
