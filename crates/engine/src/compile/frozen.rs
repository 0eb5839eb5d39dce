//! What lies below a boundary, folded and fused but not yet bound, and how several of them become one pass over the
//! images.
//!
//! A value is known by what it depends on: the op, its weights, and what they are applied to, down to the image. Values of
//! two programs that are known by the same are the same to the last bit, whichever program computes them. So what two
//! boundaries have in common is computed once, and a value that is stored can be taken in the place of being computed.
//! Folding and fusing never look at other boundaries: a feature vector is the same whether or not a pass makes other feature vectors too.

use super::partition;
use crate::{Constants, Prefix, calibrate};
use blake3::Hash;
use frostline_graph::ops::{Bytes, Halves, Node, Param, ParamId, Program, ValueId};
use frostline_graph::{DType, PrefixDType, Tensor};
use frostline_kernels::Quantization;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// The frozen program below one boundary, or below several.
#[derive(Clone, Debug)]
pub struct Frozen {
    dtype: DType,
    program: Program,
    constants: Arc<Constants>,
    boundary: Vec<String>,
    /// Of each node: whether its result is kept in f32 in any dtype, being one of the vectors at the end.
    is_vector: Vec<bool>,
    /// Of each value: what its bytes stand for. Empty where none is kept in bytes.
    quantizations: Vec<Quantization>,
    /// Of each value: what it depends on.
    hashes: Vec<Hash>,
    /// Of each weight: its numbers.
    weights: Vec<Hash>,
    /// What it was compiled from; none where it was put together from others.
    origin: Option<Hash>,
}

impl Frozen {
    pub(super) fn new(
        numbers: &PrefixDType,
        program: Program,
        constants: Constants,
        boundary: Vec<String>,
        origin: Hash,
    ) -> Self {
        let dtype = numbers.dtype();
        let is_vector = match dtype {
            DType::F32 => vec![false; program.nodes.len()],
            DType::Bf16 => partition::vectors(&program),
            DType::Int8 => partition::beyond_bytes(&program),
        };
        let constants = Arc::new(constants);
        let quantizations = match numbers {
            PrefixDType::Int8(images) => calibrate(&program, &constants, images),
            PrefixDType::F32 | PrefixDType::Bf16 => Vec::new(),
        };
        let read: BTreeSet<ParamId> = program.nodes.iter().flat_map(|node| &node.params).copied().collect();
        let weight = |(index, constant): (usize, &Tensor)| match read.contains(&ParamId(index)) {
            true => blake3::hash(bytemuck::cast_slice(&constant.data)),
            // folded into another
            false => Hash::from_bytes([0; 32]),
        };
        let weights: Vec<Hash> = constants.iter().enumerate().map(weight).collect();
        let mut constants = Arc::unwrap_or_clone(constants);
        for (index, constant) in constants.iter_mut().enumerate() {
            if !read.contains(&ParamId(index)) {
                constant.data = Vec::new();
            }
        }
        let mut hashes = vec![Hash::from_bytes([0; 32]); program.values.len()];
        for (index, value) in program.inputs.iter().enumerate() {
            let (shape, bytes) = (program.shape(*value), quantizations.get(value.0));
            hashes[value.0] = blake3::hash(format!("input {index} {shape:?} {bytes:?}").as_bytes());
        }
        for (node, is_vector) in program.nodes.iter().zip(&is_vector) {
            let shapes = (program.param_shapes(node), program.shape(node.output));
            let mut hasher = blake3::Hasher::new();
            let bytes = quantizations.get(node.output.0);
            hasher.update(format!("{:?} {is_vector} {shapes:?} {bytes:?}", node.op).as_bytes());
            let below = node.inputs.iter().map(|value| &hashes[value.0]);
            for hash in below.chain(node.params.iter().map(|param| &weights[param.0])) {
                hasher.update(hash.as_bytes());
            }
            hashes[node.output.0] = hasher.finalize();
        }
        let constants = Arc::new(constants);
        let origin = Some(origin);
        Self { dtype, program, constants, boundary, is_vector, quantizations, hashes, weights, origin }
    }

    pub(super) fn is_from(&self, origin: Hash) -> bool {
        self.origin == Some(origin)
    }

    /// Ready to run.
    pub fn bind(&self) -> Prefix {
        let (program, constants) = (self.program.clone(), &self.constants);
        let split = || partition::split(&program, &self.is_vector);
        match self.dtype {
            DType::F32 => Prefix::new(program, constants),
            DType::Bf16 => {
                let (parts, _) = split();
                Prefix::in_parts(Halves, program, parts, constants)
            }
            DType::Int8 => {
                let (parts, values) = split();
                let quantization = |value: &ValueId| self.quantizations[value.0].clone();
                let quantizations = values.iter().map(quantization).collect();
                Prefix::in_parts(Bytes { quantizations }, program, parts, constants)
            }
        }
    }

    /// How it stores numbers.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Its ops.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The paths of the layers whose outputs leave it; `input` is the model's own input.
    pub fn boundary(&self) -> &[String] {
        &self.boundary
    }

    /// What each boundary value depends on.
    pub fn outputs(&self) -> impl Iterator<Item = Hash> {
        self.program.outputs.iter().map(|value| self.hashes[value.0])
    }

    /// The f32 of one image's boundary values.
    pub fn feature_len(&self) -> usize {
        let len = |value: &ValueId| self.program.shape(*value).iter().product::<usize>();
        self.program.outputs.iter().map(len).sum()
    }

    /// Whether bf16 holds every boundary value as it is: images are kept in it already.
    pub fn is_bf16(&self) -> bool {
        let of_images = |value: &ValueId| {
            let maker = self.program.nodes.iter().position(|node| node.output == *value);
            maker.is_some_and(|node| !self.is_vector[node])
        };
        self.dtype == DType::Bf16 && self.program.outputs.iter().all(of_images)
    }

