//! Data in memory.

use crate::call::wrong;
use crate::lent::{Loan, Slice};
use frostline::data::npy::{NpyArray, NpyValues};
use frostline::data::{HeldPicture, Image, InMemory, MemoryInputs, MemoryPicture, Pixels, Split, ValueRange};
use frostline_cli::in_process::{GivenData, Wrong};
use numpy::{PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use std::path::PathBuf;
use std::sync::Arc;

/// Examples in memory.
#[pyclass(module = "frostline._core")]
pub(crate) struct Data {
    name: String,
    parts: Vec<Part>,
    class_names: Option<Vec<String>>,
}

struct Part {
    split: Split,
    inputs: Inputs,
    labels: Option<NpyArray>,
}

enum Inputs {
    Bytes(Py<PyArrayDyn<u8>>),
    Floats(Py<PyArrayDyn<f32>>),
    Integers(NpyArray),
    Pictures(Vec<MemoryPicture>),
}

/// A picture as Python gives it.
#[derive(FromPyObject)]
pub(crate) enum Item<'py> {
    /// What a file holds.
    Encoded(PyBackedBytes),
    /// Pixels, `[height, width, channels]`.
    Pixels(PyReadonlyArrayDyn<'py, u8>),
    /// A file.
    Path(PathBuf),
}

impl Item<'_> {
    /// In memory, or where it lies.
    pub(crate) fn picture(self) -> PyResult<MemoryPicture> {
        Ok(match self {
            Self::Path(path) => MemoryPicture::File(path),
            Self::Encoded(bytes) => MemoryPicture::Held(HeldPicture::encoded(bytes)),
            Self::Pixels(array) => {
                let [height, width, channels] = *array.shape() else {
                    let shape = array.shape();
                    return Err(wrong(Wrong::Arguments(format!(
                        "a picture has the shape {shape:?}\nhelp: give height x width x channels"
                    ))));
                };
                let pixels = Pixels::U8(array.as_slice()?.to_vec());
                MemoryPicture::Held(HeldPicture::decoded(Image { height, width, channels, pixels }))
            }
        })
    }
}

fn values(kind: &str, numbers: &Bound<'_, PyAny>) -> PyResult<NpyValues> {
    Ok(match kind {
        "words" => NpyValues::Words(numbers.extract()?),
        "integers" => NpyValues::Integers(numbers.extract()?),
        "floats" => NpyValues::Floats(numbers.extract()?),
        _ => NpyValues::Text(numbers.extract()?),
    })
}

fn split(name: &str) -> Split {
    Split::ALL.into_iter().find(|split| split.name() == name).unwrap_or(Split::Train)
}

#[pymethods]
impl Data {
    #[new]
    fn new(name: String) -> Self {
        Self { name, parts: Vec::new(), class_names: None }
    }

    /// Adds a part whose inputs are an array of bytes or of float32 that is read where it lies.
    fn lend(&mut self, part: &str, array: &Bound<'_, PyAny>) -> PyResult<()> {
        let inputs = match array.cast::<PyArrayDyn<u8>>() {
            Ok(array) => Inputs::Bytes(array.clone().unbind()),
            Err(_) => Inputs::Floats(array.cast::<PyArrayDyn<f32>>()?.clone().unbind()),
        };
        self.parts.push(Part { split: split(part), inputs, labels: None });
        Ok(())
    }

    /// Adds a part whose inputs are other numbers.
    fn numbers(
        &mut self,
        part: &str,
        shape: Vec<usize>,
        kind: &str,
        numbers: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let inputs = Inputs::Integers(NpyArray { shape, values: values(kind, numbers)? });
        self.parts.push(Part { split: split(part), inputs, labels: None });
        Ok(())
    }

    /// Adds a part whose inputs are pictures.
    fn pictures(&mut self, part: &str, items: Vec<Item<'_>>) -> PyResult<()> {
        let pictures = items.into_iter().map(Item::picture).collect::<PyResult<_>>()?;
        self.parts.push(Part { split: split(part), inputs: Inputs::Pictures(pictures), labels: None });
        Ok(())
    }

