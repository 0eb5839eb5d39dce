//! `BatchNormalization`, `LayerNormalization`, `GroupNormalization`.

use super::constant::Constant;
use super::convert::Converter;
use super::convolution::floats;
use super::fold;
use super::node::Node;
use super::value::Value;
use serde_json::json;

impl Converter<'_> {
    pub(super) fn batch_normalization(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        if node.int("training_mode").unwrap_or(0) != 0 {
            return Err("it is in training mode: export the model with `model.eval()`".to_owned());
        }
        let x = self.value(node, 0)?;
        let axis = x.view.axis(1).filter(|axis| *axis < x.rank()).ok_or("its input has no channels")?;
        let config = json!({"epsilon": node.float("epsilon", 1e-5), "momentum": node.float("momentum", 0.9)});
        let normalised = |converter: &mut Self, x: &Value| {
            let made = converter.builder.alike(name, "BatchNormalization", config, x)?;
            for (index, variable) in [(1, "gamma"), (2, "beta"), (3, "moving_mean"), (4, "moving_variance")] {
                let weight = floats(converter.weight(node, index, variable)?.as_ref())?;
                converter.builder.weight(&made, variable, &[x.channels()], weight)?;
            }
            Ok(made)
        };
        let made = match x.rank() {
            4 if x.view.is_plain() => {
                let x = self.image(node, name)?;
                normalised(self, &x)?
            }
            _ => self.along(x, axis, name, normalised)?,
        };
        self.has_batch_normalization = true;
        Ok(made)
    }

    pub(super) fn layer_normalization(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let axis = fold::axis_of(node.int("axis").unwrap_or(-1), x.rank())
            .ok_or("its axis is none of its input's")?;
        // the operator normalises its axis and all behind it; what a pattern was made of, its axis alone
        let alone = node.int("one_axis").is_some() || axis + 1 == x.rank();
        if !alone {
            return Err("it normalises several axes together, of which only the last can be run".to_owned());
        }
        let (gamma, beta) = (node.input(1).is_some(), node.input(2).is_some());
        let config =
            json!({"axis": -1, "epsilon": node.float("epsilon", 1e-5), "scale": gamma, "center": beta});
        self.along(x, axis, name, |converter, x| {
            let made = converter.builder.alike(name, "LayerNormalization", config, x)?;
            for (index, variable) in [(1, "gamma"), (2, "beta")] {
                if node.input(index).is_some() {
                    let weight =
                        along_channels(converter.weight(node, index, variable)?.as_ref(), x.channels())?;
                    converter.builder.weight(&made, variable, &[x.channels()], weight)?;
                }
            }
            Ok(made)
        })
    }

    /// Of opset 21, where scale and bias are one number a channel.
    pub(super) fn group_normalization(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        // a node of the file, not one that was put together
        if node.int("whole").is_none() && self.source.opset < 21 {
            return Err("it is of an opset below 21, in which its scale is one number a group".to_owned());
        }
        let x = self.image_or_sequence(node, name)?;
        let (gamma, beta) = (node.input(1).is_some(), node.input(2).is_some());
        let groups = node.int("num_groups").unwrap_or(1);
        let config =
            json!({"groups": groups, "epsilon": node.float("epsilon", 1e-5), "scale": gamma, "center": beta});
        let made = self.builder.alike(name, "GroupNormalization", config, &x)?;
        for (index, variable) in
            [(1, "gamma"), (2, "beta")].into_iter().filter(|(index, _)| node.input(*index).is_some())
        {
            let weight = along_channels(self.weight(node, index, variable)?.as_ref(), x.channels())?;
            self.builder.weight(&made, variable, &[x.channels()], weight)?;
        }
        Ok(made)
    }

    /// `PReLU`: one slope for each channel, or for each place of some axes.
    pub(super) fn prelu(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let slope = self.weight(node, 1, "slope")?;
        // beside an image the slope is `[channels, 1, 1]`, which a list of numbers a channel stands for as well
        let slope = match x.rank() == 4 && slope.dims.len() == 1 && slope.dims.first() == Some(&x.channels())
        {
            true => Constant { dims: vec![slope.dims[0], 1, 1], data: slope.data.clone() },
            false => slope.as_ref().clone(),
        };
        let rank = x.rank() - 1;
        let (shape, numbers) = match slope.uniform() {
            Some(number) => {
                let mut shape = vec![1; rank];
                shape.splice(rank.saturating_sub(1).., [x.channels()]);
                (shape, vec![number; x.channels()])
            }
            None => x.beside(&slope).ok_or("its slopes do not fit its input")?,
        };
        let fits = |shape: &Vec<usize>| {
            shape
                .iter()
                .zip(&x.shapes[0])
                .zip(&x.shapes[1])
                .all(|((slopes, small), large)| *slopes == 1 || *slopes == *small && small == large)
        };
        if shape.len() != rank || !fits(&shape) {
            return Err(format!("its slopes of {:?} do not fit its input", slope.dims));
        }
        let is_shared =
            |axis: &usize| shape.get(axis - 1) == Some(&1) && x.shapes[0].get(axis - 1) != Some(&1);
        let shared: Vec<usize> = (1..=rank).filter(is_shared).collect();
        let made = self.builder.alike(name, "PReLU", json!({"shared_axes": shared}), &x)?;
        self.builder.weight(&made, "alpha", &shape, numbers)?;
        Ok(made)
    }
}

/// One number a channel, in whatever shape.
fn along_channels(weight: &Constant, channels: usize) -> Result<Vec<f32>, String> {
    match weight.uniform() {
        Some(number) => Ok(vec![number; channels]),
        None if weight.len() == channels => floats(weight),
        None => Err(format!("its weights of {:?} do not fit {channels} channels", weight.dims)),
    }
}