    /// True if there is nothing to compute: the boundary is the input itself.
    pub fn is_identity(&self) -> bool {
        self.program.nodes.is_empty()
    }

    /// The paths of its layers that have weights.
    pub fn layers(&self) -> impl Iterator<Item = &str> {
        let read = self.program.nodes.iter().flat_map(|node| &node.params);
        read.filter_map(|param| Some(self.program.params[param.0].path.rsplit_once('/')?.0))
    }

    /// One program below this boundary and others, which come one after the other. What they have in common is computed once.
    /// All are of one model in one dtype, from the same inputs.
    pub fn with(&self, others: &[&Frozen]) -> Frozen {
        let mut joint = Self { origin: None, ..self.clone() };
        if !others.is_empty() {
            let mut constants = self.constants.to_vec();
            others.iter().for_each(|part| joint.add(part, &mut constants));
            joint.constants = Arc::new(constants);
        }
        joint
    }

    fn add(&mut self, part: &Frozen, constants: &mut Constants) {
        let mut known: HashMap<Hash, ValueId> = HashMap::new();
        let own = self.program.nodes.iter().map(|node| node.output);
        for value in own.chain(self.program.inputs.iter().copied()) {
            known.insert(self.hashes[value.0], value);
        }
        for (node, is_vector) in part.program.nodes.iter().zip(&part.is_vector) {
            let hash = part.hashes[node.output.0];
            if known.contains_key(&hash) {
                continue;
            }
            let output = self.value(part, node.output);
            let node = Node {
                inputs: node.inputs.iter().map(|value| known[&part.hashes[value.0]]).collect(),
                params: node.params.iter().map(|param| self.weight(part, *param, constants)).collect(),
                output,
                ..node.clone()
            };
            known.insert(hash, output);
            self.program.nodes.push(node);
            self.is_vector.push(*is_vector);
        }
        self.program.outputs.extend(part.outputs().map(|hash| known[&hash]));
        self.boundary.extend(part.boundary.iter().cloned());
    }

    fn value(&mut self, of: &Frozen, value: ValueId) -> ValueId {
        self.hashes.push(of.hashes[value.0]);
        self.quantizations.extend(of.quantizations.get(value.0).cloned());
        self.program.value(of.program.shape(value).clone())
    }

    fn weight(&mut self, of: &Frozen, param: ParamId, constants: &mut Constants) -> ParamId {
        let Param { path, shape, role } = of.program.params[param.0].clone();
        let same = |index: &usize| {
            self.weights[*index] == of.weights[param.0] && self.program.params[*index].shape == shape
        };
        if let Some(index) = (0..self.weights.len()).find(same) {
            return ParamId(index);
        }
        self.program.params.push(Param { path, shape, role });
        self.weights.push(of.weights[param.0]);
        constants.push(of.constants[param.0].clone());
        ParamId(self.weights.len() - 1)
    }

    /// The rest of the way from another boundary: a program whose inputs are that one's boundary values. None where they
    /// are not enough, as where a convolution lies below that boundary without the normalisation that is folded into it
    /// here.
    pub fn above(&self, stored: &Frozen) -> Option<Frozen> {
        let given: HashSet<Hash> = stored.outputs().collect();
        let needed = self.needed(&given)?;
        let mut rest = Self {
            dtype: self.dtype,
            program: Program { layers: self.program.layers.clone(), ..Program::default() },
            constants: self.constants.clone(),
            boundary: self.boundary.clone(),
            is_vector: Vec::new(),
            quantizations: Vec::new(),
            hashes: Vec::new(),
            weights: self.weights.clone(),
            origin: None,
        };
        rest.program.params.clone_from(&self.program.params);
        let mut known: HashMap<Hash, ValueId> = HashMap::new();
        for value in &stored.program.outputs {
            let input = rest.value(stored, *value);
            rest.program.inputs.push(input);
            known.entry(stored.hashes[value.0]).or_insert(input);
        }
        for (index, node) in self.program.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
            let output = rest.value(self, node.output);
            let inputs = node.inputs.iter().map(|value| known[&self.hashes[value.0]]).collect();
            rest.program.nodes.push(Node { inputs, output, ..node.clone() });
            rest.is_vector.push(self.is_vector[index]);
            known.insert(self.hashes[node.output.0], output);
        }
        rest.program.outputs = self.outputs().map(|hash| known[&hash]).collect();
        Some(rest)
    }

    /// The multiply-adds that [`Frozen::above`] would take; none where that is none.
    pub fn multiply_adds_above(&self, stored: &Frozen) -> Option<u64> {
        let needed = self.needed(&stored.outputs().collect())?;
        let nodes = self.program.nodes.iter().zip(needed).filter(|(_, needed)| *needed);
        Some(nodes.map(|(node, _)| self.program.node_multiply_adds(node)).sum())
    }

    /// The nodes that are needed where these values are given; none if the model's own input is needed, and not given.
    fn needed(&self, given: &HashSet<Hash>) -> Option<Vec<bool>> {
        let is_given = |value: &ValueId| given.contains(&self.hashes[value.0]);
        let mut wanted = vec![false; self.program.values.len()];
        self.program.outputs.iter().for_each(|value| wanted[value.0] = !is_given(value));
        let mut needed = vec![false; self.program.nodes.len()];
        for (index, node) in self.program.nodes.iter().enumerate().rev() {
            if wanted[node.output.0] {
                needed[index] = true;
                node.inputs.iter().for_each(|value| wanted[value.0] = !is_given(value));
            }
        }
        let lacks_input = self.program.inputs.iter().any(|value| wanted[value.0]);
        (!lacks_input).then_some(needed)
    }
}
