//! What the formats need of HDF5: tensors as f32, lists of strings, and writing a tree of groups.

use frostline_graph::{Error, Extents, Result, Tensor};
use half::{bf16, f16};
use hdf5_pure::{AttrValue, DType, Datatype, DatatypeByteOrder, FileBuilder, GroupBuilder, Layout};
pub(crate) use hdf5_pure::{Dataset, File, Group};
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// No Keras file nests its groups deeper; a damaged one may point back at itself.
const MAX_DEPTH: usize = 24;
/// No Keras file holds more datasets.
const MAX_DATASETS: usize = 200_000;
/// Keras cuts lists of names into attributes of at most this many bytes.
const MAX_ATTRIBUTE: usize = 64_512;

/// Opens a file that has been read.
pub(crate) fn open(path: &Path, bytes: Vec<u8>) -> Result<File> {
    File::from_bytes(bytes).map_err(|error| damaged(path, &error))
}

/// The error for a file that HDF5 cannot make sense of.
pub(super) fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::format(
        path,
        format!(
            "the HDF5 data cannot be read: {error}\nhelp: the file is cut off or damaged; fetch it again"
        ),
    )
}

/// The attribute as one string.
pub(super) fn attribute_string(group: &Group, name: &str) -> Option<String> {
    let attributes = group.attrs().ok()?;
    attributes.get(name).and_then(AttrValue::as_str).map(str::to_owned)
}

/// A list of names, which Keras may have cut into `name0`, `name1`, …
pub(super) fn attribute_names(group: &Group, name: &str) -> Option<Vec<String>> {
    let attributes = group.attrs().ok()?;
    let list = |value: &AttrValue| -> Vec<String> {
        match (value.as_strings(), value.as_str()) {
            (Some(list), _) => list.to_vec(),
            (None, Some(one)) => vec![one.to_owned()],
            (None, None) => Vec::new(), // an empty list has the type of numbers
        }
    };
    if let Some(value) = attributes.get(name) {
        return Some(list(value));
    }
    let parts = (0..).map_while(|part| attributes.get(&format!("{name}{part}")));
    let names: Vec<String> = parts.flat_map(list).collect();
    (!names.is_empty()).then_some(names)
}

/// Every dataset below a group, by its path from there.
pub(super) fn datasets(path: &Path, group: &Group) -> Result<BTreeMap<String, Dataset>> {
    let mut found = BTreeMap::new();
    collect(path, group, "", 0, &mut found)?;
    Ok(found)
}

fn collect(
    path: &Path,
    group: &Group,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, Dataset>,
) -> Result<()> {
    if depth > MAX_DEPTH || found.len() > MAX_DATASETS {
        return Err(damaged(path, &"groups without an end"));
    }
    for name in group.datasets().map_err(|error| damaged(path, &error))? {
        let dataset = group.dataset(&name).map_err(|error| damaged(path, &error))?;
        found.insert(frostline_graph::join(prefix, &name), dataset);
    }
    for name in group.groups().map_err(|error| damaged(path, &error))? {
        let inner = group.group(&name).map_err(|error| damaged(path, &error))?;
        collect(path, &inner, &frostline_graph::join(prefix, &name), depth + 1, found)?;
    }
    Ok(())
}

/// The extents of a dataset.
pub(super) fn shape(path: &Path, name: &str, dataset: &Dataset) -> Result<Vec<usize>> {
    let failed = |error: &dyn std::fmt::Display| damaged(path, &format!("tensor `{name}`: {error}"));
    let extents = dataset.shape().map_err(|error| failed(&error))?;
    let shape = extents.iter().map(|extent| usize::try_from(*extent)).collect::<Result<Vec<_>, _>>();
    shape.map_err(|error| failed(&error))
}

