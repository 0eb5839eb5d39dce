//! `Resize` and `Upsample`.

use super::constant::{Constant, Data, Extent};
use super::convert::Converter;
use super::node::Node;
use super::value::Value;
use serde_json::json;

impl Converter<'_> {
    /// An image at another size, by half-pixel centres.
    pub(super) fn resize(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.image(node, name)?;
        let of_upsample = node.op == "Upsample" || self.source.opset < 11;
        let centres = node
            .text("coordinate_transformation_mode", if of_upsample { "asymmetric" } else { "half_pixel" });
        let mode = node.text("mode", "nearest");
        let numbers = |index: usize| self.known(node, index).filter(|constant| constant.len() == 4);
        if let Some(size) = numbers(3).and_then(|sizes| fixed_size(&sizes)) {
            let interpolation = match (mode, centres, node.text("nearest_mode", "round_prefer_floor")) {
                ("linear", "half_pixel" | "pytorch_half_pixel", _) => "bilinear",
                ("nearest", "half_pixel", "round_prefer_ceil") => "nearest",
                _ => "",
            };
            let [height, width] = size;
            if !interpolation.is_empty() && node.int("antialias").unwrap_or(0) == 0 {
                let config = json!({"height": height, "width": width, "interpolation": interpolation});
                let made = self.builder.alike(name, "Resizing", config, &x)?;
                return Ok(Value { nonnegative: x.nonnegative, ..made });
            }
        }
        let (scales, sizes) = (numbers(if of_upsample { 1 } else { 2 }), numbers(3));
        let factor = |axis: usize| {
            let of_scale = scales.as_ref().and_then(|scales| scales.as_floats()?.get(axis).copied());
            let size = || sizes.as_ref().and_then(|sizes| sizes.as_known()?.get(axis).copied());
            of_scale.or_else(|| Some(size()? as f32 / x.extents(axis)[0] as f32))
        };
        let factors = [2, 3].map(|axis| {
            factor(axis).filter(|factor| *factor >= 1.0 && factor.fract() == 0.0 && *factor < 1024.0)
        });
        let [Some(down), Some(across)] = factors else {
            return Err("it resizes by other than whole factors".to_owned());
        };
        let is_nearest = mode == "nearest"
            && match centres {
                "half_pixel" | "pytorch_half_pixel" => true,
                // the same pixels, for whole factors
                "asymmetric" => {
                    node.text("nearest_mode", if of_upsample { "floor" } else { "round_prefer_floor" })
                        == "floor"
                }
                _ => false,
            };
        let is_linear = mode == "linear" && matches!(centres, "half_pixel" | "pytorch_half_pixel");
        let interpolation = match (is_nearest, is_linear) {
            (true, _) => "nearest",
            (_, true) => "bilinear",
            _ => {
                return Err(format!(
                    "it resizes by `{mode}` with `{centres}` centres, which no layer of Keras does"
                ));
            }
        };
        let config = json!({"size": [down as usize, across as usize], "interpolation": interpolation});
        let made = self.builder.alike(name, "UpSampling2D", config, &x)?;
        Ok(Value { nonnegative: x.nonnegative, ..made })
    }
}

/// Height and width of the sizes of a `Resize`, where both are known.
fn fixed_size(sizes: &Constant) -> Option<[usize; 2]> {
    match &sizes.data {
        Data::Whole(extents) => match extents.as_slice() {
            [_, _, Extent::Known(height), Extent::Known(width)] => {
                Some([usize::try_from(*height).ok()?, usize::try_from(*width).ok()?])
            }
            _ => None,
        },
        _ => None,
    }
}