    /// Labels the part that was added last.
    fn labels(&mut self, shape: Vec<usize>, kind: &str, numbers: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Some(part) = self.parts.last_mut() {
            part.labels = Some(NpyArray { shape, values: values(kind, numbers)? });
        }
        Ok(())
    }

    /// Names the classes that labels are numbers of.
    fn class_names(&mut self, names: Vec<String>) {
        self.class_names = Some(names);
    }
}

/// Arrays that are borrowed for a call.
pub(crate) enum Borrowed<'py> {
    Bytes(PyReadonlyArrayDyn<'py, u8>),
    Floats(PyReadonlyArrayDyn<'py, f32>),
}

impl Data {
    /// The arrays, which stay borrowed as long as what is returned.
    pub(crate) fn borrow<'py>(&self, py: Python<'py>) -> Vec<Option<Borrowed<'py>>> {
        let borrow = |part: &Part| match &part.inputs {
            Inputs::Bytes(array) => Some(Borrowed::Bytes(array.bind(py).readonly())),
            Inputs::Floats(array) => Some(Borrowed::Floats(array.bind(py).readonly())),
            Inputs::Integers(_) | Inputs::Pictures(_) => None,
        };
        self.parts.iter().map(borrow).collect()
    }

    /// The same for a command, with the loans that it stands on.
    pub(crate) fn given<'a>(
        &self,
        py: Python<'_>,
        borrowed: &'a [Option<Borrowed<'_>>],
    ) -> PyResult<(GivenData, Vec<Loan<'a>>)> {
        let (mut memory, mut loans) = (InMemory::new(&self.name), Vec::new());
        for (part, borrowed) in self.parts.iter().zip(borrowed) {
            let inputs = match (&part.inputs, borrowed) {
                (_, Some(Borrowed::Bytes(array))) => {
                    lend(array.shape(), Slice::U8(array.as_slice()?), ValueRange::BYTES, &mut loans)
                }
                (_, Some(Borrowed::Floats(array))) => {
                    let values = array.as_slice()?;
                    let range = py.detach(|| ValueRange::of_finite(values));
                    let range = range.map_err(|at| self.not_finite(part.split, array.shape(), values, at))?;
                    lend(array.shape(), Slice::F32(values), range, &mut loans)
                }
                (Inputs::Integers(array), None) => MemoryInputs::Array(array.clone()),
                (Inputs::Pictures(pictures), None) => MemoryInputs::Pictures(pictures.clone()),
                (Inputs::Bytes(_) | Inputs::Floats(_), None) => continue,
            };
            memory = memory.part(part.split, inputs, part.labels.clone());
        }
        if let Some(names) = &self.class_names {
            memory = memory.class_names(names.clone());
        }
        Ok((GivenData::Held(Arc::new(memory)), loans))
    }

    fn not_finite(&self, split: Split, shape: &[usize], values: &[f32], at: usize) -> PyErr {
        let row = at / shape[1..].iter().product::<usize>().max(1);
        let bad = values.iter().filter(|value| !value.is_finite()).count();
        let name = format!("x_{}", split.name());
        wrong(Wrong::Failed(format!(
            "`{}`: `{name}[{row}]` holds {}; {bad} values of `{name}` are no finite numbers\nhelp: remove or mend these rows: a network that is trained on them is lost at the first step",
            self.name, values[at]
        )))
    }
}

fn lend<'a>(
    shape: &[usize],
    values: Slice<'a>,
    range: ValueRange,
    loans: &mut Vec<Loan<'a>>,
) -> MemoryInputs {
    let (loan, rows) = Loan::new(values, shape.iter().skip(1).product());
    loans.push(loan);
    let floats = matches!(values, Slice::F32(_));
    MemoryInputs::Lent { shape: shape.to_vec(), rows: Arc::new(rows), range, floats }
}

/// Data as Python gives them: a path, or in memory.
#[derive(FromPyObject)]
pub(crate) enum AnyData<'py> {
    Held(PyRef<'py, Data>),
    Path(PathBuf),
}
