//! Normalisations.

use super::emit::{Attribute, Value};
use super::layer::{Output, Writer};
use frostline_graph::Result;
use frostline_graph::layers::{BatchNormalization, GroupNormalization, LayerNormalization, Normalization};
use serde_json::Value as Json;

impl Writer<'_> {
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
        let (scale, offset) =
            frostline_graph::ops::Normalize { invert: layer.invert }.affine(&mean, &variance);
        self.scaled(path, inputs, &scale, &offset)
    }

    /// Of an image, or of a vector.
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
        let is_first = x.is_image();
        let input = if is_first { self.emit.first(x, path) } else { self.emit.last(x, path) };
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
}
