//! `Conv`, `Gemm` and `MatMul`: layers with a kernel.

use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::value::Value;
use super::window::{Apart, Padding, Window, over};
use serde_json::json;

impl Converter<'_> {
    /// `Conv2D`, or `DepthwiseConv2D` where every channel is a group of its own; over one axis, `Conv1D` and `DepthwiseConv1D`.
    pub(super) fn conv(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        if self.value(node, 0)?.rank() == 5 {
            return self.conv_of_volumes(node, name);
        }
        let x = self.image_or_sequence(node, name)?;
        let kernel = self.weight(node, 1, "kernel")?;
        let axes = x.rank() - 2;
        let (filters, depth, height, width) = match (axes, kernel.dims.as_slice()) {
            (2, &[filters, depth, height, width]) => (filters, depth, height, width),
            (1, &[filters, depth, length]) => (filters, depth, 1, length),
            (_, dims) => return Err(format!("its kernel of {dims:?} does not fit {} axes", x.rank())),
        };
        let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        let channels = x.channels();
        if groups == 0
            || filters == 0
            || depth.checked_mul(groups) != Some(channels)
            || !filters.is_multiple_of(groups)
        {
            return Err(format!(
                "its kernel of {:?} in {groups} groups does not fit {channels} channels",
                kernel.dims
            ));
        }
        let is_depthwise = groups == channels && groups > 1;
        let mut window = Window::read(node, [height, width])?;
        // over one axis there is one stride
        let thinning = window.apart(is_depthwise && axes == 2);
        let (mut x, padding) = match (window.padding(&x)?, thinning) {
            (Padding::Named(padding), None) => (x, padding),
            (Padding::Explicit(margins), None) => (self.pad(&x, name, margins)?, "valid"),
            (_, Some(_)) => (self.pad(&x, name, window.margins_of(&x)?)?, "valid"),
        };
        if let Some(Apart { before, strides, dilations, .. }) = thinning {
            x = self.thin(&x, &format!("{name}.before"), before)?;
            (window.strides, window.dilations) = (strides, dilations);
        }
        let bias = node.input(2).is_some().then(|| self.weight(node, 2, "bias")).transpose()?;
        let mut config = json!({
            "kernel_size": over(axes, &[height, width]), "strides": over(axes, &window.strides),
            "padding": padding, "dilation_rate": over(axes, &window.dilations), "use_bias": bias.is_some(),
        });
        let (class, order, last) = match is_depthwise {
            true => {
                let multiplier = filters / groups;
                config["depth_multiplier"] = json!(multiplier);
                ("DepthwiseConv", [0, 1], [channels, multiplier])
            }
            false => {
                (config["filters"], config["groups"]) = (json!(filters), json!(groups));
                ("Conv", [1, 0], [depth, filters])
            }
        };
        let order: Vec<i64> = (2..2 + axes as i64).chain(order).collect();
        let shape = [over(axes, &[height, width]), &last].concat();
        let kernel = fold::transpose(&kernel, Some(&order)).ok_or("its kernel cannot be turned")?;
        let made = self.builder.layer(name, &format!("{class}{axes}D"), config, &[&x])?;
        self.builder.weight(&made, "kernel", &shape, floats(&kernel)?)?;
        if let Some(bias) = bias {
            self.builder.weight(&made, "bias", &[filters], floats(&bias)?)?;
        }
        let made = Value { axes: x.axes, ..made };
        match thinning {
            None => Ok(made),
            Some(Apart { after, .. }) => self.thin(&made, &format!("{name}.after"), after),
        }
    }

    /// Every so many rows and columns of an image, from the first.
    fn thin(&mut self, x: &Value, name: &str, steps: [usize; 2]) -> Result<Value, String> {
        if steps == [1, 1] {
            return Ok(x.clone());
        }
        let axes = x.rank() - 2;
        let config = json!({ "pool_size": over(axes, &[1, 1]), "strides": over(axes, &steps) });
        let thinned = self.builder.alike(name, &format!("MaxPooling{axes}D"), config, x)?;
        Ok(Value { nonnegative: x.nonnegative, ..thinned })
    }

    /// `Dense`.
    pub(super) fn gemm(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        if node.int("transA").unwrap_or(0) != 0 {
            return Err("it transposes its input".to_owned());
        }
        let x = self.value(node, 0)?;
        if x.rank_in_file() != 2 {
            return Err(format!("its input has {} axes where 2 are expected", x.rank_in_file()));
        }
        let x = if x.rank() == 2 { x } else { x.plain(&mut self.builder, name)? };
        let mut kernel = self.weight(node, 1, "kernel")?.as_ref().clone();
        if node.int("transB").unwrap_or(0) != 0 {
            kernel = fold::transpose(&kernel, None).ok_or("its kernel cannot be turned")?;
        }
        let scaled = |numbers: Vec<f32>, factor: f32| {
            numbers.into_iter().map(|number| number * factor).collect::<Vec<_>>()
        };
        let data = scaled(floats(&kernel)?, node.float("alpha", 1.0));
        let bias = match node.input(2) {
            None => None,
            Some(_) => {
                let bias = self.weight(node, 2, "bias")?;
                let units = kernel.dims.get(1).copied().unwrap_or(0);
                let bias = match bias.uniform() {
                    Some(number) => vec![number; units],
                    None => floats(&bias)?,
                };
                Some(scaled(bias, node.float("beta", 1.0)))
            }
        };
        self.dense(&x, name, &kernel.dims, data, bias)
    }

    /// `Dense` over the last axis.
    pub(super) fn matmul(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let kernel = self.weight(node, 1, "second factor")?;
        let (last, data) = (x.rank() - 1, floats(&kernel)?);
        match x.rank() {
            // places stay as the products want them until something wants them otherwise
            3 if x.last() != last => {
                let x = x.plain(&mut self.builder, name)?;
                self.dense(&x, name, &kernel.dims, data, None)
            }
            // a row of an image stays as it is stored
            ..=3 => self.dense(&x, name, &kernel.dims, data, None),
            _ => self.along(x, last, name, |converter, x| converter.dense(x, name, &kernel.dims, data, None)),
        }
    }

    fn dense(
        &mut self,
        x: &Value,
        name: &str,
        dims: &[usize],
        data: Vec<f32>,
        bias: Option<Vec<f32>>,
    ) -> Result<Value, String> {
        let &[rows, units] = dims else {
            return Err(format!("its kernel has the extents {dims:?} where two are expected"));
        };
        if rows != x.channels() {
            return Err(format!("its kernel of {dims:?} does not fit {} inputs", x.channels()));
        }
        // the rows of the kernel in the order in which the image is stored, so that the image need not be turned
        let (x, data) = match x.flattened.as_ref().map(|flattened| flattened.places()) {
            None => (x.clone(), data),
            Some(Some(places)) => {
                let row = |place: &usize| data.get(place * units..(place + 1) * units);
                let rows: Option<Vec<&[f32]>> = places.iter().map(row).collect();
                (
                    Value { flattened: None, ..x.clone() },
                    rows.ok_or("its kernel does not fit the image below")?.concat(),
                )
            }
            Some(None) => (x.plain(&mut self.builder, name)?, data),
        };
        let config = json!({"units": units, "use_bias": bias.is_some()});
        let made = self.builder.alike(name, "Dense", config, &x)?;
        self.builder.weight(&made, "kernel", dims, data)?;
        if let Some(bias) = bias {
            self.builder.weight(&made, "bias", &[units], bias)?;
        }
        Ok(made)
    }

    /// Zeros around an image: `[[top, bottom], [left, right]]`.
    pub(super) fn pad(&mut self, x: &Value, name: &str, margins: [[usize; 2]; 2]) -> Result<Value, String> {
        if margins == [[0; 2]; 2] {
            return Ok(x.clone());
        }
        let (name, axes) = (format!("{name}.pad"), x.rank() - 2);
        let padded = match over(axes, &margins) {
            [length] => self.builder.alike(&name, "ZeroPadding1D", json!({ "padding": length }), x)?,
            margins => self.builder.alike(&name, "ZeroPadding2D", json!({ "padding": margins }), x)?,
        };
        Ok(Value { nonnegative: x.nonnegative, ..padded })
    }
}

/// The elements of a weight.
pub(super) fn floats(constant: &super::constant::Constant) -> Result<Vec<f32>, String> {
    constant
        .as_floats()
        .map(<[f32]>::to_vec)
        .ok_or_else(|| "its weights are no floating-point numbers".to_owned())
}
