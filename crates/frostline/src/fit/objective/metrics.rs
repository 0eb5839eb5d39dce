//! Metrics of a set of predictions.

use crate::fit::objective::loss::Targets;
use serde::Serialize;
use std::fmt;
use std::str::FromStr;

/// A metric by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The share of images whose class is found: above 0.5 for one output, else the largest output. Of several labels: the share
    /// of images of which all are right.
    Accuracy,
    /// The share of images whose class is among the `k` largest outputs.
    TopK(usize),
    /// Area under the receiver operating curve, by Keras's 200 thresholds, for one output.
    Auc,
    /// Correct among those called a class, mean over classes (of class 1 for one output).
    DType,
    /// Found among those of a class, mean over classes (of class 1 for one output).
    Recall,
    /// Harmonic mean of precision and recall, mean over classes (of class 1 for one output) or labels: scikit-learn's
    /// `average="macro"`.
    F1,
    /// The same from all decisions on all labels together: scikit-learn's `average="micro"`.
    MicroF1,
    /// The mean over classes or labels of the average precision, by how images are ordered by an output: scikit-learn's
    /// `average_precision_score`. Labels that no image has do not count.
    MeanAveragePrecision,
    /// Mean squared error.
    MeanSquaredError,
    /// Mean absolute error.
    MeanAbsoluteError,
}

impl FromStr for Metric {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "accuracy" | "acc" => Self::Accuracy,
            "auc" => Self::Auc,
            "precision" => Self::DType,
            "recall" => Self::Recall,
            "f1" | "f1-macro" => Self::F1,
            "f1-micro" => Self::MicroF1,
            "map" => Self::MeanAveragePrecision,
            "mse" | "mean_squared_error" => Self::MeanSquaredError,
            "mae" | "mean_absolute_error" => Self::MeanAbsoluteError,
            other => match other.strip_prefix("top").and_then(|k| k.parse().ok()).filter(|k| *k > 0) {
                Some(k) => Self::TopK(k),
                None => {
                    let known =
                        "accuracy, top5 (any number), auc, precision, recall, f1, f1-micro, map, mse, mae";
                    return Err(format!("there is no metric `{name}`; known are {known}"));
                }
            },
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accuracy => formatter.write_str("accuracy"),
            Self::TopK(k) => write!(formatter, "top{k}"),
            Self::Auc => formatter.write_str("auc"),
            Self::DType => formatter.write_str("precision"),
            Self::Recall => formatter.write_str("recall"),
            Self::F1 => formatter.write_str("f1"),
            Self::MicroF1 => formatter.write_str("f1-micro"),
            Self::MeanAveragePrecision => formatter.write_str("map"),
            Self::MeanSquaredError => formatter.write_str("mse"),
            Self::MeanAbsoluteError => formatter.write_str("mae"),
        }
    }
}

impl Metric {
    /// Whether its value for many images is the mean of its values for each.
    pub fn is_mean_over_images(self) -> bool {
        matches!(self, Self::Accuracy | Self::TopK(_) | Self::MeanSquaredError | Self::MeanAbsoluteError)
    }

    /// Whether it says something of images that may have several labels.
    pub fn is_of_labels(self) -> bool {
        !matches!(self, Self::TopK(_) | Self::Auc | Self::MeanSquaredError | Self::MeanAbsoluteError)
    }

