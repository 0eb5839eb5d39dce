//! `MaxPool`, `AveragePool`, the global ones, and means over the whole image.

use super::constant::Constant;
use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::value::{Value, plain};
use super::window::{Padding, Window, over, pixels_along};
use serde_json::json;

impl Converter<'_> {
    pub(super) fn pool(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        if self.value(node, 0)?.rank() == 5 {
            return self.pool_of_volumes(node, name);
        }
        let x = self.image_or_sequence(node, name)?;
        let size = match node.ints("kernel_shape") {
            Some(&[height, width]) if x.rank() == 4 => [height, width],
            Some(&[length]) if x.rank() == 3 => [1, length],
            other => {
                return Err(format!("its window is {other:?}, where its input has {} axes", x.rank()));
            }
        };
        let (size, axes) = (size.map(|extent| usize::try_from(extent).unwrap_or(0)), x.rank() - 2);
        let window = Window::read(node, size)?;
        if window.dilations != [1, 1] || size.contains(&0) {
            return Err("its window is dilated or empty, which no pooling of Keras is".to_owned());
        }
        let config = |padding: &str| json!({"pool_size": over(axes, &size), "strides": over(axes, &window.strides), "padding": padding});
        let is_max = node.op == "MaxPool";
        let is_auto = !["NOTSET", "VALID", ""].contains(&node.text("auto_pad", "NOTSET"));
        if is_auto && node.int("count_include_pad").unwrap_or(0) != 0 {
            return Err(
                "its average counts a padding that the runtime chooses: export it with explicit pads"
                    .to_owned(),
            );
        }
        let class = format!("{}Pooling{axes}D", if is_max { "Max" } else { "Average" });
        let counts_padding =
            !is_max && node.int("count_include_pad").unwrap_or(0) != 0 && window.margins != [[0; 2]; 2];
        let made = match window.padding(&x)? {
            // padding never counts in Keras
            Padding::Named(padding) if !counts_padding || padding == "valid" => {
                self.builder.alike(name, &class, config(padding), &x)?
            }
            Padding::Explicit(margins) if is_max && x.nonnegative => {
                let padded = self.pad(&x, name, margins)?;
                self.builder.alike(name, &class, config("valid"), &padded)?
            }
            Padding::Explicit(margins) if is_max => self.max_of_all(&x, name, &window, margins)?,
            _ if counts_padding && !window.ceil => {
                let padded = self.pad(&x, name, window.margins)?;
                self.builder.alike(name, &class, config("valid"), &padded)?
            }
            // an average over the padding too, times how many more pixels those windows have
            Padding::Explicit(margins) if !counts_padding && axes == 2 && x.shapes[0] == x.shapes[1] => {
                let padded = self.pad(&x, name, margins)?;
                let made = self.builder.alike(&format!("{name}.all"), &class, config("valid"), &padded)?;
                let shares = uncounted(&window, margins, [0, 1].map(|axis| pixels_along(&x, axis)[0]));
                let dims = [1, 2, 3].map(|axis| if axis == 1 { 1 } else { made.extents(axis)[0] });
                let shares = Constant::floats(&dims, shares);
                let neutral = Constant::floats(&[], vec![0.0]);
                self.affine_by_arrays(&made, name, &shares, &neutral)?
            }
            _ => {
                return Err(format!(
                    "its padding {:?} is none that an average of Keras has: export the model with an image size of which it comes out even",
                    window.margins
                ));
            }
        };
        Ok(Value { nonnegative: x.nonnegative, ..made })
    }

    /// A maximum whose input may be below 0, so that padding with zeros would change it: the maximum around every pixel, whose
    /// padding never counts, and then every second of them.
    fn max_of_all(
        &mut self,
        x: &Value,
        name: &str,
        window: &Window,
        margins: [[usize; 2]; 2],
    ) -> Result<Value, String> {
        let is_centred = |axis: usize| {
            let half = window.size[axis] / 2;
            // what is missing behind does no harm: the last window then ends where the image does
            window.size[axis] % 2 == 1 && margins[axis][0] == half && margins[axis][1] >= half
        };
        let more = |axis: usize| margins[axis][1].saturating_sub(window.size[axis] / 2);
        let fits = |axis: usize| {
            let count = |extent: usize, behind: usize| {
                (extent + margins[axis][0] + behind).saturating_sub(window.size[axis]) / window.strides[axis]
            };
            pixels_along(x, axis).iter().all(|extent| {
                more(axis) == 0 || count(*extent, margins[axis][1]) == count(*extent, window.size[axis] / 2)
            })
        };
        if !(0..2).all(|axis| is_centred(axis) && fits(axis)) {
            return Err(format!(
                "its padding {margins:?} around values that may be below 0 is none that a maximum of Keras has"
            ));
        }
        let axes = x.rank() - 2;
        let class = format!("MaxPooling{axes}D");
        let around = json!({"pool_size": over(axes, &window.size), "strides": 1, "padding": "same"});
        let around = self.builder.alike(name, &class, around, x)?;
        if window.strides == [1, 1] {
            return Ok(around);
        }
        let picked = json!({"pool_size": 1, "strides": over(axes, &window.strides), "padding": "valid"});
        self.builder.alike(&format!("{name}.stride"), &class, picked, &around)
    }

    pub(super) fn global_pool(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.image_or_sequence(node, name)?;
        let kind = if node.op == "GlobalMaxPool" { "Max" } else { "Average" };
        let class = format!("Global{kind}Pooling{}D", x.rank() - 2);
        let made = self.builder.layer(name, &class, json!({"keepdims": true}), &[&x])?;
        Ok(Value { axes: x.axes, nonnegative: x.nonnegative, ..made })
    }

    /// A mean or maximum over all pixels.
    pub(super) fn reduce(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let axes = fold::axes(node, self.known(node, 1).as_deref()).ok_or("its axes are not known")?;
        let mut axes: Vec<usize> = axes.iter().filter_map(|axis| fold::axis_of(*axis, x.rank())).collect();
        axes.sort_unstable();
        let x = self.with_pixels_in_front(x, name, |axis| axes.contains(&axis))?;
        let stored: Vec<usize> = axes.iter().filter_map(|axis| x.axes.get(*axis).copied()).collect();
        let mut sorted = stored.clone();
        sorted.sort_unstable();
        if x.rank() != 4 || sorted != [1, 2] {
            return self.reduction(node, name);
        }
        let keep = node.int("keepdims").unwrap_or(1) != 0;
        let class = if node.op == "ReduceMax" { "GlobalMaxPooling2D" } else { "GlobalAveragePooling2D" };
        let made = self.builder.layer(name, class, json!({"keepdims": keep}), &[&x])?;
        let axes = if keep { x.axes.clone() } else { plain(2) };
        Ok(Value { axes, nonnegative: x.nonnegative, ..made })
    }
}

/// For each window how many pixels it has, padding included, for each of the image's: `[rows, columns]`.
fn uncounted(window: &Window, margins: [[usize; 2]; 2], image: [usize; 2]) -> Vec<f32> {
    let along = |axis: usize| {
        let ([before, behind], size, extent) = (margins[axis], window.size[axis], image[axis]);
        let count = (extent + before + behind).saturating_sub(size) / window.strides[axis] + 1;
        (0..count).map(move |at| {
            let begin = at * window.strides[axis];
            let inside = (begin + size).min(before + extent).saturating_sub(begin.max(before));
            size as f32 / inside.max(1) as f32
        })
    };
    along(0).flat_map(|row| along(1).map(move |column| row * column)).collect()
}
