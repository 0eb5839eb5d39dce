//! The commands, each on a thread of its own.

use crate::call::{work, wrong};
use crate::data::{AnyData, Borrowed, Item};
use crate::lent::Loan;
use crate::model::{AnyModel, Model};
use crate::predictor::pictures_of;
use frostline::data::{Image, Pixels, Target};
use frostline_cli::in_process::{self, Call, GivenData, Outcome, Wrong};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

impl<'py> AnyData<'py> {
    fn borrow(&self, py: Python<'py>) -> Vec<Option<Borrowed<'py>>> {
        match self {
            Self::Held(data) => data.borrow(py),
            Self::Path(_) => Vec::new(),
        }
    }

    fn given<'a>(
        &self,
        py: Python<'_>,
        borrowed: &'a [Option<Borrowed<'_>>],
    ) -> PyResult<(GivenData, Vec<Loan<'a>>)> {
        match self {
            Self::Held(data) => data.given(py, borrowed),
            Self::Path(path) => Ok((GivenData::Path(path.clone()), Vec::new())),
        }
    }
}

/// Runs a command on a model and data.
fn with_data<'py, T: Send + 'static>(
    py: Python<'py>,
    (model, data): (&AnyModel<'py>, &AnyData<'py>),
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
    command: impl FnOnce(Call, GivenData) -> Outcome<T> + Send + 'static,
) -> PyResult<T> {
    let model = model.given();
    let borrowed = data.borrow(py);
    let (data, loans) = data.given(py, &borrowed)?;
    work(py, tell, loans, move |listener| command(Call { flags, model, listener }, data))
}

/// Trains, and writes a run. Returns the model, `run.json` and the verdict.
#[pyfunction]
pub(crate) fn train<'py>(
    py: Python<'py>,
    model: AnyModel<'py>,
    data: AnyData<'py>,
    output: PathBuf,
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
) -> PyResult<(Model, String, String)> {
    let name = output.join("model.keras");
    let run = with_data(py, (&model, &data), flags, tell, move |call, data| {
        in_process::train(call, data, &output)
    })?;
    let record = serde_json::to_string(&run.record);
    let record = record.map_err(|error| wrong(Wrong::Failed(error.to_string())))?;
    Ok((Model::held(name, run.model), record, run.verdict))
}

/// What a training will take, as JSON.
#[pyfunction]
pub(crate) fn plan<'py>(
    py: Python<'py>,
    model: AnyModel<'py>,
    data: AnyData<'py>,
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
) -> PyResult<String> {
    with_data(py, (&model, &data), flags, tell, in_process::plan)
}

/// How many layers to reuse, as JSON.
#[pyfunction]
pub(crate) fn depth<'py>(
    py: Python<'py>,
    model: AnyModel<'py>,
    data: AnyData<'py>,
    output: Option<PathBuf>,
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
) -> PyResult<String> {
    with_data(py, (&model, &data), flags, tell, move |call, data| {
        in_process::depth(call, data, output.as_deref())
    })
}

/// Features with labels and names.
#[pyfunction]
pub(crate) fn embed<'py>(
    py: Python<'py>,
    model: AnyModel<'py>,
    data: AnyData<'py>,
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyDict>> {
    let found = with_data(py, (&model, &data), flags, tell, in_process::embed)?;
    let told = PyDict::new(py);
    let rows = found.paths.len();
    let shape: Vec<usize> = std::iter::once(rows).chain(found.shape).collect();
    let features: Bound<'py, PyArrayDyn<f32>> = PyArray1::from_vec(py, found.features).reshape(shape)?;
    told.set_item("features", features)?;
    told.set_item("paths", found.paths)?;
    told.set_item("part", found.parts)?;
    told.set_item("layer", found.layer)?;
    told.set_item("computed", found.computed)?;
    let labels: Vec<i64> = found
        .targets
        .iter()
        .filter_map(|target| match target {
            Target::Class(class) => i64::try_from(*class).ok(),
            Target::Labels(_) | Target::Value(_) => None,
        })
        .collect();
    let several: Vec<&Vec<usize>> = found
        .targets
        .iter()
        .filter_map(|target| if let Target::Labels(labels) = target { Some(labels) } else { None })
        .collect();
    let numbers: Vec<&Vec<f32>> = found
        .targets
        .iter()
        .filter_map(|target| if let Target::Value(values) = target { Some(values) } else { None })
        .collect();
    let width = found.classes.len();
    match (labels.len() == rows, numbers.len() == rows, width) {
        (true, ..) => told.set_item("labels", PyArray1::from_vec(py, labels))?,
        (_, true, _) => {
            let outputs = numbers.first().map_or(0, |values| values.len());
            let values: Vec<f32> = numbers.into_iter().flatten().copied().collect();
            told.set_item("labels", PyArray1::from_vec(py, values).reshape([rows, outputs])?)?;
        }
        (.., 0) => told.set_item("labels", PyArray1::from_vec(py, vec![-1_i64; rows]))?,
        _ => {
            let ones = several.iter().flat_map(|has| (0..width).map(|label| i64::from(has.contains(&label))));
            let ones: Vec<i64> = ones.collect();
            told.set_item("labels", PyArray1::from_vec(py, ones).reshape([rows, width])?)?;
        }
    }
    told.set_item("classes", found.classes)?;
    Ok(told)
}

/// Where a model sees the class of pictures.
#[pyfunction]
pub(crate) fn explain<'py>(
    py: Python<'py>,
    model: AnyModel<'py>,
    items: Vec<Item<'py>>,
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let (model, pictures) = (model.given(), pictures_of(items)?);
    let found = work(py, tell, Vec::new(), move |listener| {
        in_process::explain(Call { flags, model, listener }, &pictures)
    })?;
    let one = |explained: in_process::Explanation| {
        let told = PyDict::new(py);
        let map = explained.map;
        told.set_item("class", explained.class)?;
        told.set_item("index", map.class)?;
        told.set_item("score", map.score)?;
        told.set_item("layer", map.layer)?;
        told.set_item("map", PyArray1::from_vec(py, map.values).reshape([map.height, map.width])?)?;
        let Image { height, width, channels, pixels } = explained.overlay;
        let pixels = match pixels {
            Pixels::U8(pixels) => pixels,
            Pixels::F32(pixels) => pixels.into_iter().map(|value| value.round() as u8).collect(),
        };
        told.set_item("overlay", PyArray1::from_vec(py, pixels).reshape([height, width, channels])?)?;
        Ok(told)
    };
    found.into_iter().map(one).collect()
}

/// Writes a model in another format. Returns what was written, as JSON.
#[pyfunction]
pub(crate) fn convert<'py>(
    py: Python<'py>,
    model: AnyModel<'py>,
    output: PathBuf,
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
) -> PyResult<String> {
    let model = model.given();
    work(py, tell, Vec::new(), move |listener| in_process::convert(Call { flags, model, listener }, &output))
}

/// The layers of a model, as JSON.
#[pyfunction]
pub(crate) fn inspect<'py>(
    py: Python<'py>,
    model: AnyModel<'py>,
    flags: Vec<String>,
    tell: &Bound<'py, PyAny>,
) -> PyResult<String> {
    let model = model.given();
    work(py, tell, Vec::new(), move |listener| in_process::inspect(Call { flags, model, listener }))
}
