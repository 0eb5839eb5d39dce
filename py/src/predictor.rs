//! Predictions, a chunk at a time: Python looks for Ctrl-C between them.

use crate::call::{work, wrong};
use crate::data::Item;
use crate::model::AnyModel;
use frostline::data::MemoryPicture;
use frostline::predict::{Picture, Rows};
use frostline_cli::in_process::{Call, OfOne, Predicting, Wrong, as_keywords};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// A model that is ready to predict.
#[pyclass(module = "frostline._core", frozen)]
pub(crate) struct Predictor(Mutex<Predicting>);

/// Of each picture what `predict --json` says, or none where its output has no name; or what is wrong with it.
type Line = (Option<String>, Option<String>);
/// The lines of a chunk, its raw outputs `[images, …]` for each output of the model, and notes.
type Chunk<'py> = (Vec<Line>, Vec<Bound<'py, PyArrayDyn<f32>>>, Vec<String>);

pub(crate) fn pictures_of(items: Vec<Item<'_>>) -> PyResult<Vec<Picture>> {
    let named = |(index, item): (usize, Item<'_>)| {
        Ok(match item.picture()? {
            MemoryPicture::File(path) => Picture::File(path),
            MemoryPicture::Held(picture) => Picture::Held { name: format!("x[{index}]"), picture },
        })
    };
    items.into_iter().enumerate().map(named).collect()
}

#[pymethods]
impl Predictor {
    #[new]
    fn new(
        py: Python<'_>,
        model: AnyModel<'_>,
        flags: Vec<String>,
        tell: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let model = model.given();
        let open = move |listener| Predicting::open(Call { flags, model, listener });
        Ok(Self(Mutex::new(work(py, tell, Vec::new(), open)?)))
    }

    /// The number of the model's inputs.
    #[getter]
    fn inputs(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).inputs()
    }

    /// Predicts pictures.
    fn pictures<'py>(&self, py: Python<'py>, items: Vec<Item<'py>>) -> PyResult<Chunk<'py>> {
        let pictures = pictures_of(items)?;
        let found = py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).pictures(&pictures));
        let (found, notes) = found.map_err(wrong)?;
        chunk(py, found, notes)
    }

    /// Predicts rows `start..end` of batches for all inputs, in the model's own layout.
    fn rows<'py>(
        &self,
        py: Python<'py>,
        inputs: Vec<PyReadonlyArrayDyn<'py, f32>>,
        start: usize,
        end: usize,
    ) -> PyResult<Chunk<'py>> {
        let rows = inputs.iter().map(|input| Ok(Rows::new(input.shape(), input.as_slice()?)));
        let rows: Vec<Rows<'_>> = rows.collect::<PyResult<_>>()?;
        let found =
            py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).rows(&rows, start..end));
        let (found, notes) = found.map_err(wrong)?;
        chunk(py, found, notes)
    }
}

fn chunk(py: Python<'_>, found: Vec<OfOne>, notes: Vec<String>) -> PyResult<Chunk<'_>> {
    let mut lines = Vec::with_capacity(found.len());
    let (mut outputs, mut shapes): (Vec<Vec<f32>>, Vec<Vec<usize>>) = (Vec::new(), Vec::new());
    let mut count = 0;
    for one in found {
        match one {
            Err(error) => lines.push((None, Some(as_keywords(&error)))),
            Ok(predicted) => {
                count += 1;
                lines.push(((!predicted.line.is_null()).then(|| predicted.line.to_string()), None));
                outputs.resize_with(predicted.outputs.len(), Vec::new);
                shapes = predicted.outputs.iter().map(|output| output.shape.clone()).collect();
                for (all, output) in outputs.iter_mut().zip(predicted.outputs) {
                    all.extend(output.data);
                }
            }
        }
    }
    let array = |(values, shape): (Vec<f32>, Vec<usize>)| {
        let shape: Vec<usize> = std::iter::once(count).chain(shape).collect();
        PyArray1::from_vec(py, values).reshape(shape)
    };
    let arrays = outputs.into_iter().zip(shapes).map(array).collect::<PyResult<_>>();
    let arrays = arrays.map_err(|error: PyErr| wrong(Wrong::Failed(error.to_string())))?;
    Ok((lines, arrays, notes.iter().map(|note| as_keywords(note)).collect()))
}
