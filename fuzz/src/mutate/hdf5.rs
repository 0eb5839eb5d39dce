//! HDF5 as a tree of groups: attributes, names, shapes and types change, and the file is written anew. What old files of Keras hold is
//! another form of the same format, which bytes that change reach.

use super::json::change_tree;
use super::{bytes, chance, number};
use fastrand::Rng;
use hdf5_pure::{AttrValue, File, FileBuilder, Group, GroupBuilder};
use serde_json::Value;

/// Deeper than this no seed is nested.
const DEEPEST: usize = 12;

/// The tree changes, or any bytes do.
pub fn h5(rng: &mut Rng, file: &[u8], others: &[Vec<u8>]) -> Vec<u8> {
    if chance(rng, 40) {
        return bytes(rng, file, others);
    }
    let Some(mut tree) = Node::read(file) else { return bytes(rng, file, others) };
    for _ in 0..=rng.usize(..3) {
        tree.change(rng);
    }
    tree.write().unwrap_or_else(|| bytes(rng, file, others))
}

#[derive(Clone, Default)]
struct Node {
    attributes: Vec<(String, AttrValue)>,
    tensors: Vec<Tensor>,
    groups: Vec<(String, Node)>,
}

#[derive(Clone)]
struct Tensor {
    name: String,
    shape: Vec<u64>,
    values: Vec<f32>,
    kind: u8,
}

impl Node {
    fn read(file: &[u8]) -> Option<Self> {
        Self::of(&File::from_bytes(file.to_vec()).ok()?.root(), 0)
    }

    fn of(group: &Group, depth: usize) -> Option<Self> {
        if depth > DEEPEST {
            return None;
        }
        let mut node = Self { attributes: group.attrs().ok()?.into_iter().collect(), ..Self::default() };
        node.attributes.sort_by(|one, two| one.0.cmp(&two.0));
        for name in group.datasets().ok()? {
            let dataset = group.dataset(&name).ok()?;
            let shape = dataset.shape().ok()?;
            // whatever it holds: what is written anew are floats or what `kind` says
            let values =
                dataset.read_f32().unwrap_or_else(|_| vec![0.5; shape.iter().product::<u64>() as usize]);
            node.tensors.push(Tensor { name, shape, values, kind: 0 });
        }
        for name in group.groups().ok()? {
            let inner = Self::of(&group.group(&name).ok()?, depth + 1)?;
            node.groups.push((name, inner));
        }
        Some(node)
    }

    /// A node of the tree, itself among them.
    fn random(&mut self, rng: &mut Rng) -> &mut Self {
        match self.groups.is_empty() || chance(rng, 25) {
            true => self,
            false => {
                let at = rng.usize(..self.groups.len());
                self.groups[at].1.random(rng)
            }
        }
    }

    fn change(&mut self, rng: &mut Rng) {
        // what the root says of the model is most of what is read
        let at_root =
            self.attributes.iter().position(|(name, _)| name == "model_config").filter(|_| chance(rng, 50));
        if let Some(at) = at_root {
            change_attribute(rng, &mut self.attributes[at].1);
            return;
        }
        let copy = self.random(rng).clone();
        let node = self.random(rng);
        match rng.u8(..10) {
            0..=2 if !node.attributes.is_empty() => {
                let at = rng.usize(..node.attributes.len());
                match rng.u8(..4) {
                    0 => drop(node.attributes.remove(at)),
                    1 => node.attributes[at].0 = name(rng),
                    _ => change_attribute(rng, &mut node.attributes[at].1),
                }
            }
            3..=6 if !node.tensors.is_empty() => {
                let at = rng.usize(..node.tensors.len());
                match rng.u8(..5) {
                    0 => drop(node.tensors.remove(at)),
                    1 => node.tensors[at].name = name(rng),
                    2 => {
                        let tensor = &mut node.tensors[at];
                        tensor.shape = (0..rng.usize(..5)).map(|_| rng.u64(..9)).collect();
                        tensor.values = vec![rng.f32(); tensor.shape.iter().product::<u64>() as usize];
                    }
                    3 => node.tensors[at].kind = rng.u8(..8),
                    _ => {
                        let value = [f32::NAN, f32::INFINITY, 0.0, -1.0, 1e38][rng.usize(..5)];
                        node.tensors[at].values.fill(value);
                    }
                }
            }
            7 if !node.groups.is_empty() => drop(node.groups.remove(rng.usize(..node.groups.len()))),
            8 if !node.groups.is_empty() => {
                let at = rng.usize(..node.groups.len());
                node.groups[at].0 = name(rng);
            }
            _ if copy.depth() < DEEPEST => node.groups.push((name(rng), copy)),
            _ => {}
        }
    }

