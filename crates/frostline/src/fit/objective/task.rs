//! What the labels ask of a model: how many outputs, which loss, which metric.

use crate::fit::train::evaluate::squash;
use crate::fit::{Loss, Metric};
use frostline_data::{Dataset, LabelKind, Split};
use frostline_engine::Squash;
use frostline_graph::layers::Dense;
use frostline_graph::{Error, Model, Result};
use std::fmt;

/// Why a model may have no class names, and what helps.
pub const NO_NAMES: &str = "A model that Keras has saved again has lost what frostline stored in it: class names, preprocessing and image size\nhelp: give the run's own folder or `model.keras`, if the model is one of frostline's";

/// What is to be learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// One of two: `Dense(1, sigmoid)` and binary cross-entropy.
    Binary,
    /// One of several: `Dense(n, softmax)` and sparse categorical cross-entropy.
    Classes(usize),
    /// So many labels, of which an image may have several: `Dense(n, sigmoid)` and binary cross-entropy.
    Labels(usize),
    /// So many numbers: `Dense(n)` and mean squared error.
    Numbers(usize),
}

impl Task {
    /// From the labels.
    pub fn of(dataset: &Dataset) -> Self {
        match (dataset.kind(), dataset.classes.len()) {
            (LabelKind::Numbers, _) => Self::Numbers(dataset.target_len()),
            (LabelKind::Labels, labels) => Self::Labels(labels),
            (LabelKind::Classes, 2) => Self::Binary,
            (LabelKind::Classes, classes) => Self::Classes(classes),
        }
    }

    /// The output layer for it. A loss over classes wants an output for each of two classes too: over one alone it is
    /// 0 whatever the output.
    pub fn output_layer(&self, loss: Option<Loss>) -> Dense {
        match self {
            Self::Binary if loss.is_some_and(Loss::is_over_classes) => Dense::new(2).softmax(),
            Self::Binary => Dense::new(1).sigmoid(),
            Self::Classes(classes) => Dense::new(*classes).softmax(),
            Self::Labels(labels) => Dense::new(*labels).sigmoid(),
            Self::Numbers(numbers) => Dense::new(*numbers),
        }
    }

    /// The loss for a model with so many outputs.
    pub fn loss(&self, outputs: usize) -> Loss {
        match self {
            Self::Numbers(_) => Loss::MeanSquaredError,
            Self::Binary if outputs == 1 => Loss::BinaryCrossentropy,
            Self::Labels(_) => Loss::BinaryCrossentropy,
            _ => Loss::SparseCategoricalCrossentropy,
        }
    }

    /// The metric that is shown, and that decides which epoch is best.
    pub fn metric(&self) -> Metric {
        match self {
            Self::Numbers(_) => Metric::MeanSquaredError,
            Self::Labels(_) => Metric::MeanAveragePrecision,
            _ => Metric::Accuracy,
        }
    }

