//! `ConvTranspose`.

use super::convert::Converter;
use super::convolution::floats;
use super::fold;
use super::node::Node;
use super::value::{IMAGE, Value};
use super::window::Window;
use serde_json::json;

impl Converter<'_> {
    /// `Conv2DTranspose`: `same` or `valid` where Keras's output is just that, else the whole of it with the rim cropped off that
    /// the padding takes away.
    pub(super) fn conv_transpose(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.image(node, name)?;
        let kernel = self.weight(node, 1, "kernel")?;
        let &[channels, filters, height, width] = kernel.dims.as_slice() else {
            return Err(format!(
                "its kernel has the extents {:?}: only images of two dimensions can be run",
                kernel.dims
            ));
        };
        if node.int("group").unwrap_or(1) != 1 {
            return Err("its channels are in groups, which no transposed convolution of Keras has".to_owned());
        }
        if channels != x.channels() || filters == 0 {
            return Err(format!("its kernel of {:?} does not fit {} channels", kernel.dims, x.channels()));
        }
        let is_explicit = ["NOTSET", "VALID", ""].contains(&node.text("auto_pad", "NOTSET"));
        if !is_explicit || node.ints("output_shape").is_some() {
            return Err("its padding follows from its output's size: export it with explicit pads".to_owned());
        }
        let window = Window::read(node, [height, width])?;
        let more = match node.ints("output_padding") {
            None => [0; 2],
            Some(&[down, across]) => [down, across].map(|more| usize::try_from(more).unwrap_or(usize::MAX)),
            Some(other) => return Err(format!("its output_padding is {other:?}")),
        };
        let reach = [0, 1].map(|axis| (window.size[axis].max(1) - 1) * window.dilations[axis] + 1);
        let strides = window.strides;
        // of an axis: what is taken off before and behind, and what is added behind
        let wanted = [0, 1].map(|axis| (window.margins[axis], more[axis]));
        let of_same = [0, 1].map(|axis| {
            let all = reach[axis].saturating_sub(strides[axis]);
            ([all / 2, all - all / 2], strides[axis].saturating_sub(reach[axis]))
        });
        let padding = if wanted == of_same { "same" } else { "valid" };
        // `valid` gives every step its stride, where the kernel is shorter too
        let mut rim = [[0usize; 2]; 2];
        for (axis, ([before, behind], more)) in wanted.into_iter().enumerate() {
            let left =
                (reach[axis].max(strides[axis]) + behind).checked_sub(reach[axis].saturating_add(more));
            let behind = left.ok_or("it adds more behind the image than its kernel reaches")?;
            rim[axis] = [before, behind];
        }
        let bias = node.input(2).is_some().then(|| self.weight(node, 2, "bias")).transpose()?;
        let config = json!({
            "filters": filters, "kernel_size": [height, width], "strides": strides, "padding": padding,
            "dilation_rate": window.dilations, "use_bias": bias.is_some(),
        });
        let is_cropped = padding == "valid" && rim != [[0; 2]; 2];
        let own = if is_cropped { format!("{name}.whole") } else { name.to_owned() };
        let kernel = fold::transpose(&kernel, Some(&[2, 3, 1, 0])).ok_or("its kernel cannot be turned")?;
        let made = self.builder.layer(&own, "Conv2DTranspose", config, &[&x])?;
        self.builder.weight(&made, "kernel", &[height, width, filters, channels], floats(&kernel)?)?;
        if let Some(bias) = bias {
            self.builder.weight(&made, "bias", &[filters], floats(&bias)?)?;
        }
        let made = Value { axes: IMAGE.to_vec(), ..made };
        match is_cropped {
            true => self.builder.alike(name, "Cropping2D", json!({ "cropping": rim }), &made),
            false => Ok(made),
        }
    }
}
