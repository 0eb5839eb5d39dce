//! Layers that go element by element, or join several values.

use super::emit::{Attribute, Emitter, Value};
use super::layer::{Output, Writer, transposed};
use crate::Result;
use crate::layers::{
    Activation, BatchNormalization, Concatenate, Config, Cropping2D, Elu, GroupNormalization,
    LayerNormalization, LeakyRelu, Normalization, Relu,
};
use serde_json::Value as Json;

impl Writer<'_> {
    /// Something that goes element by element, in the layout that is there.
    pub(super) fn in_place(
        &mut self,
        path: &str,
        x: &mut Value,
        write: impl FnOnce(&mut Emitter, &str) -> String,
    ) -> Output {
        match x.first.clone() {
            Some(first) => Output::First(write(&mut self.emit, &first)),
            None => {
                let last = self.emit.last(x, path);
                Output::Last(write(&mut self.emit, &last))
            }
        }
    }

    pub(super) fn function(
        &mut self,
        path: &str,
        class: &str,
        config: &Config<'_>,
        x: &mut Value,
    ) -> Result<Output, String> {
        let words = |error: crate::Error| error.to_string();
        let is_softmax = class == "Softmax" || config.str_or("activation", "").map_err(words)? == "softmax";
        if is_softmax {
            let input = self.emit.last(x, path);
            return Ok(Output::Last(self.emit.node(
                path,
                "Softmax",
                &[&input],
                &[("axis", Attribute::Int(-1))],
            )));
        }
        Ok(match class {
            "ReLU" => {
                let layer = Relu::from_config(config).map_err(words)?;
                self.in_place(path, x, |emit, x| emit.relu(path, &layer, x))
            }
            "LeakyReLU" => {
                let alpha = LeakyRelu::from_config(config).map_err(words)?.negative_slope;
                self.in_place(path, x, |emit, x| {
                    emit.node(path, "LeakyRelu", &[x], &[("alpha", Attribute::Float(alpha))])
                })
            }
            "ELU" => {
                let alpha = Elu::from_config(config).map_err(words)?.alpha;
                self.in_place(path, x, |emit, x| {
                    emit.node(path, "Elu", &[x], &[("alpha", Attribute::Float(alpha))])
                })
            }
            _ => {
                let activation = Activation::from_config(config).map_err(words)?.activation;
                let mut failed = None;
                let made = self.in_place(path, x, |emit, x| {
                    emit.activation(path, &activation, x).unwrap_or_else(|error| {
                        failed = Some(error);
                        String::new()
                    })
                });
                match failed {
                    Some(error) => return Err(error),
                    None => made,
                }
            }
        })
    }

    /// `x · scale + offset`: one number for all, or one a channel.
    pub(super) fn scaled(
        &mut self,
        path: &str,
        inputs: &[usize],
        scale: &[f32],
        offset: &[f32],
    ) -> Result<Output, String> {
        let index = inputs.first().copied().ok_or("it is called on nothing")?;
        let neutral = scale.iter().all(|scale| *scale == 1.0) && offset.iter().all(|offset| *offset == 0.0);
        if neutral {
            return Ok(Output::Input(index));
        }
        let mut x = self.values.get(index).cloned().ok_or("it is called on nothing")?;
        let channels = x.channels();
        Ok(match x.first.clone().filter(|_| x.is_image()) {
            Some(first) => Output::First(self.emit.affine(path, &first, &[channels, 1, 1], scale, offset)),
            None => {
                let last = self.emit.last(&mut x, path);
                Output::Last(self.emit.affine(path, &last, &[channels], scale, offset))
            }
        })
    }

    pub(super) fn normalization(
        &mut self,
        path: &str,
        layer: &Normalization,
        inputs: &[usize],
    ) -> Result<Output, String> {
        let (mean, variance) = match &layer.given {
            Some(given) => given.clone(),
            None => (self.weight(path, "mean")?.data, self.weight(path, "variance")?.data),
        };
        let (scale, offset) = crate::ops::Normalize { invert: layer.invert }.affine(&mean, &variance);
        self.scaled(path, inputs, &scale, &offset)
    }

    pub(super) fn batch_normalization(
        &mut self,
        path: &str,
        layer: &BatchNormalization,
        x: &mut Value,
    ) -> Result<Output, String> {
        let channels = x.channels();
        let weight = |variable: &str, is_there: bool, otherwise: f32| match is_there {
            true => self.weight(path, variable).map(|weight| weight.data),
            false => Ok(vec![otherwise; channels]),
        };
        let all = [
            ("gamma", weight("gamma", layer.scale, 1.0)?),
            ("beta", weight("beta", layer.center, 0.0)?),
            ("moving_mean", weight("moving_mean", true, 0.0)?),
            ("moving_variance", weight("moving_variance", true, 1.0)?),
        ];
        let rank = x.shapes[0].len();
        let (input, is_first) = match rank {
            3 => (self.emit.first(x, path), true),
            _ => (self.emit.last(x, path), false),
        };
        if rank != 1 && rank != 3 {
            // the operator has the channels behind the batch; elsewhere they are a scale and an offset
            let [(_, gamma), (_, beta), (_, mean), (_, variance)] = &all;
            let scale: Vec<f32> = gamma
                .iter()
                .zip(variance)
                .map(|(gamma, variance)| gamma / (variance + layer.epsilon).sqrt())
                .collect();
            let offset: Vec<f32> =
                beta.iter().zip(mean).zip(&scale).map(|((beta, mean), scale)| beta - mean * scale).collect();
            return Ok(Output::Last(self.emit.affine(path, &input, &[channels], &scale, &offset)));
        }
        let names: Vec<String> = all
            .iter()
            .map(|(name, data)| self.emit.floats(&format!("{path}/{name}"), &[channels], data))
            .collect();
        let inputs: Vec<&str> =
            std::iter::once(input.as_str()).chain(names.iter().map(String::as_str)).collect();
        let attributes =
            [("epsilon", Attribute::Float(layer.epsilon)), ("momentum", Attribute::Float(layer.momentum))];
        let made = self.emit.node(path, "BatchNormalization", &inputs, &attributes);
        Ok(if is_first { Output::First(made) } else { Output::Last(made) })
    }

    pub(super) fn layer_normalization(
        &mut self,
        path: &str,
        layer: &LayerNormalization,
        x: &mut Value,
    ) -> Result<Output, String> {
        let axis = match &layer.axis {
            Json::Array(axes) if axes.len() == 1 => axes[0].as_i64(),
            axis => axis.as_i64(),
        };
        let rank = x.shapes[0].len() as i64;
        if axis != Some(-1) && axis != Some(rank) {
            return Err(format!("it normalises the axes {}, of which only the last is written", layer.axis));
        }
        let gamma = match layer.affine.scale {
            true => self.vector(path, "gamma")?,
            false => self.emit.floats(&format!("{path}/gamma"), &[x.channels()], &vec![1.0; x.channels()]),
        };
        let beta = layer.affine.center.then(|| self.vector(path, "beta")).transpose()?;
        let input = self.emit.last(x, path);
        let inputs: Vec<&str> = [input.as_str(), &gamma].into_iter().chain(beta.as_deref()).collect();
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(layer.epsilon))];
        Ok(Output::Last(self.emit.node(path, "LayerNormalization", &inputs, &attributes)))
    }

    /// Of opset 17, which has no operator of that name that is right: the groups as channels of an `InstanceNormalization`.
    pub(super) fn group_normalization(
        &mut self,
        path: &str,
        layer: &GroupNormalization,
        x: &mut Value,
    ) -> Result<Output, String> {
        let channels = x.channels();
        let groups = usize::try_from(layer.groups).unwrap_or(channels).max(1);
        if !x.is_image() {
            return Err(format!(
                "it normalises values of {} axes, of which images are written",
                x.shapes[0].len()
            ));
        }
        let input = self.emit.first(x, path);
        let shape = self.emit.node(path, "Shape", &[&input], &[]);
        let grouped = self.emit.whole(&format!("{path}/groups"), &[0, groups as i64, -1]);
        let grouped = self.emit.node(path, "Reshape", &[&input, &grouped], &[]);
        let one = self.emit.floats(&format!("{path}/one"), &[groups], &vec![1.0; groups]);
        let zero = self.emit.floats(&format!("{path}/zero"), &[groups], &vec![0.0; groups]);
        let epsilon = [("epsilon", Attribute::Float(layer.epsilon))];
        let normal = self.emit.node(path, "InstanceNormalization", &[&grouped, &one, &zero], &epsilon);
        let normal = self.emit.node(path, "Reshape", &[&normal, &shape], &[]);
        let gamma = if layer.affine.scale { self.weight(path, "gamma")?.data } else { vec![1.0] };
        let beta = if layer.affine.center { self.weight(path, "beta")?.data } else { vec![0.0] };
        Ok(Output::First(self.emit.affine(path, &normal, &[channels, 1, 1], &gamma, &beta)))
    }

    pub(super) fn prelu(&mut self, path: &str, x: &mut Value) -> Result<Output, String> {
        let alpha = self.weight(path, "alpha")?;
        Ok(match x.first.clone().filter(|_| alpha.shape.len() == 3) {
            Some(first) => {
                let turned = transposed(&alpha, &[2, 0, 1]).ok_or("its slopes have no such shape")?;
                let alpha = self.emit.floats(&format!("{path}/alpha"), &turned.shape, &turned.data);
                Output::First(self.emit.node(path, "PRelu", &[&first, &alpha], &[]))
            }
            None => {
                let input = self.emit.last(x, path);
                let alpha = self.emit.floats(&format!("{path}/alpha"), &alpha.shape, &alpha.data);
                Output::Last(self.emit.node(path, "PRelu", &[&input, &alpha], &[]))
            }
        })
    }

    /// The names of several values in one layout, and whether that has the channels first. Values of fewer axes are given
    /// more, in front of their own: the batch comes before them all.
    fn side_by_side(&mut self, path: &str, inputs: &[usize]) -> Result<(Vec<String>, bool), String> {
        let all: Vec<Value> = inputs.iter().filter_map(|input| self.values.get(*input).cloned()).collect();
        let rank = all.iter().map(|value| value.shapes[0].len()).max().ok_or("it is called on nothing")?;
        let first = all.iter().all(Value::is_image) && all.iter().any(|value| value.first.is_some());
        let mut names = Vec::with_capacity(all.len());
        for (mut value, index) in all.into_iter().zip(inputs) {
            let name =
                if first { self.emit.first(&mut value, path) } else { self.emit.last(&mut value, path) };
            let missing = rank - value.shapes[0].len();
            names.push(match missing {
                0 => name,
                _ => {
                    let axes: Vec<i64> = (1..=missing as i64).collect();
                    let axes = self.emit.whole(&format!("{path}/axes"), &axes);
                    self.emit.node(path, "Unsqueeze", &[&name, &axes], &[])
                }
            });
            if let Some(present) = self.values.get_mut(*index) {
                *present = value;
            }
        }
        Ok((names, first))
    }

    fn joined(
        &mut self,
        path: &str,
        op: &str,
        names: &[String],
        first: bool,
        attributes: &[(&str, Attribute<'_>)],
    ) -> Output {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let made = self.emit.node(path, op, &names, attributes);
        if first { Output::First(made) } else { Output::Last(made) }
    }

    pub(super) fn merge(&mut self, path: &str, class: &str, inputs: &[usize]) -> Result<Output, String> {
        let (names, first) = self.side_by_side(path, inputs)?;
        let op = match class {
            "Add" => "Add",
            "Subtract" => "Sub",
            "Multiply" => "Mul",
            "Average" => "Mean",
            "Maximum" => "Max",
            _ => "Min",
        };
        let (begin, rest) = names.split_first().ok_or("it is called on nothing")?;
        // these take two
        if ["Add", "Sub", "Mul"].contains(&op) && rest.len() > 1 {
            let made =
                rest.iter().fold(begin.clone(), |all, next| self.emit.node(path, op, &[&all, next], &[]));
            return Ok(if first { Output::First(made) } else { Output::Last(made) });
        }
        Ok(self.joined(path, op, &names, first, &[]))
    }

    /// `a + scale · b`
    pub(super) fn scaled_add(&mut self, path: &str, scale: f32, inputs: &[usize]) -> Result<Output, String> {
        let (names, first) = self.side_by_side(path, inputs)?;
        let [a, b] = names.as_slice() else { return Err(format!("it is called on {} values", names.len())) };
        let b = self.emit.affine(path, b, &[], &[scale], &[0.0]);
        Ok(self.joined(path, "Add", &[a.clone(), b], first, &[]))
    }

    pub(super) fn concatenate(
        &mut self,
        path: &str,
        layer: &Concatenate,
        inputs: &[usize],
    ) -> Result<Output, String> {
        let rank = inputs
            .first()
            .and_then(|input| self.values.get(*input))
            .map_or(0, |value| value.shapes[0].len() as i64)
            + 1;
        let (names, first) = self.side_by_side(path, inputs)?;
        let axis = if layer.axis < 0 { layer.axis + rank } else { layer.axis };
        let axis = match (first, axis) {
            (true, 1) => 2,
            (true, 2) => 3,
            (true, _) => 1,
            (false, axis) => axis,
        };
        Ok(self.joined(path, "Concat", &names, first, &[("axis", Attribute::Int(axis))]))
    }

    pub(super) fn crop(&mut self, path: &str, layer: &Cropping2D, x: &mut Value) -> Output {
        let [[top, bottom], [left, right]] = layer.cropping.map(|sides| sides.map(|side| side as i64));
        let end = |side: i64| if side == 0 { i64::MAX } else { -side };
        let starts = self.emit.whole(&format!("{path}/starts"), &[top, left]);
        let ends = self.emit.whole(&format!("{path}/ends"), &[end(bottom), end(right)]);
        let axes = self.emit.whole(&format!("{path}/axes"), &[2, 3]);
        let input = self.emit.first(x, path);
        Output::First(self.emit.node(path, "Slice", &[&input, &starts, &ends, &axes], &[]))
    }
}
