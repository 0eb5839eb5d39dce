//! Scores from the source model's own predictions.

/// LEEP (Nguyen et al. 2020): the mean log likelihood of the labels, predicted by way of the source's classes.
///
/// * `predictions`: `[images, source classes]`, probabilities
pub fn leep(predictions: &[f32], source_classes: usize, labels: &[usize], classes: usize) -> f64 {
    let joint = joint(predictions, source_classes, labels, classes);
    let of_source: Vec<f64> = (0..source_classes)
        .map(|source| (0..classes).map(|class| joint[class * source_classes + source]).sum())
        .collect();
    let likelihood = |(row, label): (&[f32], &usize)| {
        let each = row.iter().enumerate().filter(|(source, _)| of_source[*source] > 0.0);
        let shares = each.map(|(source, probability)| {
            f64::from(*probability) * joint[label * source_classes + source] / of_source[source]
        });
        shares.sum::<f64>().max(f64::MIN_POSITIVE).ln()
    };
    let all: f64 = predictions.chunks_exact(source_classes).zip(labels).map(likelihood).sum();
    all / labels.len() as f64
}

/// NCE (Tran, Nguyen and Hassner 2019): minus the entropy of the labels given the class that the source predicts.
pub fn nce(predictions: &[f32], source_classes: usize, labels: &[usize], classes: usize) -> f64 {
    let mut chosen = vec![0.0; predictions.len()];
    for (row, chosen) in predictions.chunks_exact(source_classes).zip(chosen.chunks_exact_mut(source_classes))
    {
        let best = (0..source_classes).max_by(|a, b| row[*a].total_cmp(&row[*b]).then(b.cmp(a)));
        best.into_iter().for_each(|best| chosen[best] = 1.0);
    }
    let joint = joint(&chosen, source_classes, labels, classes);
    let mut entropy = 0.0;
    for source in 0..source_classes {
        let column = || (0..classes).map(|class| joint[class * source_classes + source]);
        let all: f64 = column().sum();
        entropy -= column().filter(|share| *share > 0.0).map(|share| share * (share / all).ln()).sum::<f64>();
    }
    -entropy
}

/// `[classes, source classes]`: how often labels and source classes come together.
fn joint(predictions: &[f32], source_classes: usize, labels: &[usize], classes: usize) -> Vec<f64> {
    let mut joint = vec![0.0; classes * source_classes];
    for (row, label) in predictions.chunks_exact(source_classes).zip(labels) {
        let own = &mut joint[label * source_classes..][..source_classes];
        own.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value) / labels.len() as f64);
    }
    joint
}
