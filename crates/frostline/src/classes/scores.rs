//! What heads say of training images that they have not seen, by class: `left-out.csv` of the earlier run, and its like now.

use crate::fit::LeftOut;
use crate::report::LEFT_OUT_FILE;
use frostline_files::regular;
use frostline_graph::{Error, Result};
use serde::Serialize;
use std::path::Path;

/// Scores of a class by a head that has not seen the image.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ClassBefore {
    /// Its name.
    pub name: String,
    /// Photos of the class.
    pub images: usize,
    /// The share of these that are found.
    pub recall: f64,
    /// The share that is of the class, of those that are taken for it.
    pub precision: f64,
}

/// The scores by class of pairs of label and prediction, and the share that is right.
pub(super) fn of_pairs(pairs: &[(String, String)], classes: &[String]) -> (Vec<ClassBefore>, f64) {
    let share = |part: usize, whole: usize| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
    let count = |is: &dyn Fn(&(String, String)) -> bool| pairs.iter().filter(|pair| is(pair)).count();
    let score = |name: &String| {
        let images = count(&|(label, _)| label == name);
        let called = count(&|(_, predicted)| predicted == name);
        let hits = count(&|(label, predicted)| label == name && predicted == name);
        ClassBefore {
            name: name.clone(),
            images,
            recall: share(hits, images),
            precision: share(hits, called),
        }
    };
    let right = count(&|(label, predicted)| label == predicted);
    (classes.iter().map(score).collect(), share(right, pairs.len()))
}

/// Label and prediction of each training image, as a run has recorded them.
///
/// Errors: a record that is not there or cannot be read.
pub(super) fn recorded(run: &Path) -> Result<Vec<(String, String)>> {
    let file = run.join(LEFT_OUT_FILE);
    let bytes = regular::read(&file).map_err(|source| Error::io(&file, source))?;
    let damaged = |line: usize| {
        Error::format(&file, format!("line {line} tells of no image\nhelp: the file is damaged: train again"))
    };
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let pair = |(index, record): (usize, Result<csv::StringRecord, csv::Error>)| {
        let record = record.map_err(|_| damaged(index + 2))?;
        match (record.get(1), record.get(2)) {
            (Some(label), Some(predicted)) => Ok((label.to_owned(), predicted.to_owned())),
            _ => Err(damaged(index + 2)),
        }
    };
    reader.records().enumerate().map(pair).collect()
}

/// The same of a head that was just solved.
pub(super) fn found(left_out: &[LeftOut], classes: &[String]) -> Vec<(String, String)> {
    left_out.iter().map(|one| (classes[one.label].clone(), classes[one.predicted()].clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By scikit-learn: precision_recall_fscore_support(["a", "a", "a", "b"], ["a", "a", "b", "b"]).
    #[test]
    fn scores_by_class_agree_with_scikit_learn() {
        let pair = |label: &str, predicted: &str| (label.to_owned(), predicted.to_owned());
        let pairs = [pair("a", "a"), pair("a", "a"), pair("a", "b"), pair("b", "b")];
        let names = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        let (scores, accuracy) = of_pairs(&pairs, &names);
        let told: Vec<(usize, f64, f64)> =
            scores.iter().map(|score| (score.images, score.recall, score.precision)).collect();
        assert_eq!(told, [(3, 2.0 / 3.0, 1.0), (1, 1.0, 0.5), (0, 0.0, 0.0)]);
        assert_eq!(accuracy, 0.75);
    }
}
