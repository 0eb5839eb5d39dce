//! H-score: how much of the features' variance lies between classes.

use super::Features;
use super::ridge::centred;
use super::spectrum::Spectrum;

/// The regularised H-score, `tr(cov_a(f)⁻¹ (1 − a) cov(E[f | y]))`, where `cov_a` is Ledoit and Wolf's estimate of the
/// covariance with the shrinkage `a` (Bao et al. 2019; Ibrahim, Ponomareva and Mazumder 2021). At most the number of classes
/// less one.
pub fn h_score(features: Features<'_>, labels: &[usize], classes: usize) -> f64 {
    let (images, width) = (features.images(), features.width as f64);
    let n = images as f64;
    let (x, _) = centred(features);
    let Spectrum { u, squares } = Spectrum::of(x.as_ref());
    let norms = (0..images).map(|image| x.row(image).iter().map(|value| value * value).sum::<f64>());
    let fourth: f64 = norms.map(|norm| norm * norm).sum();
    let total: f64 = squares.iter().sum();
    let (mean, own) =
        (total / n / width, squares.iter().map(|square| square * square).sum::<f64>() / (n * n));
    // Ledoit and Wolf 2004: how far the sample covariance is from a multiple of the identity, and how much of that is noise
    let distance = (own - width * mean * mean) / width;
    let noise = ((fourth / n - own) / (width * n)).min(distance);
    let shrinkage = if noise <= 0.0 { 0.0 } else { noise / distance };
    let counts = (0..classes).map(|class| labels.iter().filter(|label| **label == class).count());
    let counts: Vec<f64> = counts.map(|count| count as f64).collect();
    let between = |column: usize| {
        let mut sums = vec![0.0; classes];
        for (value, label) in u.col(column).iter().zip(labels) {
            sums[*label] += value;
        }
        let shares = sums.iter().zip(&counts).filter(|(_, count)| **count > 0.0);
        shares.map(|(sum, count)| sum * sum / count).sum::<f64>()
    };
    let each = squares.iter().enumerate().map(|(column, square)| {
        let variance = (1.0 - shrinkage) * square / n + shrinkage * mean;
        (1.0 - shrinkage) * square * between(column) / (n - 1.0) / variance
    });
    each.sum()
}
