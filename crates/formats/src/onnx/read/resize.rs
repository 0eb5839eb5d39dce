//! `Resize` and `Upsample`.

use super::constant::{Data, Extent};
use super::convert::Converter;
use super::node::Node;
use super::sampling::{Resized, Sampling};
use super::value::Value;
use serde_json::json;

/// Extents of an axis that is open for which an upsampling is looked at besides those that stand in for it.
const OTHER_EXTENTS: [usize; 6] = [1, 2, 3, 7, 12, 33];

/// What a node wants of one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wanted {
    Scale(f32),
    Size(usize),
}

impl Wanted {
    fn of(self, from: usize) -> Resized {
        match self {
            Self::Scale(scale) => Resized { from, to: (from as f32 * scale) as usize, scale },
            Self::Size(to) => Resized { from, to, scale: to as f32 / from.max(1) as f32 },
        }
    }
}

impl Converter<'_> {
    /// An image at another size, where one of Keras's layers takes its pixels from the same places.
    pub(super) fn resize(&mut self, node: &Node, name: &str) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        if x.rank() != 4 {
            return Err(format!("its input has {} axes, where those of an image, 4, can be run", x.rank()));
        }
        if node.text("coordinate_transformation_mode", "") == "tf_crop_and_resize" {
            return Err("it crops the image while it resizes it, which no layer here does".to_owned());
        }
        let is_old = node.op == "Upsample" || self.source.opset < 11;
        let wanted = self.wanted(node, &x, if is_old { 1 } else { 2 })?;
        let changes = |axis: usize| {
            let resized = x.extents(axis).map(|from| wanted[axis].of(from));
            axis > 0 && resized.iter().any(|axis| axis.scale != 1.0 || axis.to != axis.from)
        };
        let changed = [1, 2, 3].map(changes);
        if !changed.contains(&true) {
            return Ok(x);
        }
        let sampling = Sampling::read(node, is_old)?;
        let x = self.with_pixels_in_front(x, name, |axis| axis > 0 && changed[axis - 1])?;
        // the logical axes of rows and columns
        let [rows, columns, channels] =
            [1, 2, 3].map(|stored| x.axes.iter().position(|axis| *axis == stored).unwrap_or(0));
        if channels == 0 || changed[channels - 1] {
            return Err("it resizes along the channels".to_owned());
        }
        let sides = [rows, columns].map(|axis| (x.extents(axis), wanted[axis]));
        let resized: Vec<Resized> =
            sides.iter().flat_map(|(extents, wanted)| extents.map(|from| wanted.of(from))).collect();
        if resized.iter().any(|axis| !(1..1 << 16).contains(&axis.to)) {
            return Err("the size that it resizes to is 0 or very large".to_owned());
        }
        let shrinks = resized.iter().any(|axis| axis.to < axis.from);
        if shrinks && node.int("antialias").unwrap_or(0) != 0 {
            return Err(
                "it resizes with `antialias`, which runtimes do differently: export the model without"
                    .to_owned(),
            );
        }
        let interpolation = sampling.interpolation();
        let fits = |axis: &Resized| sampling.is_of_keras(*axis);
        // what no layer of Keras does is a product with a known matrix, where the image has one size
        let by_shares = |converter: &mut Self| {
            let is_whole = node.int("exclude_outside").unwrap_or(0) == 0 && x.shapes[0] == x.shapes[1];
            let [rows, columns] = [resized[0], resized[2]];
            let numbers = [rows, columns].map(|axis| axis.to.saturating_mul(axis.from));
            if !is_whole || !converter.source.budget.takes_settings(numbers[0].saturating_add(numbers[1])) {
                return None;
            }
            let (down, across) = (sampling.shares(rows)?, sampling.shares(columns)?);
            let matrices = [(down, [rows.to, rows.from]), (across, [columns.to, columns.from])];
            Some(converter.by_matrices(&x, name, matrices))
        };
        let refusal = || {
            let how = sampling.in_words();
            let sides: Vec<String> =
                [&resized[0], &resized[2]].map(|axis| format!("{} to {}", axis.from, axis.to)).into();
            format!(
                "it resizes {} by {how}, which takes other pixels than any layer of Keras does",
                sides.join(" and ")
            )
        };
        let factors: Vec<usize> = resized
            .iter()
            .filter(|axis| axis.to % axis.from == 0 && axis.scale == (axis.to / axis.from) as f32)
            .map(|axis| axis.to / axis.from)
            .collect();
        let (class, config, all_fit) = match factors.as_slice() {
            &[down, also_down, across, also_across] if down == also_down && across == also_across => {
                let other = [down, across]
                    .into_iter()
                    .flat_map(|factor| OTHER_EXTENTS.map(|from| Wanted::Scale(factor as f32).of(from)));
                let is_open = x.shapes[0] != x.shapes[1];
                let config = json!({"size": [down, across], "interpolation": interpolation});
                ("UpSampling2D", config, !is_open || other.into_iter().all(|axis| fits(&axis)))
            }
            _ if resized[0].to == resized[1].to && resized[2].to == resized[3].to => {
                let (height, width) = (resized[0].to, resized[2].to);
                ("Resizing", json!({"height": height, "width": width, "interpolation": interpolation}), true)
            }
            _ => {
                return Err("it resizes an image whose size is open by other than whole factors: export the model with a fixed size".to_owned());
            }
        };
        if !all_fit || !resized.iter().all(fits) {
            return by_shares(self).unwrap_or_else(|| Err(refusal()));
        }
        let made = self.builder.alike(name, class, config, &x)?;
        Ok(Value { nonnegative: x.nonnegative, ..made })
    }

    /// What the node wants of each logical axis.
    fn wanted(&self, node: &Node, x: &Value, scales: usize) -> Result<[Wanted; 4], String> {
        if node.text("keep_aspect_ratio_policy", "stretch") != "stretch" {
            return Err(
                "it keeps the proportions of its image: export the model with the size that this gives"
                    .to_owned(),
            );
        }
        let mut wanted = [Wanted::Scale(1.0); 4];
        let axes: Vec<usize> = match node.ints("axes") {
            None => (0..4).collect(),
            Some(axes) => axes
                .iter()
                .map(|axis| super::fold::axis_of(*axis, 4))
                .collect::<Option<_>>()
                .ok_or("its axes are not there")?,
        };
        let numbers = |index: usize| self.known(node, index).filter(|constant| constant.len() == axes.len());
        let unknown = || "the size that it resizes to depends on the image's: export the model with a fixed size, or with whole factors";
        if let Some(scales) = numbers(scales) {
            let scales = scales.as_floats().ok_or("its scales are no numbers")?.to_vec();
            axes.iter().zip(scales).for_each(|(axis, scale)| wanted[*axis] = Wanted::Scale(scale));
        } else {
            let sizes = if scales == 1 { None } else { numbers(3) };
            let sizes = sizes.ok_or_else(unknown)?;
            let Data::Whole(sizes) = &sizes.data else {
                return Err("its sizes are no whole numbers".to_owned());
            };
            for (axis, size) in axes.iter().zip(sizes) {
                let own =
                    self.source.inputs.iter().any(|input| input.batch.map(Extent::Known) == Some(*size));
                wanted[*axis] = match size {
                    _ if *axis == 0 && (own || *size == Extent::Batch(1) || *size == Extent::Open) => {
                        Wanted::Scale(1.0)
                    }
                    Extent::Known(size) => {
                        Wanted::Size(usize::try_from(*size).map_err(|_| "its sizes are below 0")?)
                    }
                    _ => return Err(unknown().to_owned()),
                };
            }
        }
        let is_positive = |wanted: &Wanted| match wanted {
            Wanted::Scale(scale) => *scale > 0.0 && scale.is_finite(),
            Wanted::Size(size) => *size > 0,
        };
        match wanted.iter().all(is_positive) && wanted[0] == Wanted::Scale(1.0) && x.rank() == 4 {
            true => Ok(wanted),
            false => Err("its scales are damaged, or resize the batch".to_owned()),
        }
    }
}