    /// The metrics that are shown beside the one that decides.
    pub fn shown(&self) -> &'static [Metric] {
        match self {
            Self::Labels(_) => &[Metric::MeanAveragePrecision, Metric::F1, Metric::MicroF1],
            Self::Numbers(_) => &[],
            _ => &[Metric::Accuracy],
        }
    }

    /// The width of an output of this shape, which must suit the labels: one number, or one for each class, for two
    /// classes; at least one for each of more; for numbers as many as there are.
    pub fn width(&self, output: &[usize], dataset: &Dataset, help: &str) -> Result<usize> {
        match (output, self) {
            ([outputs], Self::Binary) if *outputs >= 1 => Ok(*outputs),
            ([outputs], Self::Classes(classes)) if outputs >= classes => Ok(*outputs),
            ([outputs], Self::Numbers(wanted) | Self::Labels(wanted)) if outputs == wanted => Ok(*outputs),
            _ => Err(Error::setting(format!(
                "the model's output has the shape {output:?}, the labels of `{}` are {self}\nhelp: {help}",
                dataset.source.display()
            ))),
        }
    }

    /// Errors where a loss says nothing about the labels, or nothing about so many outputs of the model.
    pub fn check_loss(&self, loss: Loss, outputs: usize, model: &Model) -> Result<()> {
        let refuse = |message: String, help: &str| Err(Error::setting(format!("{message}\nhelp: {help}")));
        let cross_entropy = loss == Loss::BinaryCrossentropy || loss.is_over_classes();
        if cross_entropy && matches!(self, Self::Numbers(_)) {
            return refuse(
                format!("the loss `{loss}` is one of classes, the labels are {self}"),
                "give the setting `loss = mse` or mae; labels of classes are names, as `class_3`",
            );
        }
        if matches!(self, Self::Labels(_)) && loss.is_over_classes() {
            return refuse(
                format!("the loss `{loss}` is one of classes that exclude each other, the labels are {self}"),
                "leave the setting `loss` out; the setting `task = classes` learns one class an image",
            );
        }
        if loss.is_over_classes() && outputs == 1 {
            return refuse(
                format!("the loss `{loss}` wants an output for each class, the model has one"),
                "give the setting `loss = binary_crossentropy`, or leave the setting `loss` out",
            );
        }
        if loss == Loss::BinaryCrossentropy && outputs > 1 && squash(&model.graph) == Some(Squash::Softmax) {
            return refuse(
                format!(
                    "the loss `{loss}` wants a sigmoid, the model's {outputs} outputs come from a softmax"
                ),
                "give the setting `loss = sparse_categorical_crossentropy`, or leave the setting `loss` out",
            );
        }
        Ok(())
    }

    /// Errors where a metric says nothing about the labels.
    pub fn check_metric(&self, metric: Metric) -> Result<()> {
        match self {
            Self::Numbers(_) if metric.is_of_classes() => Err(Error::setting(format!(
                "the metric `{metric}` is one of classes, the labels are {self}\nhelp: give the setting `metric = mse` or mae; labels of classes are names, as `class_3`"
            ))),
            Self::Labels(_) if !metric.is_of_labels() => Err(Error::setting(format!(
                "the metric `{metric}` says nothing of images with several labels\nhelp: give the setting `metric = map`, f1, f1-micro, precision, recall or accuracy"
            ))),
            Self::Binary | Self::Classes(_) if metric == Metric::MicroF1 => Err(Error::setting(
                "the metric `f1-micro` of classes is the accuracy\nhelp: give the setting `metric = accuracy`, or f1".to_owned(),
            )),
            _ => Ok(()),
        }
    }

    /// Says that files were numbered by the order of their classes' names, where the model has no names for its outputs.
    pub(in crate::fit) fn order_note(
        &self,
        model: &Model,
        dataset: &Dataset,
        outputs: usize,
    ) -> Option<String> {
        let classes = dataset.classes.len();
        let by_order = model.info.classes.is_none()
            && dataset.array(Split::Train).or(dataset.array(Split::Test)).is_none();
        let which = match outputs > classes.max(1) {
            true => format!(
                "has {outputs} outputs and no names for them: the {classes} classes of `{}` stand for its first {classes}",
                dataset.source.display()
            ),
            false => format!(
                "has no class names: the {classes} classes of `{}` stand for its own",
                dataset.source.display()
            ),
        };
        (by_order && !matches!(self, Self::Numbers(_)))
            .then(|| format!("the model {which}, in the alphabetical order of their names. {NO_NAMES}"))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => formatter.write_str("2 classes"),
            Self::Classes(classes) => write!(formatter, "{classes} classes"),
            Self::Labels(labels) => write!(formatter, "{labels} labels, of which an image may have several"),
            Self::Numbers(1) => formatter.write_str("numbers, one an image"),
            Self::Numbers(numbers) => write!(formatter, "numbers, {numbers} an image"),
        }
    }
}
