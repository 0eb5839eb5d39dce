//! Convolutions and dense layers.

use super::emit::{Attribute, Value};
use super::layer::{Output, Writer};
use super::window::window;
use frostline_graph::layers::{
    Conv2D, Conv2DTranspose, Convolution, Dense, DepthwiseConv2D, LayerKind, SeparableConv2D,
};
use frostline_graph::ops::{Padding, Sliding};
use frostline_graph::{Result, Tensor};

impl Writer<'_> {
    pub(super) fn conv2d(&mut self, path: &str, layer: &Conv2D, x: &mut Value) -> Result<Output, String> {
        let kernel = self.weight(path, "kernel")?;
        let input = self.emit.first(x, path);
        let kernel = self.stored(path, "kernel", &kernel, &[3, 2, 0, 1])?;
        let product = self.convolution(
            path,
            &layer.convolution,
            x,
            &input,
            &kernel,
            layer.groups,
            layer.convolution.use_bias,
        )?;
        Ok(Output::First(self.activated(path, &layer.convolution, product)?))
    }

    pub(super) fn conv2d_transpose(
        &mut self,
        path: &str,
        layer: &Conv2DTranspose,
        x: &mut Value,
    ) -> Result<Output, String> {
        let Convolution { kernel_size, sliding, use_bias, .. } = layer.convolution;
        let output = layer.output_shape(&x.shapes[..1])?;
        let (mut margins, mut more) = ([[0i64; 2]; 2], [0i64; 2]);
        for axis in 0..2 {
            // what the last pixel adds, whatever the size of the image
            let before = x.shapes[0][axis].saturating_sub(1) * sliding.strides[axis];
            let added = output[axis] as i64 - before as i64;
            let all = ((kernel_size[axis] - 1) * sliding.dilation[axis] + 1) as i64 - added;
            match all >= 0 {
                true => margins[axis] = [all / 2, all - all / 2],
                false => more[axis] = -all,
            }
        }
        let [[top, bottom], [left, right]] = margins;
        let mut attributes = window(x, kernel_size, Sliding { padding: Padding::Valid, ..sliding });
        attributes.push(("pads", Attribute::Ints(vec![top, left, bottom, right])));
        attributes.push(("output_padding", Attribute::Ints(more.to_vec())));
        let kernel = self.weight(path, "kernel")?;
        let kernel = self.stored(path, "kernel", &kernel, &[3, 2, 0, 1])?;
        let input = self.emit.first(x, path);
        let bias = use_bias.then(|| self.vector(path, "bias")).transpose()?;
        let inputs: Vec<&str> = [input.as_str(), &kernel].into_iter().chain(bias.as_deref()).collect();
        let product = self.emit.node(path, "ConvTranspose", &inputs, &attributes);
        Ok(Output::First(self.activated(path, &layer.convolution, product)?))
    }

    pub(super) fn depthwise(
        &mut self,
        path: &str,
        layer: &DepthwiseConv2D,
        x: &mut Value,
    ) -> Result<Output, String> {
        let kernel = self.weight(path, "kernel")?;
        let product = self.depthwise_product(
            path,
            "kernel",
            &layer.convolution,
            &kernel,
            x,
            layer.convolution.use_bias,
        )?;
        Ok(Output::First(self.activated(path, &layer.convolution, product)?))
    }

    pub(super) fn separable(
        &mut self,
        path: &str,
        layer: &SeparableConv2D,
        x: &mut Value,
    ) -> Result<Output, String> {
        let kernel = self.weight(path, "depthwise_kernel")?;
        let middle =
            self.depthwise_product(path, "depthwise_kernel", &layer.convolution, &kernel, x, false)?;
        let pointwise = self.weight(path, "pointwise_kernel")?;
        let mut inputs = vec![middle, self.stored(path, "pointwise_kernel", &pointwise, &[3, 2, 0, 1])?];
        if layer.convolution.use_bias {
            inputs.push(self.vector(path, "bias")?);
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let product = self.emit.node(path, "Conv", &inputs, &[("kernel_shape", Attribute::Ints(vec![1, 1]))]);
        Ok(Output::First(self.activated(path, &layer.convolution, product)?))
    }

    fn activated(&mut self, path: &str, layer: &Convolution, product: String) -> Result<String, String> {
        match layer.activation.name() {
            // over the channels, which lie behind the batch here
            "softmax" => Ok(self.emit.node(path, "Softmax", &[&product], &[("axis", Attribute::Int(1))])),
            "log_softmax" => {
                Ok(self.emit.node(path, "LogSoftmax", &[&product], &[("axis", Attribute::Int(1))]))
            }
            _ => self.emit.activation(path, &layer.activation, &product),
        }
    }

    /// Each channel is a group: `[height, width, channels, multiplier]` becomes `[channels · multiplier, 1, height, width]`.
    fn depthwise_product(
        &mut self,
        path: &str,
        variable: &str,
        layer: &Convolution,
        kernel: &Tensor,
        x: &mut Value,
        use_bias: bool,
    ) -> Result<String, String> {
        let &[height, width, channels, multiplier] = kernel.shape.as_slice() else {
            return Err(format!("its {variable} has the shape {:?}", kernel.shape));
        };
        let flat = Tensor { shape: vec![height, width, 1, channels * multiplier], data: kernel.data.clone() };
        let kernel = self.stored(path, variable, &flat, &[3, 2, 0, 1])?;
        let input = self.emit.first(x, path);
        self.convolution(path, layer, x, &input, &kernel, channels, use_bias)
    }

    fn convolution(
        &mut self,
        path: &str,
        layer: &Convolution,
        x: &Value,
        input: &str,
        kernel: &str,
        groups: usize,
        use_bias: bool,
    ) -> Result<String, String> {
        let mut attributes = window(x, layer.kernel_size, layer.sliding);
        attributes.push(("group", Attribute::Int(groups as i64)));
        let bias = use_bias.then(|| self.vector(path, "bias")).transpose()?;
        let inputs: Vec<&str> = [input, kernel].into_iter().chain(bias.as_deref()).collect();
        Ok(self.emit.node(path, "Conv", &inputs, &attributes))
    }

    pub(super) fn dense(&mut self, path: &str, layer: &Dense, x: &mut Value) -> Result<Output, String> {
        let kernel = self.weight(path, "kernel")?;
        let input = self.emit.last(x, path);
        let kernel = self.emit.floats(&format!("{path}/kernel"), &kernel.shape, &kernel.data);
        let bias = layer.use_bias.then(|| self.vector(path, "bias")).transpose()?;
        let product = match x.shapes[0].len() {
            1 => {
                let inputs: Vec<&str> =
                    [input.as_str(), &kernel].into_iter().chain(bias.as_deref()).collect();
                self.emit.node(path, "Gemm", &inputs, &[])
            }
            _ => self.emit.product(path, &input, &kernel, bias.as_deref()),
        };
        Ok(Output::Last(self.emit.activation(path, &layer.activation, &product)?))
    }
}
