//! Parts of commands that other processes do: trials of a search, features of some pictures.

use crate::call::{work, wrong};
use crate::data::{AnyData, Item};
use crate::model::AnyModel;
use frostline_cli::in_process::{self, Call, GivenData, Wrong, as_keywords};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods};
use pyo3::prelude::*;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Data that are there as long as they are wanted: arrays of Python are lent for one call alone.
fn lasting(data: AnyData<'_>) -> PyResult<GivenData> {
    match data {
        AnyData::Path(path) => Ok(GivenData::Path(path)),
        AnyData::Held(_) => Err(wrong(Wrong::Arguments(
            "the data are in the memory of this process, and other processes train\nhelp: give the path of a folder, a CSV or an .npz that all of them see".to_owned(),
        ))),
    }
}

/// Trains trials of a search.
#[pyclass(module = "frostline._core", frozen)]
pub(crate) struct TrialRunner(in_process::TrialRunner);

#[pymethods]
impl TrialRunner {
    #[new]
    fn new(
        py: Python<'_>,
        model: AnyModel<'_>,
        data: AnyData<'_>,
        flags: Vec<String>,
        tell: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let (model, data) = (model.given(), lasting(data)?);
        let open = move |listener| in_process::TrialRunner::open(Call { flags, model, listener }, data);
        Ok(Self(work(py, tell, Vec::new(), open)?))
    }

    /// What outcomes depend on besides the trial.
    fn key(&self) -> PyResult<String> {
        self.0.key().map_err(wrong)
    }

    /// Trains a trial, given as JSON. Returns a line of `search.jsonl`.
    fn run(&self, py: Python<'_>, trial: &str) -> PyResult<String> {
        py.detach(|| self.0.run(trial)).map_err(wrong)
    }
}

/// A search that others train for.
#[pyclass(module = "frostline._core", frozen)]
pub(crate) struct AskedSearch(Mutex<Option<in_process::AskedSearch>>);

impl AskedSearch {
    fn with<T>(
        &self,
        call: impl FnOnce(&mut in_process::AskedSearch) -> in_process::Outcome<T>,
    ) -> PyResult<T> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(search) => call(search).map_err(wrong),
            None => Err(wrong(Wrong::Failed("the search is finished".to_owned()))),
        }
    }
}

#[pymethods]
impl AskedSearch {
    #[new]
    fn new(
        py: Python<'_>,
        model: AnyModel<'_>,
        data: AnyData<'_>,
        output: PathBuf,
        flags: Vec<String>,
        tell: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let (model, data) = (model.given(), lasting(data)?);
        let open =
            move |listener| in_process::AskedSearch::open(Call { flags, model, listener }, data, &output);
        Ok(Self(Mutex::new(Some(work(py, tell, Vec::new(), open)?))))
    }

    /// What outcomes depend on besides the trial: it must be that of whoever trains.
    fn key(&self) -> PyResult<String> {
        self.with(|search| search.key())
    }

    /// The trials that are wanted now, as JSON. None where all is done.
    fn ask(&self) -> PyResult<Vec<String>> {
        self.with(|search| search.ask())
    }

    /// Takes a line of `search.jsonl`.
    fn tell(&self, line: &str) -> PyResult<()> {
        self.with(|search| search.tell(line))
    }

    /// Writes the run, and returns what `depth --json` prints.
    fn finish(&self, py: Python<'_>, tell: &Bound<'_, PyAny>) -> PyResult<String> {
        let search = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        let search = search.ok_or_else(|| wrong(Wrong::Failed("the search is finished".to_owned())))?;
        work(py, tell, Vec::new(), move |listener| search.finish(listener))
    }
}

/// Features, a row a picture, and what is wrong with each.
type Rows<'py> = (Bound<'py, PyArrayDyn<f32>>, Vec<Option<String>>);

/// Makes features of pictures.
#[pyclass(module = "frostline._core", frozen)]
pub(crate) struct PictureEmbedder(in_process::PictureEmbedder);

#[pymethods]
impl PictureEmbedder {
    #[new]
    fn new(
        py: Python<'_>,
        model: AnyModel<'_>,
        flags: Vec<String>,
        tell: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let model = model.given();
        let open = move |listener| in_process::PictureEmbedder::open(Call { flags, model, listener });
        Ok(Self(work(py, tell, Vec::new(), open)?))
    }

    /// The features of pictures, a row each, and what is wrong with those whose rows are not numbers.
    fn of<'py>(&self, py: Python<'py>, items: Vec<Item<'py>>) -> PyResult<Rows<'py>> {
        let pictures = items.into_iter().map(Item::picture).collect::<PyResult<Vec<_>>>()?;
        let count = pictures.len();
        let found = py.detach(|| self.0.of(pictures)).map_err(wrong)?;
        let shape: Vec<usize> = std::iter::once(count).chain(found.shape).collect();
        let features = PyArray1::from_vec(py, found.features).reshape(shape)?;
        Ok((features, found.errors.into_iter().map(|error| error.map(|text| as_keywords(&text))).collect()))
    }
}
