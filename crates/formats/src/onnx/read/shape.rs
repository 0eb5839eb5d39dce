//! Operators that join values, or take parts of them, or put margins around them.

use super::constant::Constant;
use super::convert::Converter;
use super::fold;
use super::node::Node;
use super::patterns;
use super::value::Value;
use serde_json::json;

/// What is put before and behind rows and columns, or taken off.
type Sides = [[usize; 2]; 2];

/// An end from here on is that of any axis.
pub(super) const TO_THE_END: i64 = i32::MAX as i64;

impl Converter<'_> {
    pub(super) fn concat(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let known: Vec<_> = (0..node.inputs.len()).map(|index| self.known(node, index)).collect();
        let is_value = |index: &usize| known.get(*index).is_some_and(Option::is_none);
        let mut values = (0..node.inputs.len())
            .filter(is_value)
            .map(|index| self.value(node, index))
            .collect::<Result<Vec<_>, _>>()?;
        let first = values.first().ok_or("it has no input")?;
        let axis =
            node.int("axis").and_then(|axis| fold::axis_of(axis, first.rank())).filter(|axis| *axis > 0);
        let axis = axis.ok_or("it joins the images of a batch, or an axis that is not there")?;
        let axes = values.iter().find(|value| value.has_channels_last()).unwrap_or(first).axes.clone();
        for value in &mut values {
            *value = value.arranged(&mut self.builder, name, &axes)?;
        }
        if let ([one], 1) = (values.as_slice(), known.len()) {
            return Ok(one.clone());
        }
        let stored = axes.get(axis).copied().unwrap_or(axis);
        let like = values.first().cloned().ok_or("it has no input")?;
        for (index, constant) in known.iter().enumerate() {
            if let Some(constant) = constant {
                values.insert(index, self.of_known(&like, name, stored, constant)?);
            }
        }
        let axis = if stored + 1 == axes.len() { json!(-1) } else { json!(stored) };
        let made = self.builder.layer(
            name,
            "Concatenate",
            json!({ "axis": axis }),
            &values.iter().collect::<Vec<_>>(),
        )?;
        let nonnegative = values.iter().all(|value| value.nonnegative);
        let pixels = values.swap_remove(0).pixels;
        Ok(Value { axes, pixels, nonnegative, ..made })
    }

    /// Zeros around an image, or its rim taken off.
    pub(super) fn padding(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        // margins that are computed from the image's size are known here, and were not when patterns were looked for
        let computed = || {
            let value = node.input(2).map_or(Some(0.0), |_| self.known(node, 2)?.uniform())?;
            (node.text("mode", "constant") == "constant").then_some((self.known(node, 1)?.as_known()?, value))
        };
        let x = self.value(node, 0)?;
        if let (mode @ ("reflect" | "edge"), Some(margins)) =
            (node.text("mode", "constant"), self.known(node, 1).and_then(|margins| margins.as_known()))
        {
            return self.padded(&x, name, &margins, mode, 0.0);
        }
        let known = patterns::pad_of(self.source, node).or_else(computed);
        let (margins, value) = known.ok_or_else(|| match node.text("mode", "constant") {
            "constant" => self.unknown(node, 1, "margins"),
            mode => format!("it pads by `{mode}`, which cannot be run"),
        })?;
        if margins.iter().all(|margin| *margin == 0) {
            return Ok(x);
        }
        let is_around =
            |margins: &[i64]| margins.len() == 8 && [0, 1, 4, 5].iter().all(|side| margins[*side] == 0);
        if value != 0.0 || x.rank() != 4 || !is_around(&margins) {
            return self.padded(&x, name, &margins, "constant", value);
        }
        let x = self.with_pixels_in_front(x, name, |axis| {
            [0, 4].iter().any(|side| margins.get(axis + side) != Some(&0))
        })?;
        let extent_at = |stored: usize, side: usize| {
            let logical = x.axes.iter().position(|axis| *axis == stored).unwrap_or(0);
            margins.get(logical + side * 4).copied().unwrap_or(0)
        };
        let sides = [1, 2].map(|stored| [extent_at(stored, 0), extent_at(stored, 1)]);
        if [0, 3].iter().any(|stored| extent_at(*stored, 0) != 0 || extent_at(*stored, 1) != 0) {
            return Err(format!("it pads {margins:?}: only zeros around an image can be run"));
        }
        let all = |sign: i64| {
            let extent =
                |margin: i64| margin.checked_mul(sign).and_then(|margin| usize::try_from(margin).ok());
            let sides = sides.map(|[before, behind]| Some([extent(before)?, extent(behind)?]));
            Some([sides[0]?, sides[1]?])
        };
        let by = |converter: &mut Self, name: &str, class: &str, setting: &str, margins: Sides, x: &Value| {
            converter.builder.alike(name, class, json!({ setting: margins }), x)
        };
        let made = match (all(1), all(-1)) {
            (Some(padding), _) => by(self, name, "ZeroPadding2D", "padding", padding, &x)?,
            (_, Some(cropping)) => by(self, name, "Cropping2D", "cropping", cropping, &x)?,
            // some sides are cropped, others padded
            _ => {
                let part = |sign: i64| sides.map(|side| side.map(|margin| (margin * sign).max(0) as usize));
                let cropped = by(self, &format!("{name}.crop"), "Cropping2D", "cropping", part(-1), &x)?;
                by(self, name, "ZeroPadding2D", "padding", part(1), &cropped)?
            }
        };
        Ok(Value { nonnegative: x.nonnegative, ..made })
    }

    /// All images, or as many as the file was made for.
    fn all_images(&self) -> i64 {
        self.source.inputs.iter().filter_map(|input| input.batch).max().unwrap_or(TO_THE_END)
    }

    /// Places of any axes, by any step.
    fn parts(&mut self, x: Value, node: &Node, name: &str, ranges: [Vec<i64>; 4]) -> Result<Value, String> {
        let [starts, ends, axes, steps] = ranges;
        let mut wanted = Vec::new();
        for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
            let axis = fold::axis_of(axis, x.rank()).ok_or("its axes are not there")?;
            if axis == 0 && (start, step) == (0, 1) && end >= self.all_images() {
                continue;
            }
            let [small, large] = x.extents(axis);
            if axis == 0 || step == 0 || (small != large && (start < 0 || (0..TO_THE_END).contains(&end))) {
                let of = if axis == 0 { "the images of a batch" } else { "an axis whose extent is open" };
                return Err(format!("it takes {start} to {end} by {step} of {of} (`{}`)", node.op));
            }
            wanted.push((axis, [start, end, step]));
        }
        self.get_item(&x, name, &wanted)
    }

    /// The rim of an image taken off, or a part of the channels, which is a rim while they are stored as rows.
    pub(super) fn slice(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let inputs: Vec<Option<std::rc::Rc<Constant>>> =
            (0..node.inputs.len()).map(|index| self.known(node, index)).collect();
        let inputs: Vec<Option<&Constant>> = inputs.iter().map(Option::as_deref).collect();
        let [starts, ends, axes, steps] =
            fold::ranges(node, &inputs).ok_or_else(|| self.unknown(node, 1, "ends"))?;
        if x.rank() != 4 || steps.iter().any(|step| *step != 1) {
            return self.parts(x, node, name, [starts, ends, axes, steps]);
        }
        // by stored axis
        let mut rims = [[0usize; 2]; 3];
        for (((start, end), axis), step) in starts.iter().zip(&ends).zip(&axes).zip(&steps) {
            let axis = fold::axis_of(*axis, x.rank()).ok_or("its axes are not there")?;
            if axis == 0 && (*start, *step) == (0, 1) && *end >= self.all_images() {
                continue;
            }
            let extents = x.extents(axis);
            let margins = margins(extents, *start, *end).filter(|_| axis > 0);
            if *step == 1 && margins == Some([0; 2]) {
                continue;
            }
            let Some(margins) = margins.filter(|_| *step == 1 && x.rank() == 4) else {
                let of = if extents[0] == extents[1] { "" } else { ", whose extent is open" };
                return Err(format!(
                    "it takes {start} to {end} by {step} of axis {axis}{of}, where a part of an image or of its channels can be taken"
                ));
            };
            let stored = x.axes.get(axis).and_then(|stored| rims.get_mut(stored.checked_sub(1)?));
            *stored.ok_or("its axes are not there")? = margins;
        }
        let [height, width, channels] = rims;
        let nonnegative = x.nonnegative;
        let crop = |converter: &mut Self, name: &str, cropping: [[usize; 2]; 2], x: &Value| {
            let made = converter.builder.alike(name, "Cropping2D", json!({ "cropping": cropping }), x)?;
            Ok::<Value, String>(Value { nonnegative, ..made })
        };
        if channels == [0; 2] {
            return match [height, width] == [[0; 2]; 2] {
                true => Ok(x),
                false => crop(self, name, [height, width], &x),
            };
        }
        let x = match [height, width] == [[0; 2]; 2] {
            true => x,
            false => crop(self, &format!("{name}.rim"), [height, width], &x)?,
        };
        // the channels in front, the others in their order; and back, so that whatever stands on it finds an image
        let moved = |stored: &usize| match stored {
            0 => 0,
            3 => 1,
            other => other + 1,
        };
        let in_front: Vec<usize> = x.axes.iter().map(moved).collect();
        let turned = x.arranged(&mut self.builder, name, &in_front)?;
        let part = crop(self, &format!("{name}.part"), [channels, [0; 2]], &turned)?;
        part.arranged_as(&mut self.builder, name, &x.axes)
    }
}

/// What a slice by 1 leaves away before and behind of an axis of these extents, small and large; `None` where nothing is left, or
/// where it differs from image to image.
fn margins([small, large]: [usize; 2], start: i64, end: i64) -> Option<[usize; 2]> {
    if small != large {
        let behind = if end < 0 { end.checked_neg()? } else { 0 };
        let fits = start >= 0 && !(0..TO_THE_END).contains(&end);
        return fits.then_some([usize::try_from(start).ok()?, usize::try_from(behind).ok()?]);
    }
    let extent = small as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(extent) } else { at }.clamp(0, extent);
    let (start, end) = (from_end(start), from_end(end));
    (start < end).then_some([start as usize, (extent - end) as usize])
}
