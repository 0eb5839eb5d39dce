//! `Conv2DTranspose`: each pixel spread over a window of a larger image. Kernels are `[height, width, filters, channels]`.
//! Keras: `keras.layers.Conv2DTranspose`; `Deconvolution2D` in Keras 1.

use super::convolution::Convolution;
use super::{Config, Initializer, LayerKind, WeightSpec};
use crate::ops::{ConvTranspose2d, Lowering, Padding, Role, Sliding, ValueId};
use crate::{Error, Result, Shape};
use serde_json::{Map, Value, json};

/// Attributes as Keras names them.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2DTranspose {
    /// The channels of the output.
    pub filters: usize,
    /// Rows and columns beyond the smallest output, where the file says so.
    pub output_padding: Option<[usize; 2]>,
    /// How the kernel begins.
    pub kernel_initializer: Initializer,
    /// Geometry, bias, activation.
    pub convolution: Convolution,
}

impl Conv2DTranspose {
    /// Reads the attributes.
    pub fn from_config(config: &Config<'_>) -> Result<Self> {
        let filters = config.usize("filters")?;
        if filters == 0 {
            return Err(config.error("`filters` is 0\nhelp: expected a number above 0"));
        }
        let convolution = Convolution::from_config(config)?;
        let output_padding = config.pair("output_padding")?;
        let is_too_large =
            |pair: [usize; 2]| [0, 1].iter().any(|axis| pair[*axis] >= convolution.sliding.strides[*axis]);
        if output_padding.is_some_and(is_too_large) {
            return Err(config.error("`output_padding` is not below `strides`"));
        }
        let kernel_initializer =
            Initializer::read(config, "kernel_initializer", Initializer::GLOROT_UNIFORM)?;
        Ok(Self { filters, output_padding, kernel_initializer, convolution })
    }

    /// Height and width of the output.
    fn size(&self, input: &[usize]) -> [usize; 2] {
        let Convolution { kernel_size, sliding: Sliding { strides, dilation, padding }, .. } =
            self.convolution;
        [0, 1].map(|axis| {
            let (extent, stride) = (input[axis], strides[axis]);
            let kernel = (kernel_size[axis] - 1) * dilation[axis] + 1;
            match (padding, self.output_padding.map(|pair| pair[axis])) {
                (Padding::Same, None) => extent * stride,
                (Padding::Same, Some(more)) => (extent - 1) * stride + kernel % 2 + more,
                (_, None) => (extent - 1) * stride + kernel.max(stride),
                (_, Some(more)) => (extent - 1) * stride + kernel + more,
            }
        })
    }

    fn op(&self, input: &Shape) -> Result<(ConvTranspose2d, [usize; 4]), String> {
        let &[height, width, channels] = input.as_slice() else {
            return Err(format!("expected an image [height, width, channels], received {input:?}"));
        };
        if height == 0 || width == 0 {
            return Err("the image is empty".to_owned());
        }
        let Convolution { kernel_size: [rows, columns], sliding, use_bias, .. } = self.convolution;
        let size = self.size(&[height, width]);
        let op = ConvTranspose2d { size, sliding, bias: use_bias };
        Ok((op, [rows, columns, self.filters, channels]))
    }
}

impl LayerKind for Conv2DTranspose {
    fn class_name(&self) -> &'static str {
        "Conv2DTranspose"
    }

    fn config(&self) -> Map<String, Value> {
        let mut config = self.convolution.config();
        config.insert("filters".to_owned(), json!(self.filters));
        config.insert("output_padding".to_owned(), json!(self.output_padding));
        config.insert("kernel_initializer".to_owned(), self.kernel_initializer.to_config());
        config
    }

    fn weights(&self, inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        let (_, kernel) = self.op(super::one_of(inputs)?)?;
        let kernel = WeightSpec::trainable("kernel", &kernel, self.kernel_initializer.clone());
        Ok([kernel].into_iter().chain(self.convolution.bias_spec(self.filters)).collect())
    }

    fn on_mask(&self) -> super::MaskRule {
        super::MaskRule::Dropped
    }

    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (op, kernel) = self.op(super::one_of(inputs)?)?;
        crate::ops::OpKind::output_shape(&op, inputs, &[kernel.to_vec()])
    }

    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId> {
        let (op, kernel) = self.op(lowering.shape(inputs[0])).map_err(Error::surgery)?;
        let kernel = lowering.weight("kernel", &kernel, Role::Trainable);
        let params: Vec<_> =
            [kernel].into_iter().chain(self.convolution.bias_param(lowering, self.filters)).collect();
        let spread = lowering.push(op, inputs, &params)?;
        self.convolution.activation.lower(lowering, spread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::read;

    #[test]
    fn output_shapes_are_those_of_keras() {
        let shape = |padding: &str, kernel: usize, more: Value| {
            let config = json!({"filters": 8, "kernel_size": kernel, "strides": 2, "padding": padding, "output_padding": more});
            read("Conv2DTranspose", config).expect("valid").output_shape(&[vec![5, 4, 3]])
        };
        assert_eq!(shape("same", 3, Value::Null), Ok(vec![10, 8, 8]));
        assert_eq!(shape("valid", 3, Value::Null), Ok(vec![11, 9, 8]));
        assert_eq!(shape("valid", 1, Value::Null), Ok(vec![10, 8, 8]));
        assert_eq!(shape("same", 3, json!(1)), Ok(vec![10, 8, 8]));
        assert_eq!(shape("same", 3, json!(0)), Ok(vec![9, 7, 8]));
        let config = json!({"filters": 8, "kernel_size": 3, "output_padding": 1});
        assert!(read("Conv2DTranspose", config).is_err());
    }
}
