//! Models.

use crate::call::{work, wrong};
use frostline::formats::{
    Custom, KerasName, LoadOptions, Loaded, from_keras, from_safetensors, keras_config, keras_places,
};
use frostline::{Error, Tensor};
use frostline_cli::in_process::{Call, GivenModel, Wrong, load};
use numpy::{PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A model in frostline's memory.
#[pyclass(module = "frostline._core", frozen)]
pub(crate) struct Model {
    name: PathBuf,
    loaded: Arc<Loaded>,
}

/// A variable of Keras: its layer's path, its name below the layer, and its values.
type Variable<'py> = (String, String, PyReadonlyArrayDyn<'py, f32>);

fn failed(error: Error) -> PyErr {
    wrong(Wrong::from(error))
}

fn customs(texts: Vec<String>) -> PyResult<Vec<Custom>> {
    let parse =
        |text: String| text.parse::<Custom>().map_err(|error| wrong(Wrong::Arguments(error.to_string())));
    texts.into_iter().map(parse).collect()
}

impl Model {
    pub(crate) fn held(name: PathBuf, loaded: Arc<Loaded>) -> Self {
        Self { name, loaded }
    }

    pub(crate) fn given(&self) -> GivenModel {
        GivenModel::Held { name: self.name.clone(), loaded: self.loaded.clone() }
    }
}

#[pymethods]
impl Model {
    /// Reads a file or the folder of a run.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, flags: Vec<String>, tell: &Bound<'_, PyAny>) -> PyResult<Self> {
        let model = GivenModel::Path(path.clone());
        let loaded = work(py, tell, Vec::new(), move |listener| load(Call { flags, model, listener }))?;
        Ok(Self { name: path, loaded: Arc::new(loaded) })
    }

    /// Takes over a model of Keras, by its config and its variables.
    #[staticmethod]
    fn from_keras(
        name: PathBuf,
        config: &str,
        version: &str,
        variables: Vec<Variable<'_>>,
        custom: Vec<String>,
    ) -> PyResult<Self> {
        let taken = variables.iter().map(|(layer, variable, values)| {
            let tensor = Tensor { shape: values.shape().to_vec(), data: values.as_slice()?.to_vec() };
            Ok((KerasName { layer: layer.clone(), variable: variable.clone() }, tensor))
        });
        let taken = taken.collect::<PyResult<_>>()?;
        let loaded = from_keras(&name, config, version, taken, &customs(custom)?).map_err(failed)?;
        Ok(Self { name, loaded: Arc::new(loaded) })
    }

    /// Takes over a state dict of PyTorch, as the bytes of a safetensors file.
    #[staticmethod]
    fn from_state_dict(
        py: Python<'_>,
        name: PathBuf,
        bytes: PyBackedBytes,
        architecture: &str,
        image_size: Option<[usize; 2]>,
    ) -> PyResult<Self> {
        let architecture = architecture.parse().map_err(|error| wrong(Wrong::Arguments(error)))?;
        let options = LoadOptions { architecture: Some(architecture), image_size, ..LoadOptions::default() };
        let loaded = py.detach(|| from_safetensors(&name, &bytes, &options)).map_err(failed)?;
        Ok(Self { name, loaded: Arc::new(loaded) })
    }

    /// What it is called.
    #[getter]
    fn name(&self) -> &Path {
        &self.name
    }

    /// What its user should know of where it came from.
    fn notes(&self) -> Vec<String> {
        self.loaded.report.told(&self.name)
    }

    /// The config of its Keras model, as JSON.
    fn keras_config(&self) -> PyResult<String> {
        keras_config(&self.loaded.model).map_err(failed)
    }

    /// The paths of the weights of these variables: layer, name and shape of each.
    fn keras_places(&self, variables: Vec<(String, String, Vec<usize>)>) -> PyResult<Vec<String>> {
        let names: Vec<KerasName> = variables
            .iter()
            .map(|(layer, variable, _)| KerasName { layer: layer.clone(), variable: variable.clone() })
            .collect();
        let shapes: Vec<&[usize]> = variables.iter().map(|(.., shape)| shape.as_slice()).collect();
        keras_places(&self.loaded.model, &names, &shapes).map_err(failed)
    }

    /// The paths of all weights.
    fn weights(&self) -> Vec<String> {
        self.loaded.model.weights.iter().map(|(path, _)| path.to_owned()).collect()
    }

    /// A copy of a weight.
    fn weight<'py>(&self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyArrayDyn<f32>>> {
        let Tensor { shape, data } = self.loaded.model.weights.get(path).map_err(failed)?.get();
        PyArray1::from_vec(py, data).reshape(shape)
    }

    /// What is known of it besides: class names, preprocessing, size of images, as JSON.
    fn info(&self) -> PyResult<String> {
        serde_json::to_string(&self.loaded.model.info)
            .map_err(|error| wrong(Wrong::Failed(error.to_string())))
    }
}

/// A model as Python gives it: in memory, or a path.
#[derive(FromPyObject)]
pub(crate) enum AnyModel<'py> {
    Held(PyRef<'py, Model>),
    Path(PathBuf),
}

impl AnyModel<'_> {
    pub(crate) fn given(&self) -> GivenModel {
        match self {
            Self::Held(model) => model.given(),
            Self::Path(path) => GivenModel::Path(path.clone()),
        }
    }
}
