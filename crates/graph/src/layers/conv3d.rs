//! `Conv3D`: `y = activation(x ∗ kernel + bias)` over `[depth, height, width, channels]`. Kernels are `[depth, height, width, in, out]`.
//! Keras: `keras.layers.Conv3D`.

use super::convolution::output_extents;
use super::three_dimensional::apart;
use super::{Config, Conv2D, LayerKind, MaskRule, WeightSpec};
use crate::ops::{self, Lowering, Role, Sliding, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value};

/// Attributes as Keras names them, of which those over three axes are taken apart.
#[derive(Clone, Debug)]
pub struct Conv3D {
    /// Verbatim.
    config: Map<String, Value>,
    /// The kernel's extent along the depth, and how it slides there.
    pub depth: (usize, Sliding),
    /// The convolution over height and width; filters, groups, bias and activation are those of the whole.
    pub plane: Box<Conv2D>,
}

impl Conv3D {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let own = config.take_all();
        let [depth, plane] = apart(&own).ok_or_else(|| {
            config.error("a setting has more or fewer numbers than axes\nhelp: the file may be damaged")
        })?;
        let depth = Conv2D::from_config(&config.of(&depth.0))?.convolution;
        let plane = Box::new(Conv2D::from_config(&config.of(&plane.0))?);
        Ok(Self { config: own, depth: (depth.kernel_size[0], depth.sliding), plane })
    }

    /// `[depth, height, width, in, out]`
    fn kernel_shape(&self, inputs: &[Shape]) -> Result<[usize; 5], String> {
        let &[_, _, _, channels] = super::one_of(inputs)?.as_slice() else {
            return Err(format!(
                "expected a volume [depth, height, width, channels], received {:?}",
                inputs[0]
            ));
        };
        let groups = self.plane.groups;
        if !channels.is_multiple_of(groups) {
            return Err(format!("{channels} channels do not divide into {groups} groups"));
        }
        let [height, width] = self.plane.convolution.kernel_size;
        Ok([self.depth.0, height, width, channels / groups, self.plane.filters])
    }
}

impl Conv2D {
    /// The layer on each slice of a volume `[slices, height, width, channels]`.
    pub(super) fn lower_on_slices(&self, lowering: &mut Lowering<'_>, input: ValueId) -> Result<ValueId> {
        let kernel = self.kernel_shape(&lowering.shape(input)[1..].to_vec()).map_err(Error::surgery)?;
        let [height, width, channels, filters] = kernel;
        self.lower_as(lowering, input, Sliding::default(), [1, height, width, channels, filters])
    }

    /// A convolution over volumes whose plane this is.
    fn lower_as(
        &self,
        lowering: &mut Lowering<'_>,
        input: ValueId,
        depth: Sliding,
        kernel: [usize; 5],
    ) -> Result<ValueId> {
        let kernel = lowering.weight("kernel", &kernel, Role::Trainable);
        let convolution = &self.convolution;
        let params: Vec<_> =
            [kernel].into_iter().chain(convolution.bias_param(lowering, self.filters)).collect();
        let (plane, groups, bias) = (convolution.sliding, self.groups, convolution.use_bias);
        let product = lowering.push(ops::Conv3d { depth, plane, groups, bias }, &[input], &params)?;
        convolution.activation.lower(lowering, product)
    }
}

impl LayerKind for Conv3D {
    fn class_name(&self) -> &'static str {
        "Conv3D"
    }

    fn config(&self) -> Map<String, Value> {
        self.config.clone()
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let kernel = self.kernel_shape(inputs)?;
        let kernel = WeightSpec::trainable("kernel", &kernel, self.plane.kernel_initializer.clone());
        Ok([kernel].into_iter().chain(self.plane.convolution.bias_spec(self.plane.filters)).collect())
    }

    fn on_mask(&self) -> MaskRule {
        MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.kernel_shape(inputs)?;
        let (size, sliding) = self.depth;
        let [depth, _] = output_extents(&[inputs[0][0], 1, 1], [size, 1], sliding)?;
        let [height, width] = self.plane.convolution.extents(&inputs[0][1..])?;
        Ok(vec![depth, height, width, self.plane.filters])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let kernel = self.kernel_shape(&[lowering.shape(inputs[0]).clone()]).map_err(Error::surgery)?;
        self.plane.lower_as(lowering, inputs[0], self.depth.1, kernel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;
    use serde_json::json;

    #[test]
    fn shapes_and_weights_are_those_of_keras() {
        let config = json!({"filters": 8, "kernel_size": [3, 3, 2], "strides": [1, 2, 2], "padding": "same"});
        let kind = read("Conv3D", config.clone()).expect("valid");
        assert_eq!(kind.output_shape(&[vec![6, 9, 7, 4]]), Ok(vec![6, 5, 4, 8]));
        let shapes: Vec<Shape> = kind
            .weights(&[vec![6, 9, 7, 4]])
            .expect("known")
            .into_iter()
            .map(|weight| weight.shape)
            .collect();
        assert_eq!(shapes, [vec![3, 3, 2, 4, 8], vec![8]]);
        assert_eq!(Value::Object(kind.config()), config);
        let valid = read("Conv3D", json!({"filters": 4, "kernel_size": 3, "groups": 2})).expect("valid");
        assert_eq!(valid.output_shape(&[vec![6, 9, 7, 4]]), Ok(vec![4, 7, 5, 4]));
    }

    #[test]
    fn what_cannot_be_run_is_refused() {
        assert!(read("Conv3D", json!({"filters": 8, "kernel_size": [3, 3]})).is_err());
        assert!(
            read("Conv3D", json!({"filters": 8, "kernel_size": 3, "data_format": "channels_first"})).is_err()
        );
        assert!(read("Conv3D", json!({"filters": 8, "kernel_size": [0, 3, 3]})).is_err());
        let kind = read("Conv3D", json!({"filters": 8, "kernel_size": 3, "groups": 2})).expect("valid");
        assert!(kind.output_shape(&[vec![6, 9, 7, 3]]).is_err(), "groups");
        assert!(kind.output_shape(&[vec![2, 9, 7, 4]]).is_err(), "deeper than the volume");
        assert!(kind.output_shape(&[vec![9, 7, 4]]).is_err(), "an image");
    }
}