    /// Whether it counts classes that are found, so that it says nothing about numbers.
    pub fn is_of_classes(self) -> bool {
        !matches!(self, Self::MeanSquaredError | Self::MeanAbsoluteError)
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::MeanSquaredError | Self::MeanAbsoluteError)
    }

    /// The metric of predictions `[images, width]`. `None` where the targets are no classes and the metric wants
    /// some, or an AUC is asked of several outputs.
    pub fn compute(self, outputs: &[f32], width: usize, targets: &Targets<'_>) -> Option<f64> {
        let images = outputs.len() / width.max(1);
        if let Self::MeanSquaredError | Self::MeanAbsoluteError = self {
            let error = |(index, output): (usize, &f32)| {
                let target = match targets {
                    Targets::Labels(values) | Targets::Values(values) => values[index],
                    Targets::Classes(classes) if width == 1 => classes[index] as f32,
                    Targets::Classes(classes) => {
                        f32::from(u8::from(classes[index / width] as usize == index % width))
                    }
                };
                let error = f64::from(output - target);
                if self == Self::MeanSquaredError { error * error } else { error.abs() }
            };
            return Some(outputs.iter().enumerate().map(error).sum::<f64>() / outputs.len().max(1) as f64);
        }
        let classes = match targets {
            Targets::Classes(classes) => classes,
            Targets::Labels(values) => return super::labels::compute(self, outputs, width, values),
            Targets::Values(_) => return None,
        };
        let share = |hits: usize| hits as f64 / images.max(1) as f64;
        match self {
            Self::Accuracy => {
                let rows = outputs.chunks_exact(width).zip(*classes);
                Some(share(rows.filter(|(row, class)| predicted_class(row) == **class as usize).count()))
            }
            Self::TopK(k) => {
                let hit = |(row, class): &(&[f32], &u32)| {
                    let own = row.get(**class as usize).copied().unwrap_or(f32::NEG_INFINITY);
                    row.iter().filter(|other| **other > own).count() < k
                };
                Some(share(outputs.chunks_exact(width).zip(*classes).filter(hit).count()))
            }
            Self::Auc => (width == 1).then(|| auc(outputs, classes)),
            Self::MicroF1 => None,
            Self::MeanAveragePrecision => {
                let is_of = |output: usize| -> Vec<bool> {
                    let class = if width == 1 { 1 } else { output };
                    classes.iter().map(|own| *own as usize == class).collect()
                };
                super::labels::mean_average_precision(outputs, width, is_of)
            }
            _ => {
                let report = ClassReport::of(outputs, width, classes);
                let measure = |class: &ClassScore| match self {
                    Self::DType => class.precision,
                    Self::Recall => class.recall,
                    _ => class.f1,
                };
                match width {
                    1 => report.classes.get(1).map(measure),
                    _ => Some(
                        report.classes.iter().map(measure).sum::<f64>() / report.classes.len().max(1) as f64,
                    ),
                }
            }
        }
    }
}

/// The class that a row of outputs stands for.
pub fn predicted_class(row: &[f32]) -> usize {
    match row {
        [one] => usize::from(*one > 0.5),
        many => largest(many),
    }
}

/// The labels that a row of outputs says an image has.
pub fn predicted_labels(row: &[f32]) -> Vec<usize> {
    (0..row.len()).filter(|label| row[*label] > super::labels::HAS_LABEL).collect()
}

/// The index of the largest value; of equal ones the first.
fn largest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, index| if row[index] > row[best] { index } else { best })
}

/// Keras's `AUC`: trapezoids between 200 thresholds, of which the first and last lie just outside of [0, 1].
fn auc(outputs: &[f32], classes: &[u32]) -> f64 {
    const THRESHOLDS: usize = 200;
    let threshold = |index: usize| match index {
        0 => -1e-7,
        index if index == THRESHOLDS - 1 => 1.0 + 1e-7,
        index => index as f64 / (THRESHOLDS - 1) as f64,
    };
    let count = |wanted: bool| classes.iter().filter(|class| (**class == 1) == wanted).count().max(1) as f64;
    let (positives, negatives) = (count(true), count(false));
    let rates = |index: usize| {
        let above = |wanted: bool| {
            let hit = |(output, class): &(&f32, &u32)| {
                f64::from(**output) > threshold(index) && (**class == 1) == wanted
            };
            outputs.iter().zip(classes).filter(hit).count() as f64
        };
        (above(true) / positives, above(false) / negatives)
    };
    let points: Vec<(f64, f64)> = (0..THRESHOLDS).map(rates).collect();
    points.windows(2).map(|pair| (pair[0].1 - pair[1].1) * (pair[0].0 + pair[1].0) / 2.0).sum()
}

/// Scores of one class.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassScore {
    /// Its name.
    pub name: String,
    /// Correct among those called so.
    pub precision: f64,
    /// Found among those that are so.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Of a label: its average precision; none where no image has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
    /// Images of the class.
    pub support: usize,
}

