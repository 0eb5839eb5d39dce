//! What is to be learned, and the checks that it can be.

use crate::{FeatureTable, HeadError};
use serde::{Deserialize, Serialize};

/// The share of the weight that must be left when a group is left out.
const LEFT: f64 = 1e-9;

/// What the rows are to be mapped to.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// One class a row.
    Classes {
        /// `[rows]`, from 0.
        labels: &'a [usize],
        /// How many classes there are. Each needs at least one row.
        classes: usize,
    },
    /// Several labels a row, each there (1) or not (0), with a logistic regression each.
    Labels {
        /// `[rows, width]`
        values: &'a [f32],
        /// How many labels there are.
        width: usize,
    },
    /// Numbers, by ridge regression.
    Numbers {
        /// `[rows, width]`
        values: &'a [f32],
        /// How many numbers a row has.
        width: usize,
    },
}

impl Targets<'_> {
    /// How many outputs the layer has.
    #[must_use]
    pub fn outputs(&self) -> usize {
        match *self {
            Self::Classes { classes, .. } => classes,
            Self::Labels { width, .. } | Self::Numbers { width, .. } => width,
        }
    }

    /// The kind of outputs.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Classes { .. } => Kind::Classes,
            Self::Labels { .. } => Kind::Labels,
            Self::Numbers { .. } => Kind::Numbers,
        }
    }

    /// A target as a number: for classes 1 where the row is of the class, else 0.
    pub(crate) fn value(&self, row: usize, output: usize) -> f64 {
        match self {
            Self::Classes { labels, .. } => f64::from(u8::from(labels[row] == output)),
            Self::Labels { values, width } | Self::Numbers { values, width } => {
                f64::from(values[row * width + output])
            }
        }
    }
}

/// What outputs mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Logits of classes that exclude each other: softmax.
    Classes,
    /// Logits of labels: sigmoid.
    Labels,
    /// Numbers as they are.
    Numbers,
}

/// How the head is solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Ridge for numbers and logistic regression for labels. For classes the mean of ridge and logistic regression, or the better
    /// of the three where the mean is worse by more than a standard error.
    Auto,
    /// Ridge regression on one-hot targets, or on numbers.
    Ridge,
    /// Logistic regression with an L2 penalty.
    Logistic,
    /// The mean of the calibrated logits of ridge and logistic regression. Only for classes.
    Mean,
}

/// Features, targets, and what is known of the rows.
#[derive(Clone, Copy)]
pub struct Problem<'a> {
    /// `[rows, width]`
    pub features: &'a dyn FeatureTable,
    /// The widths of the column blocks, one for each cut through the network. They sum to the width. Each block gets the same
    /// share of the penalty, whatever its scale and width.
    pub blocks: &'a [usize],
    /// What each row is to be mapped to.
    pub targets: Targets<'a>,
    /// `[rows]`: how much each row counts, 0 or more, for instance against imbalance. Only ratios matter.
    pub weights: Option<&'a [f64]>,
    /// `[rows]`: rows with equal numbers, such as copies of one photo, are left out together.
    pub groups: Option<&'a [usize]>,
}

