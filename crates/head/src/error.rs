//! What can be wrong with the data, in plain English.

/// Why a head could not be solved. Rows and columns count from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeadError {
    /// Two inputs that belong together have different sizes.
    #[error("{what}: expected `{expected}`, received `{received}`; help: pass one entry for each")]
    Size {
        /// Which input.
        what: &'static str,
        /// The size that fits the others.
        expected: usize,
        /// The size that was passed.
        received: usize,
    },
    /// There are no rows, or only one.
    #[error("{rows} rows are too few to learn from; help: pass at least 2")]
    TooFewRows {
        /// How many there are.
        rows: usize,
    },
    /// There are no features.
    #[error("the features have no columns; help: pass at least one")]
    NoColumns,
    /// A feature is NaN or infinite.
    #[error(
        "the feature in row `{row}`, column `{column}` is not a finite number; help: look for a damaged image or weight, or leave the row out"
    )]
    FeatureNotFinite {
        /// The first such row.
        row: usize,
        /// The first such column of it.
        column: usize,
    },
    /// A target is NaN or infinite.
    #[error("the target `{output}` of row `{row}` is not a finite number; help: leave the row out")]
    TargetNotFinite {
        /// The row.
        row: usize,
        /// Which of its targets.
        output: usize,
    },
    /// A weight is negative, NaN or infinite.
    #[error("the weight of row `{row}` is `{weight}`; help: pass a finite number of 0 or more")]
    BadWeight {
        /// The row.
        row: usize,
        /// Its weight.
        weight: f64,
    },
    /// All weights are 0.
    #[error("the weights of all rows are 0; help: pass a positive weight for at least two rows")]
    NoWeight,
    /// A label names no class.
    #[error(
        "row `{row}` has the class `{class}`, but there are `{classes}` classes, counted from 0; help: check the labels"
    )]
    NoSuchClass {
        /// The row.
        row: usize,
        /// Its label.
        class: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// There is nothing to tell apart.
    #[error("`{classes}` classes: nothing to tell apart; help: pass at least 2 classes")]
    TooFewClasses {
        /// How many were declared.
        classes: usize,
    },
    /// A class has no row, or only rows of weight 0.
    #[error("class `{class}` has no rows to learn from; help: add some, or leave the class out")]
    EmptyClass {
        /// Which.
        class: usize,
    },
    /// A label of several is neither 0 nor 1.
    #[error("label `{label}` of row `{row}` is `{value}`; help: pass 0 or 1")]
    BadLabel {
        /// The row.
        row: usize,
        /// Which label.
        label: usize,
        /// Its value.
        value: f32,
    },
    /// A label is the same in all rows.
    #[error(
        "label `{label}` is the same in every row that has a weight; help: add rows that differ, or leave the label out"
    )]
    ConstantLabel {
        /// Which.
        label: usize,
    },
    /// There are no outputs.
    #[error("the targets have no columns; help: pass at least one")]
    NoOutputs,
    /// All rows are one group.
    #[error(
        "all rows are in one group, so no row can be predicted without it; help: check the groups, or pass none"
    )]
    OneGroup,
    /// A group is too large for the closed form.
    #[error(
        "a group has `{rows}` rows, and at most `{limit}` can be left out together; help: keep only some of its rows, or split it"
    )]
    LargeGroup {
        /// Its size.
        rows: usize,
        /// The largest that is allowed.
        limit: usize,
    },
    /// The method does not fit the targets.
    #[error(
        "the method `{method:?}` does not fit these targets; help: use `Auto`, ridge for numbers, and logistic regression for several labels"
    )]
    MethodMismatch {
        /// What was asked for.
        method: crate::Method,
    },
    /// A penalty, share or level is out of range.
    #[error("{what} is `{value}`; help: pass {range}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// The eigenvalues could not be found, which finite features do not cause.
    #[error("the eigenvalues of the features were not found; help: please report this with the features")]
    Eigenvalues,
    /// The optimum of the logistic regression was not reached.
    #[error(
        "the logistic regression stopped after `{iterations}` iterations with a gradient of `{gradient:e}` of the first; help: use a larger penalty"
    )]
    NotConverged {
        /// How many were done.
        iterations: usize,
        /// The length of the gradient over that at the start.
        gradient: f64,
    },
    /// Reading features failed.
    #[error("the features could not be read: {0}")]
    Read(String),
}
