//! How a prediction is told: as text, and as JSON.

use frostline::graph::ModelInfo;
use frostline::predict::{Answer, Prediction, Predictor};
use serde_json::{Value, json};

/// How many classes a line of text shows.
const SHOWN: usize = 3;
/// What stands where a class would, when there is none.
pub(super) const NONE: &str = "none";

/// Names classes, and decides which of them are told.
#[derive(Clone)]
pub(crate) struct Teller {
    info: ModelInfo,
    top: Option<usize>,
    threshold: Option<f32>,
}

/// What is told of a picture with one class.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Told {
    /// This class.
    Class(usize),
    /// The model says that it is none of its classes.
    Foreign,
    /// No class is likely enough.
    Unlikely,
}

impl Teller {
    pub(crate) fn new(predictor: &Predictor, top: Option<usize>, threshold: Option<f32>) -> Self {
        Self { info: predictor.model().info.clone(), top, threshold }
    }

    /// The name of a class: its number where the model has no names.
    pub(crate) fn name(&self, index: usize) -> String {
        self.info.class_name(index)
    }

    /// Whether a class is called as what is none is told.
    pub(super) fn has_class_none(&self) -> bool {
        self.info.classes.as_ref().is_some_and(|classes| classes.iter().any(|name| name == NONE))
    }

    pub(super) fn told(&self, index: usize, scores: &[f32], none_of_these: Option<bool>) -> Told {
        match none_of_these {
            Some(true) => Told::Foreign,
            _ if self.threshold.is_some_and(|least| scores[index] < least) => Told::Unlikely,
            _ => Told::Class(index),
        }
    }

    /// The labels of a picture: those that the model says, or those above the threshold that was asked for.
    pub(super) fn labels(&self, has: &[usize], scores: &[f32]) -> Vec<usize> {
        match self.threshold {
            None => has.to_vec(),
            Some(least) => (0..scores.len()).filter(|label| scores[*label] > least).collect(),
        }
    }

    /// One JSON object.
    pub(crate) fn json(&self, prediction: &Prediction) -> Value {
        let image = &prediction.name;
        match &prediction.answer {
            Answer::Number(value) => json!({ "image": image, "value": value }),
            Answer::Labels { has, scores } => {
                let labels: Vec<String> =
                    self.labels(has, scores).into_iter().map(|label| self.name(label)).collect();
                let line = json!({ "image": image, "labels": labels, "scores": scores });
                self.with_top(line, scores)
            }
            Answer::Class { index, scores, none_of_these } => {
                let mut line = json!({
                    "image": image, "class": self.name(*index), "index": index, "score": scores[*index], "scores": scores,
                });
                if let Some(is_foreign) = none_of_these {
                    line["none_of_these"] = json!(is_foreign);
                }
                if !matches!(self.told(*index, scores, *none_of_these), Told::Class(_)) {
                    (line["class"], line["index"]) = (json!(null), json!(null));
                }
                self.with_top(line, scores)
            }
            Answer::Unnamed => json!({ "image": image }),
        }
    }

    /// The likeliest classes, where a number of them is asked for.
    fn with_top(&self, mut line: Value, scores: &[f32]) -> Value {
        if let Some(count) = self.top {
            let class =
                |index: usize| json!({ "class": self.name(index), "index": index, "score": scores[index] });
            line["top"] = likeliest(scores).into_iter().take(count).map(class).collect();
        }
        line
    }

    /// A line of text.
    pub(super) fn text(&self, prediction: &Prediction) -> String {
        let image = &prediction.name;
        let with_score = |index: usize, scores: &[f32]| format!("{} {:.4}", self.name(index), scores[index]);
        match &prediction.answer {
            Answer::Number(value) => format!("{image}: {value}"),
            Answer::Unnamed => format!("{image}: no class"),
            Answer::Labels { has, scores } => {
                let mut has = self.labels(has, scores);
                has.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
                if has.is_empty() {
                    let nearest = likeliest(scores)[0];
                    return format!("{image}: none (likeliest: {})", with_score(nearest, scores));
                }
                let shown = has.into_iter().take(self.top.unwrap_or(usize::MAX));
                let shown: Vec<String> = shown.map(|index| with_score(index, scores)).collect();
                format!("{image}: {}", shown.join(", "))
            }
            Answer::Class { index, scores, none_of_these } => {
                let shown = likeliest(scores).into_iter().take(self.top.unwrap_or(SHOWN));
                let shown = shown.map(|class| with_score(class, scores)).collect::<Vec<_>>().join(", ");
                match self.told(*index, scores, *none_of_these) {
                    Told::Class(_) => format!("{image}: {shown}"),
                    Told::Foreign => format!("{image}: none of these (nearest: {shown})"),
                    Told::Unlikely => format!("{image}: none (likeliest: {shown})"),
                }
            }
        }
    }
}

/// Classes by their scores, the highest first; of equal ones the first.
pub(crate) fn likeliest(scores: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    order
}
