//! Scores of images that may have several labels. Source: scikit-learn's `f1_score`, `precision_score`, `recall_score` and
//! `average_precision_score` on indicator matrices.

use crate::fit::{ClassReport, ClassScore, LabelScores, Metric};

/// An output above this says that an image has the label.
pub(crate) const HAS_LABEL: f32 = 0.5;

/// Decisions on one label, or on several together.
#[derive(Clone, Copy, Debug, Default)]
struct Decisions {
    /// It has the label, and is said to.
    right: usize,
    /// It is said to have the label.
    said: usize,
    /// It has the label.
    has: usize,
}

impl Decisions {
    fn add(&mut self, other: Decisions) {
        self.right += other.right;
        self.said += other.said;
        self.has += other.has;
    }

    /// 0 where there is nothing to divide by, as in scikit-learn.
    fn precision(self) -> f64 {
        ratio(self.right, self.said)
    }

    fn recall(self) -> f64 {
        ratio(self.right, self.has)
    }

    fn f1(self) -> f64 {
        ratio(2 * self.right, self.said + self.has)
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The decisions on each label. Both are `[images, width]`.
fn decisions(outputs: &[f32], width: usize, values: &[f32]) -> Vec<Decisions> {
    let mut found = vec![Decisions::default(); width];
    for (outputs, values) in outputs.chunks_exact(width.max(1)).zip(values.chunks_exact(width.max(1))) {
        for ((decisions, output), value) in found.iter_mut().zip(outputs).zip(values) {
            let (said, has) = (*output > HAS_LABEL, *value == 1.0);
            decisions.add(Decisions { right: usize::from(said && has), said: said.into(), has: has.into() });
        }
    }
    found
}

/// A metric of outputs, which are probabilities, `[images, width]`, as `values` are, which are 0 or 1.
pub(super) fn compute(metric: Metric, outputs: &[f32], width: usize, values: &[f32]) -> Option<f64> {
    let mean = |of: fn(Decisions) -> f64| {
        let all = decisions(outputs, width, values);
        Some(all.iter().map(|one| of(*one)).sum::<f64>() / all.len().max(1) as f64)
    };
    match metric {
        Metric::Accuracy => Some(all_right(outputs, width, values)),
        Metric::DType => mean(Decisions::precision),
        Metric::Recall => mean(Decisions::recall),
        Metric::F1 => mean(Decisions::f1),
        Metric::MicroF1 => {
            let mut all = Decisions::default();
            decisions(outputs, width, values).into_iter().for_each(|one| all.add(one));
            Some(all.f1())
        }
        Metric::MeanAveragePrecision => {
            mean_average_precision(outputs, width, |label| has(values, width, label).collect())
        }
        Metric::TopK(_) | Metric::Auc | Metric::MeanSquaredError | Metric::MeanAbsoluteError => None,
    }
}

/// Which images have a label.
fn has(values: &[f32], width: usize, label: usize) -> impl Iterator<Item = bool> {
    values.chunks_exact(width.max(1)).map(move |row| row[label] == 1.0)
}

/// The share of images of which all labels are right.
fn all_right(outputs: &[f32], width: usize, values: &[f32]) -> f64 {
    let rows = outputs.chunks_exact(width.max(1)).zip(values.chunks_exact(width.max(1)));
    let right = |(outputs, values): &(&[f32], &[f32])| {
        outputs.iter().zip(*values).all(|(output, value)| (*output > HAS_LABEL) == (*value == 1.0))
    };
    ratio(rows.clone().filter(right).count(), rows.count())
}

/// The mean over outputs of the average precision; outputs whose class or label no image has do not count. `is_of`: which images
/// are of the class or have the label. `None` where no image is of any.
pub(super) fn mean_average_precision(
    outputs: &[f32],
    width: usize,
    is_of: impl Fn(usize) -> Vec<bool>,
) -> Option<f64> {
    let of = |output: usize| {
        let scores: Vec<f32> = outputs.chunks_exact(width.max(1)).map(|row| row[output]).collect();
        average_precision(&scores, &is_of(output))
    };
    let found: Vec<f64> = (0..width).filter_map(of).collect();
    (!found.is_empty()).then(|| found.iter().sum::<f64>() / found.len() as f64)
}

/// `Σ (R_n − R_{n−1}) P_n` over the thresholds that scores give, equal scores together. `None` where nothing is to be found.
fn average_precision(scores: &[f32], is_of: &[bool]) -> Option<f64> {
    let all = is_of.iter().filter(|is_of| **is_of).count();
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
    let (mut found, mut sum, mut at) = (0, 0.0, 0);
    while at < order.len() {
        let score = scores[order[at]];
        let equal = order[at..].iter().take_while(|index| scores[**index] == score).count().max(1);
        let more = order[at..at + equal].iter().filter(|index| is_of[**index]).count();
        at += equal;
        found += more;
        sum += ratio(more, all) * ratio(found, at);
    }
    (all > 0).then_some(sum)
}

impl ClassReport {
    /// Scores of predictions `[images, width]` of images that may have several labels; `values` as they are.
    pub fn of_labels(outputs: &[f32], width: usize, values: &[f32], names: &[String], loss: f64) -> Self {
        let score = |(label, decisions): (usize, Decisions)| {
            let scores: Vec<f32> = outputs.chunks_exact(width.max(1)).map(|row| row[label]).collect();
            ClassScore {
                name: names.get(label).cloned().unwrap_or_else(|| label.to_string()),
                precision: decisions.precision(),
                recall: decisions.recall(),
                f1: decisions.f1(),
                average_precision: average_precision(&scores, &has(values, width, label).collect::<Vec<_>>()),
                support: decisions.has,
            }
        };
        let metric = |metric| compute(metric, outputs, width, values);
        Self {
            loss,
            accuracy: all_right(outputs, width, values),
            labels: LabelScores {
                map: metric(Metric::MeanAveragePrecision),
                f1: metric(Metric::F1),
                f1_micro: metric(Metric::MicroF1),
            },
            classes: decisions(outputs, width, values).into_iter().enumerate().map(score).collect(),
            confusion: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn 1.7: `average_precision_score`, `f1_score` with `zero_division=0`
    #[test]
    fn scores_are_those_of_scikit_learn() {
        let values = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        let outputs = [0.9, 0.2, 0.4, 0.6, 0.4, 0.1, 0.7, 0.8, 0.6, 0.6, 0.1, 0.2];
        let is = |metric, wanted: f64| {
            let found = compute(metric, &outputs, 3, &values).unwrap();
            assert!((found - wanted).abs() < 1e-6, "{metric}: {found}");
        };
        // by label: 1 + equal scores at 0.6 → (1/2)·1 + (1/2)·(2/4); 1; no image has the third
        is(Metric::MeanAveragePrecision, (0.75 + 1.0) / 2.0);
        is(Metric::F1, (2.0 * 2.0 / 6.0 + 2.0 / 3.0 + 0.0) / 3.0);
        is(Metric::MicroF1, 2.0 * 3.0 / (6.0 + 4.0));
        is(Metric::Accuracy, 0.25);
        let report = ClassReport::of_labels(&outputs, 3, &values, &[], 0.5);
        assert_eq!(report.classes[2].average_precision, None);
        assert_eq!(report.classes.iter().map(|one| one.support).collect::<Vec<_>>(), [2, 2, 0]);
    }
}