impl Problem<'_> {
    /// Checks all but the features, and gives weights whose mean is 1.
    pub(crate) fn check(&self) -> Result<Option<Vec<f64>>, HeadError> {
        let (rows, width) = (self.features.rows(), self.features.width());
        if width == 0 {
            return Err(HeadError::NoColumns);
        }
        if rows < 2 {
            return Err(HeadError::TooFewRows { rows });
        }
        let received = self.blocks.iter().fold(0_usize, |sum, block| sum.saturating_add(*block));
        expect("the widths of the column blocks", width, received)?;
        let weights = self.checked_weights(rows)?;
        if let Some(groups) = self.groups {
            expect("the groups", rows, groups.len())?;
        }
        self.check_groups(rows, weights.as_deref())?;
        self.check_targets(rows, weights.as_deref())?;
        Ok(weights)
    }

    fn checked_weights(&self, rows: usize) -> Result<Option<Vec<f64>>, HeadError> {
        let Some(weights) = self.weights else { return Ok(None) };
        expect("the weights", rows, weights.len())?;
        if let Some(row) = weights.iter().position(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(HeadError::BadWeight { row, weight: weights[row] });
        }
        let largest = weights.iter().fold(0.0, |a: f64, b| a.max(*b));
        if weights.iter().filter(|weight| **weight / largest > 0.0).count() < 2 {
            return Err(HeadError::NoWeight);
        }
        // over the largest first, so that the sum is finite
        let mean = weights.iter().map(|weight| weight / largest).sum::<f64>() / rows as f64;
        Ok(Some(weights.iter().map(|weight| weight / largest / mean).collect()))
    }

    /// Without any one group there must be something left.
    fn check_groups(&self, rows: usize, weights: Option<&[f64]>) -> Result<(), HeadError> {
        let group = |row: usize| self.groups.map_or(row, |groups| groups[row]);
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|row| group(*row));
        let weight =
            |rows: &[usize]| rows.iter().map(|row| weights.map_or(1.0, |weights| weights[*row])).sum::<f64>();
        let all = rows as f64;
        if order.chunk_by(|a, b| group(*a) == group(*b)).any(|rows| weight(rows) > all * (1.0 - LEFT)) {
            return Err(HeadError::OneGroup);
        }
        Ok(())
    }

    fn check_targets(&self, rows: usize, weights: Option<&[f64]>) -> Result<(), HeadError> {
        let counts = |row: usize| weights.is_none_or(|weights| weights[row] > 0.0);
        match self.targets {
            Targets::Classes { labels, classes } => {
                expect("the labels", rows, labels.len())?;
                if classes < 2 {
                    return Err(HeadError::TooFewClasses { classes });
                }
                if let Some(row) = labels.iter().position(|class| *class >= classes) {
                    return Err(HeadError::NoSuchClass { row, class: labels[row], classes });
                }
                // as many classes as a careless caller may declare are not worth a table
                if classes > rows {
                    let class = (0..=rows).find(|class| !labels.contains(class)).unwrap_or(rows);
                    return Err(HeadError::EmptyClass { class });
                }
                let mut is_seen = vec![false; classes];
                (0..rows).filter(|row| counts(*row)).for_each(|row| is_seen[labels[row]] = true);
                match is_seen.iter().position(|seen| !seen) {
                    Some(class) => Err(HeadError::EmptyClass { class }),
                    None => Ok(()),
                }
            }
            Targets::Labels { values, width } => {
                check_table(rows, values, width)?;
                if let Some(at) = values.iter().position(|value| *value != 0.0 && *value != 1.0) {
                    return Err(HeadError::BadLabel {
                        row: at / width,
                        label: at % width,
                        value: values[at],
                    });
                }
                let is_constant = |label: &usize| {
                    let mut seen =
                        (0..rows).filter(|row| counts(*row)).map(|row| values[row * width + label]);
                    let first = seen.next();
                    seen.all(|value| Some(value) == first)
                };
                match (0..width).find(is_constant) {
                    Some(label) => Err(HeadError::ConstantLabel { label }),
                    None => Ok(()),
                }
            }
            Targets::Numbers { values, width } => {
                check_table(rows, values, width)?;
                match values.iter().position(|value| !value.is_finite()) {
                    Some(at) => Err(HeadError::TargetNotFinite { row: at / width, output: at % width }),
                    None => Ok(()),
                }
            }
        }
    }
}

fn check_table(rows: usize, values: &[f32], width: usize) -> Result<(), HeadError> {
    if width == 0 {
        return Err(HeadError::NoOutputs);
    }
    expect("the targets", rows.saturating_mul(width), values.len())
}

fn expect(what: &'static str, expected: usize, received: usize) -> Result<(), HeadError> {
    if expected == received { Ok(()) } else { Err(HeadError::Size { what, expected, received }) }
}
