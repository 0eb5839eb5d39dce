//! `frostline._core`: the commands of frostline, on models and data of Python. What users see is in `py/frostline/`.

mod call;
mod commands;
mod data;
mod elsewhere;
mod lent;
mod model;
mod predictor;
mod solve;

use frostline::data::Exclude;
use frostline_cli::in_process::Wrong;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::path::PathBuf;

/// The core of the package `frostline`.
#[pymodule]
mod _core {
    #[pymodule_export]
    use super::commands::{convert, depth, embed, explain, inspect, plan, train};
    #[pymodule_export]
    use super::data::Data;
    #[pymodule_export]
    use super::elsewhere::{AskedSearch, PictureEmbedder, TrialRunner};
    #[pymodule_export]
    use super::model::Model;
    #[pymodule_export]
    use super::predictor::Predictor;
    #[pymodule_export]
    use super::solve::{solve_classes, solve_numbers};
    #[pymodule_export]
    use super::{flags, pictures_in};
    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        frostline_cli::in_process::silence_contained_panics();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}

/// The pictures of a folder, those in folders of it too, in their order.
#[pyfunction]
fn pictures_in(folder: PathBuf) -> PyResult<Vec<PathBuf>> {
    let found = frostline::data::pictures_in(&folder, &Exclude::default());
    Ok(found.map_err(|error| call::wrong(Wrong::Failed(error.to_string())))?.0)
}

/// The flags of a command: of each its name, whether it is a switch, whether it is repeated for several values, whether its value may
/// be left out, and what is said of it.
#[pyfunction]
fn flags<'py>(py: Python<'py>, command: &str) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let found = frostline_cli::in_process::flags(command).unwrap_or_default();
    let flag = |flag: frostline_cli::in_process::Flag| {
        let described = PyDict::new(py);
        described.set_item("name", flag.name)?;
        described.set_item("is_switch", flag.is_switch)?;
        described.set_item("is_repeated", flag.is_repeated)?;
        described.set_item("value_is_optional", flag.value_is_optional)?;
        described.set_item("help", flag.help)?;
        Ok(described)
    };
    found.into_iter().map(flag).collect()
}
