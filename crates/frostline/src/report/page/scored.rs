//! Images with what was said of them by a model, or a head, that was not trained on them; and which of them to look at.

use crate::fit::ClassReport;
use crate::report::interval::{accuracy, is_right, mean_squared_error, square};
use frostline_data::{Example, Target};
use frostline_head::interval::Interval;
use std::cmp::Ordering;

/// Where they come from, and with it what a score of them is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) enum Origin {
    /// Nobody has seen them.
    Test,
    /// They chose the epoch.
    Val,
    /// Training images, each by a head that has not seen it.
    LeftOut,
    /// What the user asked to score, by its name.
    Asked(String),
}

impl Origin {
    /// `test photos`.
    pub(super) fn of(&self, noun: &str) -> String {
        match self {
            Self::Test => format!("test {noun}"),
            Self::Val => format!("validation {noun}"),
            Self::LeftOut => format!("training {noun}, each as predicted without it"),
            Self::Asked(what) => format!("{noun} of {what}"),
        }
    }
}

/// Images and outputs.
pub(in crate::report) struct Scored<'a> {
    pub(in crate::report) origin: Origin,
    pub(in crate::report) examples: Vec<&'a Example>,
    /// `[images, width]`: probabilities, or numbers.
    pub(in crate::report) outputs: &'a [f32],
    pub(in crate::report) classes: &'a [String],
    pub(in crate::report) report: Option<ClassReport>,
}

impl Scored<'_> {
    fn width(&self) -> usize {
        self.outputs.len() / self.examples.len().max(1)
    }

    /// What was put out for each image, and what it is.
    fn rows(&self) -> impl Iterator<Item = (&[f32], &Target)> {
        self.outputs
            .chunks_exact(self.width().max(1))
            .zip(self.examples.iter().map(|example| &example.target))
    }

    /// What was put out for an image.
    pub(super) fn row(&self, image: usize) -> &[f32] {
        self.outputs.chunks_exact(self.width().max(1)).nth(image).unwrap_or_default()
    }

    /// A probability for each class.
    pub(super) fn shares(&self, image: usize) -> Vec<f32> {
        match self.row(image) {
            [one] => vec![1.0 - one, *one],
            row => row.to_vec(),
        }
    }

    /// How wrong what was said of an image is; none where it is right.
    fn error(&self, image: usize) -> Option<f64> {
        let (row, target) = (self.row(image), &self.examples[image].target);
        let error = || match target {
            Target::Class(class) => 1.0 - f64::from(self.shares(image).get(*class).copied().unwrap_or(0.0)),
            Target::Labels(labels) => {
                let miss = |(label, share): (usize, &f32)| {
                    let right = if labels.contains(&label) { *share } else { 1.0 - share };
                    -f64::from(right.max(1e-7)).ln()
                };
                row.iter().enumerate().map(miss).sum()
            }
            Target::Value(values) => square(row, values),
        };
        (!is_right(row, target)).then(error)
    }

    /// Images that are wrong, the worst first.
    pub(super) fn mistakes(&self) -> Vec<usize> {
        let errors = (0..self.examples.len()).filter_map(|image| Some((image, self.error(image)?)));
        sorted(errors, |a, b| b.total_cmp(a))
    }

    /// Images of which the model is least sure, the least first: by the margin between the two likeliest classes, or how near a label
    /// is to one half.
    pub(super) fn least_certain(&self) -> Vec<usize> {
        let margin = |image: usize| {
            let mut shares = self.shares(image);
            match &self.examples[image].target {
                Target::Class(_) => {
                    shares.sort_by(|a, b| b.total_cmp(a));
                    Some(f64::from(shares.first()? - shares.get(1)?))
                }
                Target::Labels(_) => {
                    self.row(image).iter().map(|share| f64::from((2.0 * share - 1.0).abs())).reduce(f64::min)
                }
                Target::Value(_) => None,
            }
        };
        sorted((0..self.examples.len()).filter_map(|image| Some((image, margin(image)?))), f64::total_cmp)
    }

    /// The share of images that are right, or of which all labels are, with its interval; none for numbers.
    pub(super) fn accuracy(&self) -> Option<Interval> {
        self.report.as_ref().and_then(|_| accuracy(self.rows()))
    }

    /// The mean squared error of numbers, with its interval.
    pub(super) fn mean_squared_error(&self) -> Option<Interval> {
        mean_squared_error(self.rows())
    }
}

fn sorted(images: impl Iterator<Item = (usize, f64)>, order: impl Fn(&f64, &f64) -> Ordering) -> Vec<usize> {
    let mut images: Vec<(usize, f64)> = images.collect();
    images.sort_by(|a, b| order(&a.1, &b.1).then(a.0.cmp(&b.0)));
    images.into_iter().map(|(image, _)| image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frostline_data::{Input, Split};

    fn example(row: usize, target: Target) -> Example {
        Example { name: format!("x[{row}]"), input: Input::Row { split: Split::Test, row }, target }
    }

    fn scored<'a>(examples: &'a [Example], outputs: &'a [f32], classes: &'a [String]) -> Scored<'a> {
        let targets: Vec<u32> = examples
            .iter()
            .map(|example| if let Target::Class(class) = example.target { class as u32 } else { 0 })
            .collect();
        let width = outputs.len() / examples.len();
        let report = (!classes.is_empty()).then(|| ClassReport::new(outputs, width, &targets, classes, 0.0));
        Scored { origin: Origin::Test, examples: examples.iter().collect(), outputs, classes, report }
    }

    #[test]
    fn the_surest_mistake_comes_first_and_the_narrowest_margin() {
        let classes = ["a", "b"].map(str::to_owned);
        let examples: Vec<Example> =
            [0, 0, 0, 1].iter().enumerate().map(|(row, class)| example(row, Target::Class(*class))).collect();
        // one output stands for the second class
        let one = scored(&examples, &[0.1, 0.6, 0.9, 0.55], &classes);
        assert_eq!(one.mistakes(), [2, 1]);
        assert_eq!(one.least_certain()[..2], [3, 1]);
        let accuracy = one.accuracy().expect("classes");
        // Wilson's interval of 2 of 4, by statsmodels
        assert_eq!(accuracy.value, 0.5);
        assert!(
            (accuracy.low - 0.150_036).abs() < 1e-5 && (accuracy.high - 0.849_963).abs() < 1e-5,
            "{accuracy:?}"
        );
    }

    #[test]
    fn labels_are_wrong_where_one_of_them_is() {
        let classes = ["a", "b"].map(str::to_owned);
        let labels = [vec![0], vec![0, 1], vec![]];
        let examples: Vec<Example> =
            labels.iter().enumerate().map(|(row, own)| example(row, Target::Labels(own.clone()))).collect();
        let found = scored(&examples, &[0.9, 0.1, 0.9, 0.4, 0.99, 0.0], &classes);
        assert_eq!(found.mistakes(), [2, 1]);
        assert_eq!(found.least_certain()[0], 1);
    }

    #[test]
    fn numbers_have_an_error_and_no_accuracy() {
        let examples: Vec<Example> = [1.0, 2.0, 3.0]
            .iter()
            .enumerate()
            .map(|(row, value)| example(row, Target::Value(vec![*value])))
            .collect();
        let found = scored(&examples, &[1.0, 4.0, 2.0], &[]);
        assert_eq!(found.mistakes(), [1, 2, 0]);
        assert!(found.accuracy().is_none() && found.least_certain().is_empty());
        assert!((found.mean_squared_error().expect("numbers").value - 5.0 / 3.0).abs() < 1e-9);
    }
}
