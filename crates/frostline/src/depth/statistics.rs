//! What repeated scores say: means, intervals, and differences on equal splits.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// The share of intervals that hold the true value.
pub const CONFIDENCE: f64 = 0.95;

/// How the repeats of an experiment depend on one another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Design {
    /// Images that a repeat leaves out, for each image that it trains on: repeats that share most of their training images are
    /// no independent samples. 0 for independent ones.
    pub overlap: f64,
    /// The variance of the mean that comes of the images that are scored being a sample, where all repeats score the same.
    pub sampling: f64,
    /// How many images that sample has.
    pub images: usize,
}

/// A mean over repeats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the repeats; 0 of a single one.
    pub sd: f64,
    /// The standard error of the mean.
    pub error: f64,
    /// The 95 % interval of the mean; unbounded for a single repeat.
    pub ci: [f64; 2],
    /// How likely a mean so far from 0 is where the true one is 0 (two-sided).
    pub p: f64,
    /// Degrees of freedom of `error`.
    pub freedom: f64,
}

impl Estimate {
    /// The 95 % interval, which a single repeat does not have.
    pub fn interval(&self) -> Option<[f64; 2]> {
        self.error.is_finite().then_some(self.ci)
    }

    /// Of scores, or of differences on equal splits: the corrected resampled t-test of Nadeau and Bengio (2003), whose variance
    /// of the mean is `(1/n + overlap) s²`, with what the sample of images adds to it; the degrees of freedom of the sum are
    /// Satterthwaite's (1946). Without repeats there is no estimate.
    pub fn of(values: &[f64], design: Design) -> Option<Self> {
        let n = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let ci = [f64::NEG_INFINITY, f64::INFINITY];
        let unknown = Self { mean, sd: 0.0, error: f64::INFINITY, ci, p: 1.0, freedom: 1.0 };
        if values.len() < 2 {
            return Some(unknown);
        }
        let variance = squares / (n - 1.0);
        let parts = [
            ((1.0 / n + design.overlap) * variance, n - 1.0),
            (design.sampling, design.images.max(2) as f64 - 1.0),
        ];
        let whole: f64 = parts.iter().map(|(part, _)| part).sum();
        let spread: f64 = parts.iter().map(|(part, freedom)| part * part / freedom).sum();
        let freedom = if spread > 0.0 { whole * whole / spread } else { n - 1.0 };
        let Ok(student) = StudentsT::new(0.0, 1.0, freedom) else { return Some(unknown) };
        let error = whole.sqrt();
        let half = student.inverse_cdf(0.5 + CONFIDENCE / 2.0) * error;
        let p = match (error > 0.0, mean == 0.0) {
            (true, _) => 2.0 * student.sf((mean / error).abs()),
            (false, true) => 1.0,
            (false, false) => 0.0,
        };
        Some(Self { mean, sd: variance.sqrt(), error, ci: [mean - half, mean + half], p, freedom })
    }

    /// How likely a mean so far below a bound is where the true one is the bound (two-sided, as `p`); 1 above it.
    pub fn p_below(&self, bound: f64) -> f64 {
        match StudentsT::new(0.0, 1.0, self.freedom) {
            Ok(student) if self.mean < bound => 2.0 * student.cdf((self.mean - bound) / self.error),
            _ => 1.0,
        }
    }
}

/// The variance of a mean over images, of which each gives a value. Images that are all alike do not say that every other one
/// is too: it is at least what one that differs would make it.
pub fn sampling_variance(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    if n < 2.0 { 0.0 } else { (squares / (n - 1.0) / n).max(1.0 / (n * n)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
    }

    /// `scipy.stats.t.interval(.95, 7, loc=mean, scale=sem)`.
    #[test]
    fn independent_scores_have_students_interval() {
        let scores = [0.61, 0.64, 0.60, 0.66, 0.63, 0.59, 0.65, 0.62];
        let found = Estimate::of(&scores, Design::default()).expect("an estimate");
        near(found.mean, 0.625);
        near(found.sd, 0.024494897427831803);
        near(found.ci[0], 0.6045217532771588);
        near(found.ci[1], 0.6454782467228412);
        // `scipy.stats.ttest_1samp(scores, .65).pvalue`
        near(found.p_below(0.65), 0.023424636054437457);
        assert_eq!(found.p_below(0.6), 1.0);
    }

    /// `2 * scipy.stats.t.sf(t, 9)` with `t = mean / sqrt((1/10 + 1/3) * variance)`.
    #[test]
    fn overlapping_repeats_have_the_corrected_interval() {
        let differences = [0.021, 0.034, -0.004, 0.018, 0.027, 0.009, 0.03, 0.012, 0.015, 0.022];
        let design = Design { overlap: 0.25 / 0.75, ..Design::default() };
        let found = Estimate::of(&differences, design).expect("an estimate");
        near(found.mean / found.error, 2.5119296789123613);
        near(found.p, 0.033205452913576614);
        near(found.ci[1] - found.mean, 0.01657040487435523);
    }

    /// `scipy.stats.t.interval(.95, df, scale=sqrt(a + b))` with `a = s²/3`, `b = .0009` and `df = (a+b)² / (a²/2 + b²/299)`.
    #[test]
    fn a_sample_of_many_images_adds_degrees_of_freedom() {
        let design = Design { overlap: 0.0, sampling: 0.0009, images: 300 };
        let found = Estimate::of(&[0.58, 0.60, 0.56], design).expect("an estimate");
        near(found.ci[1] - found.mean, 0.06384312993534709);
    }

    #[test]
    fn images_that_are_all_alike_leave_an_interval() {
        near(sampling_variance(&[1.0, 0.0, 1.0, 0.0]), 1.0 / 12.0);
        near(sampling_variance(&[1.0; 50]), 1.0 / 2500.0);
    }

    #[test]
    fn a_single_repeat_says_nothing_of_its_spread() {
        let found = Estimate::of(&[0.7], Design::default()).expect("an estimate");
        assert_eq!((found.mean, found.p), (0.7, 1.0));
        assert!(found.ci[0].is_infinite() && Estimate::of(&[], Design::default()).is_none());
    }
}