    fn depth(&self) -> usize {
        1 + self.groups.iter().map(|(_, inner)| inner.depth()).max().unwrap_or(0)
    }

    /// None where the format has no form for it.
    fn write(self) -> Option<Vec<u8>> {
        let mut file = FileBuilder::new();
        for (name, value) in self.attributes {
            file.set_attr(&name, value);
        }
        for tensor in &self.tensors {
            tensor.write(file.create_dataset(&tensor.name));
        }
        for (name, node) in self.groups {
            let mut group = file.create_group(&name);
            node.fill(&mut group);
            file.add_group(group.finish());
        }
        file.finish().ok()
    }

    fn fill(self, group: &mut GroupBuilder) {
        for (name, value) in self.attributes {
            group.set_attr(&name, value);
        }
        for tensor in &self.tensors {
            tensor.write(group.create_dataset(&tensor.name));
        }
        for (name, node) in self.groups {
            let mut inner = group.create_group(&name);
            node.fill(&mut inner);
            group.add_group(inner.finish());
        }
    }
}

impl Tensor {
    fn write(&self, dataset: &mut hdf5_pure::DatasetBuilder) {
        let whole = || self.values.iter().map(|value| *value as i32).collect::<Vec<_>>();
        let bytes = || self.values.iter().map(|value| *value as u8).collect::<Vec<_>>();
        match self.kind {
            1 => dataset.with_f64_data(&self.values.iter().copied().map(f64::from).collect::<Vec<_>>()),
            2 => dataset.with_i32_data(&whole()),
            3 => dataset.with_u8_data(&bytes()),
            4 => dataset.with_vlen_strings(&vec!["x"; self.values.len()]),
            _ => dataset.with_f32_data(&self.values),
        };
        dataset.with_shape(&self.shape);
        if self.kind > 5 && !self.shape.is_empty() && !self.values.is_empty() {
            let chunks: Vec<u64> = self.shape.iter().map(|extent| extent.div_ceil(2).max(1)).collect();
            dataset.with_chunks(&chunks).with_deflate(6);
        }
    }
}

fn name(rng: &mut Rng) -> String {
    let names = [
        "vars",
        "layers",
        "0",
        "1",
        "model_weights",
        "kernel",
        "bias",
        "gamma",
        "kernel:0",
        "bias:0",
        "layer_names",
        "weight_names",
        "keras_version",
        "backend",
        "model_config",
        "dense",
        "x",
        "optimizer_weights",
    ];
    names[rng.usize(..names.len())].to_owned()
}

fn change_attribute(rng: &mut Rng, value: &mut AttrValue) {
    let list = value.as_strings().map(<[String]>::to_vec);
    let text = value.as_str().map(str::to_owned);
    *value = match (list, text) {
        _ if chance(rng, 8) => AttrValue::I64(number(rng)),
        (Some(mut names), _) => {
            match rng.u8(..4) {
                0 => drop(names.pop()),
                1 => names.push(name(rng)),
                2 if !names.is_empty() => {
                    let at = rng.usize(..names.len());
                    names[at] = name(rng);
                }
                _ => names.reverse(),
            }
            AttrValue::StringArray(names)
        }
        (None, Some(text)) => AttrValue::String(match serde_json::from_str::<Value>(&text) {
            Ok(mut tree) => {
                change_tree(rng, &mut tree);
                tree.to_string()
            }
            Err(_) => ["1.2.2", "2.2.5", "2.15.0", "3.0.0", "theano", "tensorflow", "", "9"][rng.usize(..8)]
                .to_owned(),
        }),
        (None, None) => AttrValue::String(name(rng)),
    };
}
