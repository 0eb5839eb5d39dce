//! Loss and metrics of one set of predictions.

use crate::fit::{LossSetting, Metric, Outputs, Targets};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Loss and metrics; written as `{"loss": …, "accuracy": …}`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// The mean loss.
    pub loss: f64,
    /// Each metric with its value.
    pub metrics: Vec<(Metric, f64)>,
}

impl Scores {
    /// Of predictions `[images, width]`, as they come out of the model or as logits.
    pub fn of(
        outputs: &[f32],
        from: Outputs,
        width: usize,
        targets: &Targets<'_>,
        loss: &LossSetting,
        metrics: &[Metric],
    ) -> Self {
        let value = loss.evaluate(outputs, from, width, targets, None, None);
        Self { loss: value, metrics: compute(outputs, from, width, targets, metrics) }
    }

    /// The value of a metric, if it is one of these.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.metrics.iter().find(|(other, _)| *other == metric).map(|(_, value)| *value)
    }
}

/// The metrics that such targets have.
pub(in crate::fit) fn compute(
    outputs: &[f32],
    from: Outputs,
    width: usize,
    targets: &Targets<'_>,
    metrics: &[Metric],
) -> Vec<(Metric, f64)> {
    let squashed: Vec<f32>;
    let outputs = match (from, width) {
        // one logit is above 0 where its probability is above one half
        (Outputs::Logits, _) if width == 1 || matches!(targets, Targets::Labels(_)) => {
            squashed = outputs.iter().map(|logit| 1.0 / (1.0 + (-logit).exp())).collect();
            &squashed
        }
        _ => outputs,
    };
    metrics.iter().filter_map(|metric| Some((*metric, metric.compute(outputs, width, targets)?))).collect()
}

impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.metrics.len()))?;
        map.serialize_entry("loss", &self.loss)?;
        for (metric, value) in &self.metrics {
            map.serialize_entry(&metric.to_string(), value)?;
        }
        map.end()
    }
}
