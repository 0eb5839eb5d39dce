//! The outputs of several layers as one vector.

use super::{Body, Call, Form, Graph, Layer, Model, TensorId};
use crate::layers::{Concatenate, Kind, LayerKind, Pooling2D, ThreeDimensional, parse_head};
use crate::ops::{Padding, PoolKind, Sliding};
use crate::{Error, Result, Shape};
use std::fmt;
use std::str::FromStr;

/// How the pixels of an output, `[height, width, channels]`, become a vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over all pixels.
    #[default]
    Mean,
    /// The means of cells, at most so many down and across, which say where in the image something is.
    Cells(usize),
}

impl Pooling {
    /// The numbers that an output of this shape becomes.
    pub fn width(self, shape: &Shape) -> usize {
        match (self, shape.as_slice()) {
            (Pooling::Cells(count), [height, width, channels]) => {
                let cells = |extent: &usize| extent.div_ceil(cell(*extent, count));
                cells(height) * cells(width) * channels
            }
            _ => shape.last().copied().unwrap_or(0),
        }
    }
}

/// How many pixels each of at most `count` cells spans.
fn cell(extent: usize, count: usize) -> usize {
    extent.div_ceil(count.max(1)).max(1)
}

/// `mean`, `2x2`, `4x4`.
impl fmt::Display for Pooling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pooling::Mean => formatter.write_str("mean"),
            Pooling::Cells(count) => write!(formatter, "{count}x{count}"),
        }
    }
}

impl FromStr for Pooling {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let cells = || {
            let (down, across) = text.split_once('x')?;
            let count = down.parse().ok().filter(|count| (2..=16).contains(count))?;
            (down == across).then_some(Pooling::Cells(count))
        };
        match text {
            "mean" => Ok(Pooling::Mean),
            _ => cells().ok_or_else(|| {
                Error::setting(format!(
                    "`{text}` is no pooling\nhelp: give `mean`, or cells from `2x2` to `16x16`"
                ))
            }),
        }
    }
}

impl Model {
    /// Makes the outputs of layers at these paths the model's only output: each as a vector, one behind the other in this order.
    /// The highest of them must be the model's present output. The new layers have no weights.
    ///
    /// Errors: a layer that is not there or lies in a model that is used more than once; an output that is neither a vector
    /// nor `[tokens, channels]` nor `[height, width, channels]` nor `[depth, height, width, channels]`.
    pub fn join(&mut self, outputs: &[(&str, Pooling)], input: &Shape) -> Result<()> {
        let tokens = self.token_pooling()?;
        let graph = &mut self.graph;
        let tensors = outputs.iter().map(|(path, _)| graph.expose(path)).collect::<Result<Vec<_>>>()?;
        let shapes = graph.infer_shapes(std::slice::from_ref(input))?;
        let mut vectors = Vec::with_capacity(tensors.len());
        for (mut tensor, (path, pooling)) in tensors.into_iter().zip(outputs) {
            let (pooled, rank) = match (shapes[tensor.call][tensor.output].as_slice(), pooling) {
                ([_], _) => ("", 1),
                ([_, _], _) => ("", 2),
                ([_, _, _], Pooling::Mean) => ("gap", 3),
                ([height, width, _], Pooling::Cells(count)) => {
                    let pool_size = [cell(*height, *count), cell(*width, *count)];
                    if pool_size != [1, 1] {
                        let kind = PoolKind::Average;
                        let sliding =
                            Sliding { strides: pool_size, padding: Padding::Same, ..Sliding::default() };
                        let cells = Pooling2D { kind, pool_size, sliding };
                        tensor = graph.put_on(cells.into(), vec![tensor]);
                    }
                    ("flatten", 3)
                }
                (shape, _) => ("", shape.len()),
            };
            vectors.push(match rank {
                1 => tensor,
                2 => graph.put_on(tokens.clone(), vec![tensor]),
                3 => graph.put_on(parse_head(pooled)?.swap_remove(0), vec![tensor]),
                4 => graph.put_on(ThreeDimensional::pooling(PoolKind::Average)?.into(), vec![tensor]),
                rank => {
                    return Err(Error::surgery(format!(
                        "the output of `{path}` has {rank} axes: it is neither a vector, nor tokens, nor an image, nor a volume\nhelp: keep another layer with the setting `keep`"
                    )));
                }
            });
        }
        let joined = match vectors.as_slice() {
            [one] => *one,
            _ => graph.put_on(Concatenate { axis: -1 }.into(), vectors),
        };
        graph.outputs = vec![joined];
        Ok(())
    }

    /// Leaves the height and the width of its input open, if it has one input of images.
    pub fn open_input(&mut self) {
        self.graph.open_inputs();
    }
}

impl Graph {
    /// The output of a layer as a tensor of this graph: nested models that hold it get one output more.
    fn expose(&mut self, path: &str) -> Result<TensorId> {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let index = self.layers.iter().position(|layer| layer.name == name);
        let calls = |index: usize| self.calls.iter().enumerate().filter(move |(_, call)| call.layer == index);
        let found = index.and_then(|index| Some((index, calls(index).next_back()?.0, calls(index).count())));
        let Some((index, call, times)) = found else {
            return Err(Error::surgery(format!(
                "the model `{}` has no layer `{name}`\nhelp: `frostline inspect` lists the layers",
                self.name
            )));
        };
        match (&mut self.layers[index].body, rest) {
            (Body::Model(inner), Some(rest)) if times == 1 => {
                let tensor = inner.expose(rest)?;
                let known = inner.outputs.iter().position(|output| *output == tensor);
                let output = known.unwrap_or_else(|| {
                    inner.outputs.push(tensor);
                    inner.form = Form::Functional;
                    inner.outputs.len() - 1
                });
                Ok(TensorId { call, output })
            }
            (Body::Model(_), Some(_)) => Err(Error::surgery(format!(
                "`{path}` lies in `{name}`, which the model uses more than once\nhelp: take the output of `{name}`"
            ))),
            _ => Ok(TensorId { call, output: 0 }),
        }
    }

    /// A new layer, called on these tensors. It has no weights.
    fn put_on(&mut self, kind: Kind, inputs: Vec<TensorId>) -> TensorId {
        let name = self.unused_name(kind.class_name());
        let config = kind.config();
        self.layers.push(Layer { name, trainable: true, body: Body::Kind(kind), config });
        self.calls.push(Call { layer: self.layers.len() - 1, inputs });
        self.form = Form::Functional;
        TensorId { call: self.calls.len() - 1, output: 0 }
    }

    fn open_inputs(&mut self) {
        for layer in &mut self.layers {
            match &mut layer.body {
                Body::Model(inner) => inner.open_inputs(),
                Body::Kind(Kind::InputLayer(input)) if input.extents.len() == 3 => {
                    input.extents[..2].fill(None);
                    layer.config.extend(input.config());
                }
                Body::Kind(_) | Body::Unsupported { .. } => {}
            }
        }
    }
}
