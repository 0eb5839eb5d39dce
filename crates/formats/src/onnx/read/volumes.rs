//! Convolutions and poolings over three axes: films, scans.

use super::convert::Converter;
use super::convolution::floats;
use super::fold;
use super::node::Node;
use super::value::{VOLUME, Value};
use super::window::same_margins;
use frostline_graph::Result;
use serde_json::{Value as Json, json};

/// A window over depth, height and width.
struct Window {
    size: [usize; 3],
    strides: [usize; 3],
    dilations: [usize; 3],
    /// Before and behind each axis; none where the runtime puts them as Keras's `same` does.
    margins: Option<[[usize; 2]; 3]>,
}

impl Window {
    fn read(node: &Node, size: [usize; 3]) -> Result<Self, String> {
        let triple = |name: &str| -> Result<[usize; 3], String> {
            let Some(given) = node.ints(name) else { return Ok([1; 3]) };
            let numbers: Vec<usize> = given
                .iter()
                .filter_map(|number| usize::try_from(*number).ok().filter(|number| *number > 0))
                .collect();
            numbers.try_into().map_err(|_| format!("its {name} are {given:?}"))
        };
        let margins = match (node.text("auto_pad", "NOTSET"), node.ints("pads")) {
            ("SAME_UPPER", _) => None,
            ("VALID", _) | ("NOTSET" | "", None) => Some([[0; 2]; 3]),
            ("NOTSET" | "", Some(pads)) => {
                let side = |index: usize| {
                    let pad = pads.get(index).and_then(|pad| usize::try_from(*pad).ok());
                    pad.filter(|pad| *pad < 1 << 16).ok_or_else(|| format!("its pads are {pads:?}"))
                };
                let axis = |axis: usize| Ok::<_, String>([side(axis)?, side(axis + 3)?]);
                Some([axis(0)?, axis(1)?, axis(2)?])
            }
            (other, _) => return Err(format!("its auto_pad is `{other}`")),
        };
        if size.contains(&0) {
            return Err("its window is empty".to_owned());
        }
        Ok(Self { size, strides: triple("strides")?, dilations: triple("dilations")?, margins })
    }

    fn reach(&self, axis: usize) -> usize {
        (self.size[axis] - 1).saturating_mul(self.dilations[axis]).saturating_add(1)
    }

    /// Keras's word for the margins; none where they are a layer of their own.
    fn padding(&self, x: &Value) -> Option<&'static str> {
        let Some(margins) = self.margins else { return Some("same") };
        let is_same = |axis: usize| {
            x.extents(axis + 2)
                .iter()
                .all(|extent| same_margins(*extent, self.reach(axis), self.strides[axis]) == margins[axis])
        };
        match margins {
            [[0, 0], [0, 0], [0, 0]] => Some("valid"),
            _ if (0..3).all(is_same) => Some("same"),
            _ => None,
        }
    }
}

impl Converter<'_> {
    fn volume(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        self.value(node, 0)?.arranged(&mut self.builder, name, &VOLUME)
    }

    fn padded_volume(&mut self, x: &Value, name: &str, margins: [[usize; 2]; 3]) -> Result<Value, String> {
        let config = json!({ "padding": margins });
        let padded = self.builder.alike(&format!("{name}.pad"), "ZeroPadding3D", config, x)?;
        Ok(Value { nonnegative: x.nonnegative, ..padded })
    }

    /// The value with the window's margins around it, and the padding that is left to do.
    fn with_margins(
        &mut self,
        x: Value,
        name: &str,
        window: &Window,
    ) -> Result<(Value, &'static str), String> {
        match (window.padding(&x), window.margins) {
            (None, Some(margins)) => Ok((self.padded_volume(&x, name, margins)?, "valid")),
            (padding, _) => Ok((x, padding.unwrap_or("same"))),
        }
    }

    /// `Conv3D`.
    pub(super) fn conv_of_volumes(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.volume(node, name)?;
        let kernel = self.weight(node, 1, "kernel")?;
        let &[filters, channels, depth, height, width] = kernel.dims.as_slice() else {
            return Err(format!("its kernel of {:?} does not fit {} axes", kernel.dims, x.rank()));
        };
        let groups = usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(0);
        if groups == 0 || channels.checked_mul(groups) != Some(x.channels()) {
            return Err(format!(
                "its kernel of {:?} in {groups} groups does not fit {} channels",
                kernel.dims,
                x.channels()
            ));
        }
        let window = Window::read(node, [depth, height, width])?;
        if window.strides != [1; 3] && window.dilations != [1; 3] {
            return Err("it has strides and dilations, which no convolution of Keras has at once".to_owned());
        }
        let (x, padding) = self.with_margins(x, name, &window)?;
        let bias = node.input(2).is_some().then(|| self.weight(node, 2, "bias")).transpose()?;
        let config = json!({
            "filters": filters, "groups": groups, "kernel_size": window.size, "strides": window.strides,
            "padding": padding, "dilation_rate": window.dilations, "use_bias": bias.is_some(),
        });
        let made = self.builder.layer(name, "Conv3D", config, &[&x])?;
        let shape = [depth, height, width, channels, filters];
        let kernel = fold::transpose(&kernel, Some(&[2, 3, 4, 1, 0])).ok_or("its kernel cannot be turned")?;
        self.builder.weight(&made, "kernel", &shape, floats(&kernel)?)?;
        if let Some(bias) = bias {
            self.builder.weight(&made, "bias", &[filters], floats(&bias)?)?;
        }
        Ok(Value { axes: x.axes, ..made })
    }

    /// `MaxPooling3D`, `AveragePooling3D`.
    pub(super) fn pool_of_volumes(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.volume(node, name)?;
        let size: Option<Vec<usize>> = node
            .ints("kernel_shape")
            .and_then(|size| size.iter().map(|extent| usize::try_from(*extent).ok()).collect());
        let size = size.and_then(|size| <[usize; 3]>::try_from(size).ok()).ok_or_else(|| {
            format!("its window is {:?}, where its input has 5 axes", node.ints("kernel_shape"))
        })?;
        let window = Window::read(node, size)?;
        let left = |axis: usize, extent: usize| {
            let margins = window.margins.map_or(0, |margins| margins[axis].iter().sum());
            (extent + margins).saturating_sub(size[axis]) % window.strides[axis]
        };
        let is_even = (0..3).all(|axis| x.extents(axis + 2).iter().all(|extent| left(axis, *extent) == 0));
        if window.dilations != [1; 3] || (node.int("ceil_mode").unwrap_or(0) != 0 && !is_even) {
            return Err("its window is dilated, or counts a last one that its input does not fill".to_owned());
        }
        let is_max = node.op == "MaxPool";
        let counts = !is_max && node.int("count_include_pad").unwrap_or(0) != 0;
        let named = window.padding(&x).filter(|padding| !counts || *padding == "valid");
        // zeros are as good as nothing to a maximum of what is not below 0
        let may_pad = if is_max { x.nonnegative } else { counts && window.margins.is_some() };
        let (x, padding) = match (named, window.margins) {
            (Some(padding), _) => (x, padding),
            (None, Some(margins)) if may_pad => (self.padded_volume(&x, name, margins)?, "valid"),
            _ => return Err(format!("its padding {:?} is none that a pooling of Keras has", window.margins)),
        };
        let class = if is_max { "MaxPooling3D" } else { "AveragePooling3D" };
        let config: Json = json!({"pool_size": size, "strides": window.strides, "padding": padding});
        let made = self.builder.alike(name, class, config, &x)?;
        Ok(Value { nonnegative: x.nonnegative, ..made })
    }
}
