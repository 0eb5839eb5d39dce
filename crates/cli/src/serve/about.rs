//! What a server knows of its model without running it.

use crate::Failure;
use crate::args::Serve;
use frostline::fit::{Outputs, returns};
use frostline::predict::{Predictor, Rows, Task};
use serde::Serialize;
use utoipa::ToSchema;

/// The one version of the model.
pub(super) const VERSION: &str = "1";

/// The model that is served.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct About {
    /// What it is called in addresses.
    pub(super) name: String,
    /// What it predicts.
    task: &'static str,
    /// The names of its classes or labels, where it has names.
    classes: Option<Vec<String>>,
    /// Whether it tells pictures that are none of its classes.
    none_of_these: bool,
    /// Below which score no class is told, or above which an image has a label.
    threshold: Option<f32>,
    /// Why it takes no pictures, where it takes none.
    pub(super) no_pictures: Option<String>,
    /// Its inputs, with the batch.
    pub(super) inputs: Vec<Port>,
    /// Its outputs, with the batch.
    pub(super) outputs: Vec<Port>,
    /// How many values its input has for a picture.
    #[serde(skip)]
    pub(super) usual: Option<usize>,
}

/// An input or an output.
#[derive(Clone, Serialize, ToSchema)]
pub(super) struct Port {
    /// Its name.
    pub(super) name: String,
    /// Its extents, that of the batch first; -1 where any is taken.
    pub(super) shape: Vec<i64>,
}

impl About {
    /// Readies the model, and runs it once where its input is known.
    ///
    /// Errors: a model that cannot be run, or flags that do not fit it.
    pub(super) fn new(predictor: &mut Predictor, command: &Serve) -> Result<Self, Failure> {
        let (own, no_pictures) = match predictor.ready_for_pictures() {
            Ok(pipeline) => (Some(pipeline.input().to_vec()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let model = predictor.model();
        let wanted = model.graph.input_shapes();
        let known: Option<Vec<Vec<usize>>> = match &own {
            Some(own) => Some(vec![own.clone()]),
            None => wanted.iter().map(|shape| shape.iter().copied().collect()).collect(),
        };
        let task = match &known {
            Some(shapes) => predictor.task(shapes)?,
            None => Task::Unnamed,
        };
        let name_of = |call: usize| model.graph.layers[model.graph.calls[call].layer].name.clone();
        let extents = |shape: &mut dyn Iterator<Item = Option<usize>>| {
            let extent =
                |extent: Option<usize>| extent.and_then(|extent| i64::try_from(extent).ok()).unwrap_or(-1);
            std::iter::once(-1).chain(shape.map(extent)).collect::<Vec<i64>>()
        };
        let inputs =
            model.graph.inputs.iter().zip(&wanted).map(|(id, shape)| Port {
                name: name_of(id.call),
                shape: extents(&mut shape.iter().copied()),
            });
        let shapes = known.as_ref().map(|shapes| predictor.output_shapes(shapes)).transpose()?;
        let outputs = model.graph.outputs.iter().enumerate().map(|(index, id)| Port {
            name: name_of(id.call),
            shape: shapes
                .as_ref()
                .map_or_else(|| vec![-1], |shapes| extents(&mut shapes[index].iter().copied().map(Some))),
        });
        let about = Self {
            name: command.name.clone().unwrap_or_else(|| own_name(command)),
            task: match task {
                Task::Classes => "classes",
                Task::Labels => "labels",
                Task::Number => "number",
                Task::Unnamed => "none",
            },
            classes: model.info.classes.clone(),
            none_of_these: predictor.tells_none_of_these(),
            threshold: command.threshold,
            no_pictures,
            inputs: distinct(inputs.collect()),
            outputs: distinct(outputs.collect()),
            usual: own.map(|own| own.iter().product()),
        };
        let is_logits = task == Task::Classes && returns(&model.graph) == Outputs::Logits;
        if command.threshold.is_some() && (is_logits || matches!(task, Task::Number | Task::Unnamed)) {
            return Err("--threshold is for probabilities of classes and labels, and the model puts out others\nhelp: leave --threshold out".into());
        }
        if let Some(shapes) = known {
            let values: Vec<Vec<f32>> =
                shapes.iter().map(|shape| vec![0.0; shape.iter().product()]).collect();
            let shapes: Vec<Vec<usize>> = shapes.into_iter().map(|shape| [vec![1], shape].concat()).collect();
            let rows: Vec<Rows<'_>> =
                shapes.iter().zip(&values).map(|(shape, values)| Rows::new(shape, values)).collect();
            predictor.predict_rows("zeros", &rows, 0..1)?;
        }
        Ok(about)
    }
}

/// The name of the file without its ending, or of the folder.
fn own_name(command: &Serve) -> String {
    let path = std::fs::canonicalize(&command.model.path).unwrap_or_else(|_| command.model.path.clone());
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.map_or_else(|| "model".to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Two outputs of one layer have its name: they are numbered.
fn distinct(mut ports: Vec<Port>) -> Vec<Port> {
    for index in 1..ports.len() {
        let (before, rest) = ports.split_at_mut(index);
        while before.iter().any(|other| other.name == rest[0].name) {
            rest[0].name = format!("{}_{index}", rest[0].name);
        }
    }
    ports
}