/// A dataset as f32, whatever numbers it holds. It must have the shape that is wanted: what a damaged file says is
/// not believed before memory is taken for it.
pub(super) fn tensor(path: &Path, name: &str, dataset: &Dataset, shape: &[usize]) -> Result<Tensor> {
    let failed = |error: &dyn std::fmt::Display| damaged(path, &format!("tensor `{name}`: {error}"));
    let is_bfloat16 = || {
        let attributes = dataset.attrs().unwrap_or_default();
        attributes.get("dtype").and_then(AttrValue::as_str) == Some("bfloat16")
    };
    let data = match dataset.dtype().map_err(|error| failed(&error))? {
        DType::F32 => dataset.read_f32().map_err(|error| failed(&error))?,
        DType::U16 if is_bfloat16() => {
            let bits = dataset.read_u16().map_err(|error| failed(&error))?;
            bits.into_iter().map(|bits| bf16::from_bits(bits).to_f32()).collect()
        }
        DType::F64
        | DType::I8
        | DType::I16
        | DType::I32
        | DType::I64
        | DType::U8
        | DType::U16
        | DType::U32
        | DType::U64 => {
            let values = dataset.read_f64().map_err(|error| failed(&error))?;
            values.into_iter().map(|value| value as f32).collect()
        }
        // Keras hands bfloat16, and no other numbers, on as two bytes without a meaning; its `.h5` files do not say so
        _ if matches!(dataset.datatype(), Ok(Datatype::Opaque { size: 2, .. })) => {
            let bytes = dataset.read_raw().map_err(|error| failed(&error))?;
            let bits = bytes.chunks_exact(2).map(|bytes| u16::from_le_bytes([bytes[0], bytes[1]]));
            bits.map(|bits| bf16::from_bits(bits).to_f32()).collect()
        }
        other => match half_precision(dataset) {
            Some(values) => values,
            None => {
                return Err(Error::format(
                    path,
                    format!(
                        "tensor `{name}` holds numbers of type {other}, which are not read\nhelp: save the model in float32, float16 or bfloat16"
                    ),
                ));
            }
        },
    };
    if data.len() != shape.elements() {
        return Err(failed(&format!("{} numbers for a shape of {shape:?}", data.len())));
    }
    Ok(Tensor { shape: shape.to_vec(), data })
}

/// Whether a dataset holds whole numbers of 8 bits, as quantised kernels do.
pub(super) fn is_int8(dataset: &Dataset) -> bool {
    matches!(dataset.dtype(), Ok(DType::I8))
}

/// The numbers of a dataset: in memory, or where they lie in the file as they are wanted, so that they need not be there twice.
pub(super) enum Stored {
    /// In memory.
    Here(Tensor),
    /// As f32 one behind the other, the lowest byte first, from this byte on.
    At { shape: Vec<usize>, address: u64 },
}

impl From<Tensor> for Stored {
    fn from(tensor: Tensor) -> Self {
        Self::Here(tensor)
    }
}

impl Stored {
    /// Reads what is still in the file.
    pub(super) fn read(self, path: &Path, mut file: &std::fs::File) -> Result<Tensor> {
        let (shape, address) = match self {
            Self::Here(tensor) => return Ok(tensor),
            Self::At { shape, address } => (shape, address),
        };
        let failed = |source| Error::io(path, source);
        let len: usize = shape.iter().product();
        let end = address.checked_add(4 * len as u64);
        if end.is_none_or(|end| file.metadata().is_ok_and(|file| file.len() < end)) {
            return Err(damaged(path, &"a tensor ends behind the file"));
        }
        let mut data = vec![0.0f32; len];
        file.seek(SeekFrom::Start(address)).map_err(failed)?;
        file.read_exact(bytemuck::cast_slice_mut(&mut data)).map_err(failed)?;
        if cfg!(target_endian = "big") {
            data.iter_mut().for_each(|value| *value = f32::from_bits(value.to_bits().swap_bytes()));
        }
        Ok(Tensor { shape, data })
    }
}

/// As [`tensor`], but leaves in the file what lies there as it is wanted.
pub(super) fn stored(path: &Path, name: &str, dataset: &Dataset, shape: &[usize]) -> Result<Stored> {
    let is_plain = matches!(
        dataset.datatype(),
        Ok(Datatype::FloatingPoint { size: 4, byte_order: DatatypeByteOrder::LittleEndian, .. })
    ) && matches!(dataset.dtype(), Ok(DType::F32));
    let bytes = shape.iter().try_fold(4u64, |bytes, extent| bytes.checked_mul(*extent as u64));
    match dataset.layout() {
        Ok(Layout::Contiguous { address: Some(address), size }) if is_plain && Some(size) == bytes => {
            Ok(Stored::At { shape: shape.to_vec(), address })
        }
        _ => tensor(path, name, dataset, shape).map(Stored::Here),
    }
}