/// Scores over several labels; none where an image has one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LabelScores {
    /// The mean of the labels' average precisions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<f64>,
    /// The mean of the labels' F1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub f1: Option<f64>,
    /// F1 of all decisions together.
    #[serde(rename = "f1-micro", skip_serializing_if = "Option::is_none")]
    pub f1_micro: Option<f64>,
}

/// Scores by class or label: what `evaluate --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Mean loss.
    pub loss: f64,
    /// Share of images whose class is found, or of which all labels are right.
    pub accuracy: f64,
    /// Scores that labels alone have.
    #[serde(flatten)]
    pub labels: LabelScores,
    /// In the order of the model's outputs.
    pub classes: Vec<ClassScore>,
    /// `confusion[true class][predicted class]` images; empty for labels, of which an image may have several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusion: Vec<Vec<usize>>,
}

impl ClassReport {
    /// Scores of predictions `[images, width]`.
    pub fn new(outputs: &[f32], width: usize, classes: &[u32], names: &[String], loss: f64) -> Self {
        let mut report = Self::of(outputs, width, classes);
        report.loss = loss;
        for (class, name) in report.classes.iter_mut().zip(names) {
            class.name.clone_from(name);
        }
        report
    }

    fn of(outputs: &[f32], width: usize, classes: &[u32]) -> Self {
        let number = width.max(2);
        let mut confusion = vec![vec![0usize; number]; number];
        for (row, class) in outputs.chunks_exact(width).zip(classes) {
            if let Some(row_of_class) = confusion.get_mut(*class as usize) {
                row_of_class[predicted_class(row)] += 1;
            }
        }
        let ratio = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let score = |class: usize| {
            let (support, hits) = (confusion[class].iter().sum(), confusion[class][class]);
            let called = confusion.iter().map(|row| row[class]).sum();
            let (precision, recall) = (ratio(hits, called), ratio(hits, support));
            let sum = precision + recall;
            let f1 = if sum == 0.0 { 0.0 } else { 2.0 * precision * recall / sum };
            ClassScore { name: class.to_string(), precision, recall, f1, average_precision: None, support }
        };
        let hits = (0..number).map(|class| confusion[class][class]).sum();
        let scores = (0..number).map(score).collect();
        let accuracy = ratio(hits, classes.len());
        Self { loss: 0.0, accuracy, labels: LabelScores::default(), classes: scores, confusion }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUTS: [f32; 12] = [0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.3, 0.4, 0.3, 0.2, 0.2, 0.6];

    /// Values by scikit-learn: precision_recall_fscore_support([0, 1, 0, 2], [0, 1, 1, 2], average="macro").
    #[test]
    fn macro_scores_agree_with_scikit_learn() {
        let targets = Targets::Classes(&[0, 1, 0, 2]);
        let measure = |metric: Metric| metric.compute(&OUTPUTS, 3, &targets).expect("classes");
        let cases = [
            (Metric::Accuracy, 0.75),
            (Metric::DType, 0.833_333_333),
            (Metric::Recall, 0.833_333_333),
            (Metric::F1, 0.777_777_778),
            (Metric::TopK(2), 1.0),
        ];
        for (metric, value) in cases {
            assert!((measure(metric) - value).abs() < 1e-8, "{metric}: {}", measure(metric));
        }
    }

    /// `keras.metrics.AUC()([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])` is 0.75.
    #[test]
    fn auc_agrees_with_keras() {
        let value = Metric::Auc.compute(&[0.1, 0.4, 0.35, 0.8], 1, &Targets::Classes(&[0, 0, 1, 1]));
        assert!((value.expect("one output") - 0.75).abs() < 1e-6);
    }

    #[test]
    fn a_class_nobody_has_does_not_divide_by_zero() {
        let report = ClassReport::new(&OUTPUTS, 3, &[0, 0, 0, 0], &["a".into(), "b".into(), "c".into()], 0.5);
        assert_eq!(report.classes[1].support, 0);
        assert!(report.classes.iter().all(|class| class.f1.is_finite()));
        assert_eq!(report.confusion[0], [1, 2, 1]);
    }
}
