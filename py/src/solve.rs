//! A head on features that are there already.

use crate::call::wrong;
use frostline_cli::in_process::Wrong;
use frostline_head::{HeadError, InMemory, Kind, Method, Problem, Solved, Targets, probabilities, solve};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// What a solved head is: kernel `[width, outputs]`, bias `[outputs]`, and what it predicts of rows that it has not seen.
type Head<'py> = (Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<f32>>, Bound<'py, PyArray2<f64>>);

/// Solves a head for classes, numbered from 0, on features `[rows, width]`. Out of sample come probabilities.
#[pyfunction]
#[pyo3(signature = (features, labels, classes, weights=None))]
pub(crate) fn solve_classes<'py>(
    py: Python<'py>,
    features: PyReadonlyArray2<'py, f32>,
    labels: Vec<usize>,
    classes: usize,
    weights: Option<Vec<f64>>,
) -> PyResult<Head<'py>> {
    let targets = Targets::Classes { labels: &labels, classes };
    solved(py, &features, targets, weights.as_deref())
}

/// Solves a head for numbers, `[rows, outputs]`, on features `[rows, width]`. Out of sample come numbers.
#[pyfunction]
#[pyo3(signature = (features, numbers, weights=None))]
pub(crate) fn solve_numbers<'py>(
    py: Python<'py>,
    features: PyReadonlyArray2<'py, f32>,
    numbers: PyReadonlyArray2<'py, f32>,
    weights: Option<PyReadonlyArray1<'py, f64>>,
) -> PyResult<Head<'py>> {
    let targets = Targets::Numbers { values: numbers.as_slice()?, width: numbers.shape()[1] };
    solved(py, &features, targets, weights.as_ref().map(PyReadonlyArray1::as_slice).transpose()?)
}

fn solved<'py>(
    py: Python<'py>,
    features: &PyReadonlyArray2<'py, f32>,
    targets: Targets<'_>,
    weights: Option<&[f64]>,
) -> PyResult<Head<'py>> {
    let width = features.shape()[1];
    let table = InMemory { values: features.as_slice()?, width };
    let found = py.detach(|| {
        let blocks = [width];
        solve(&Problem { features: &table, blocks: &blocks, targets, weights, groups: None }, Method::Auto)
    });
    let found: Solved = found.map_err(|error: HeadError| wrong(Wrong::Arguments(error.to_string())))?;
    let outputs = found.outputs;
    let unseen = match found.kind {
        Kind::Numbers => found.out_of_sample,
        kind => probabilities(kind, &found.out_of_sample, outputs),
    };
    let rows = unseen.len() / outputs.max(1);
    Ok((
        PyArray1::from_vec(py, found.kernel).reshape([width, outputs])?,
        PyArray1::from_vec(py, found.bias),
        PyArray1::from_vec(py, unseen).reshape([rows, outputs])?,
    ))
}