/// float16, of either byte order.
fn half_precision(dataset: &Dataset) -> Option<Vec<f32>> {
    let Ok(Datatype::FloatingPoint { size: 2, byte_order, .. }) = dataset.datatype() else { return None };
    let decode = |bytes: &[u8]| {
        let bytes = [bytes[0], bytes[1]];
        let bits = match byte_order {
            DatatypeByteOrder::BigEndian => u16::from_be_bytes(bytes),
            _ => u16::from_le_bytes(bytes),
        };
        f16::from_bits(bits).to_f32()
    };
    Some(dataset.read_raw().ok()?.chunks_exact(2).map(decode).collect())
}

/// A tree of groups to be written.
#[derive(Default)]
pub(super) struct Tree {
    attributes: Vec<(String, AttrValue)>,
    tensors: Vec<(String, Tensor)>,
    groups: BTreeMap<String, Tree>,
}

impl Tree {
    /// The group at a path, made where it is not there.
    pub(super) fn group(&mut self, path: &str) -> &mut Tree {
        path.split('/')
            .filter(|name| !name.is_empty())
            .fold(self, |tree, name| tree.groups.entry(name.to_owned()).or_default())
    }

    /// Adds a tensor at a path below this group.
    pub(super) fn tensor(&mut self, path: &str, tensor: Tensor) {
        let (group, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.group(group).tensors.push((name.to_owned(), tensor));
    }

    /// Sets a string attribute.
    pub(super) fn string(&mut self, name: &str, value: impl Into<String>) {
        self.attributes.push((name.to_owned(), AttrValue::String(value.into())));
    }

    /// Sets a list of names, cut into several attributes where it is long, as Keras does.
    pub(super) fn names(&mut self, name: &str, names: &[String]) {
        let width = names.iter().map(String::len).max().unwrap_or(1).max(1);
        let per_part = (MAX_ATTRIBUTE / width).max(1);
        if names.is_empty() {
            self.attributes.push((name.to_owned(), AttrValue::F64Array(Vec::new())));
        } else if names.len() <= per_part {
            self.attributes.push((name.to_owned(), AttrValue::StringArray(names.to_vec())));
        } else {
            for (part, names) in names.chunks(per_part).enumerate() {
                self.attributes.push((format!("{name}{part}"), AttrValue::StringArray(names.to_vec())));
            }
        }
    }

    /// The finished file. A tensor goes as soon as it is in it.
    pub(super) fn into_bytes(self, path: &Path) -> Result<Vec<u8>> {
        let mut file = FileBuilder::new();
        for (name, value) in self.attributes {
            file.set_attr(&name, value);
        }
        for (name, tensor) in self.tensors {
            let dataset = file.create_dataset(&name);
            dataset.with_f32_data(&tensor.data).with_shape(&extents(&tensor));
        }
        for (name, tree) in self.groups {
            let mut group = file.create_group(&name);
            tree.fill(&mut group);
            file.add_group(group.finish());
        }
        file.finish().map_err(|error| Error::format(path, format!("cannot be written as HDF5: {error}")))
    }

    fn fill(self, group: &mut GroupBuilder) {
        for (name, value) in self.attributes {
            group.set_attr(&name, value);
        }
        for (name, tensor) in self.tensors {
            group.create_dataset(&name).with_f32_data(&tensor.data).with_shape(&extents(&tensor));
        }
        for (name, tree) in self.groups {
            let mut inner = group.create_group(&name);
            tree.fill(&mut inner);
            group.add_group(inner.finish());
        }
    }
}

fn extents(tensor: &Tensor) -> Vec<u64> {
    tensor.shape.iter().map(|extent| *extent as u64).collect()
}
