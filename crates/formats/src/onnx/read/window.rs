//! The geometry of a sliding window: what ONNX's `pads` and `auto_pad` are in Keras's words.

use super::node::Node;
use super::value::Value;

/// A window as a node describes it. Pairs are height and width; over one axis, of length, the height is 1.
pub(super) struct Window {
    pub(super) size: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    /// `[[top, bottom], [left, right]]`
    pub(super) margins: [[usize; 2]; 2],
    auto: Auto,
    /// A last window that the image does not fill counts.
    pub(super) ceil: bool,
}

/// The extents of an image's rows or columns; over one axis, there is one row.
pub(super) fn pixels_along(x: &Value, axis: usize) -> [usize; 2] {
    (axis + x.rank()).checked_sub(2).filter(|axis| *axis > 1).map_or([1, 1], |axis| x.extents(axis))
}

/// The numbers of a pair that a layer over so many axes has.
pub(super) fn over<T>(axes: usize, pair: &[T; 2]) -> &[T] {
    pair.get(2usize.saturating_sub(axes)..).unwrap_or(pair)
}

/// What `same` puts before and behind an extent, for a window that reaches so far and goes on by so much.
pub(super) fn same_margins(extent: usize, reach: usize, stride: usize) -> [usize; 2] {
    let covered = extent.div_ceil(stride).saturating_sub(1).saturating_mul(stride).saturating_add(reach);
    let all = covered.saturating_sub(extent);
    [all / 2, all - all / 2]
}

/// The greatest common divisor.
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}

/// ONNX's `auto_pad`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auto {
    No,
    Upper,
    Lower,
}

/// Keras's words for a padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Padding {
    /// `same` or `valid`.
    Named(&'static str),
    /// By a layer of its own.
    Explicit([[usize; 2]; 2]),
}

/// A window that has strides and dilations, in steps that each have one of them. Keras's convolutions refuse both at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Apart {
    /// The image is thinned by so much before.
    pub(super) before: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    /// What comes of it is thinned by so much.
    pub(super) after: [usize; 2],
}

impl Window {
    /// The window in steps, where a layer of Keras cannot have it as it is: with strides and dilations, or of a depthwise convolution
    /// with two different strides, which TensorFlow does not run. What strides and dilations have in common is the image's: no window
    /// reads between.
    pub(super) fn apart(&self, is_depthwise: bool) -> Option<Apart> {
        let both = |strides: [usize; 2], dilations: [usize; 2]| {
            (strides != [1; 2] && dilations != [1; 2]) || (is_depthwise && strides[0] != strides[1])
        };
        if !both(self.strides, self.dilations) {
            return None;
        }
        let before = [0, 1].map(|axis| common(self.strides[axis], self.dilations[axis]));
        let strides = [0, 1].map(|axis| self.strides[axis] / before[axis]);
        let dilations = [0, 1].map(|axis| self.dilations[axis] / before[axis]);
        Some(match both(strides, dilations) {
            false => Apart { before, strides, dilations, after: [1; 2] },
            true => Apart { before, strides: [1; 2], dilations, after: strides },
        })
    }

    /// The margins in numbers. Errors: they depend on a size that is open.
    pub(super) fn margins_of(&self, x: &Value) -> Result<[[usize; 2]; 2], String> {
        match self.padding(x)? {
            Padding::Explicit(margins) => Ok(margins),
            Padding::Named("valid") => Ok([[0; 2]; 2]),
            Padding::Named(_) => {
                let of = |axis: usize| {
                    let [small, large] = pixels_along(x, axis);
                    Some(self.same(axis, small)).filter(|margins| *margins == self.same(axis, large))
                };
                of(0).zip(of(1)).map(|(rows, columns)| [rows, columns]).ok_or_else(|| {
                    "it has strides and dilations, and its margins depend on a size of the image that is open: export the model with a fixed size".to_owned()
                })
            }
        }
    }

    pub(super) fn read(node: &Node, size: [usize; 2]) -> Result<Self, String> {
        let pair = |name: &str| -> Result<[usize; 2], String> {
            let given = match node.ints(name) {
                Some(&[length]) => Some([1, length].to_vec()),
                other => other.map(<[i64]>::to_vec),
            };
            match given.as_deref() {
                None => Ok([1, 1]),
                Some(&[height, width]) => match (usize::try_from(height), usize::try_from(width)) {
                    (Ok(height), Ok(width)) if height > 0 && width > 0 => Ok([height, width]),
                    _ => Err(format!("its {name} are {:?}", [height, width])),
                },
                Some(other) => {
                    Err(format!("its {name} are {other:?}: only windows over one or two axes can be run"))
                }
            }
        };
        let side = |extent: i64| usize::try_from(extent).ok().filter(|extent| *extent < 1 << 16);
        let margins = match node.ints("pads") {
            None => Some([[0; 2]; 2]),
            Some(&[before, behind]) => (|| Some([[0; 2], [side(before)?, side(behind)?]]))(),
            Some(&[top, left, bottom, right]) => {
                (|| Some([[side(top)?, side(bottom)?], [side(left)?, side(right)?]]))()
            }
            Some(_) => None,
        };
        let margins = margins.ok_or_else(|| format!("its pads are {:?}", node.ints("pads")))?;
        let auto = match node.text("auto_pad", "NOTSET") {
            "NOTSET" | "" => Auto::No,
            "VALID" => Auto::No,
            "SAME_UPPER" => Auto::Upper,
            "SAME_LOWER" => Auto::Lower,
            other => return Err(format!("its auto_pad is `{other}`")),
        };
        let ceil = node.int("ceil_mode").unwrap_or(0) != 0;
        Ok(Self { size, strides: pair("strides")?, dilations: pair("dilations")?, margins, auto, ceil })
    }

    /// How far a window reaches along an axis.
    fn reach(&self, axis: usize) -> usize {
        (self.size[axis].saturating_sub(1)).saturating_mul(self.dilations[axis]).saturating_add(1)
    }

    /// What `same` puts before and behind an extent.
    fn same(&self, axis: usize, extent: usize) -> [usize; 2] {
        same_margins(extent, self.reach(axis), self.strides[axis])
    }

    /// Whether `same` puts just these margins around an image of either size.
    fn is_same(&self, x: &Value, margins: &[[usize; 2]; 2]) -> bool {
        let fits = |axis: usize, extent: &usize| self.same(axis, *extent) == margins[axis];
        (0..2).all(|axis| pixels_along(x, axis).iter().all(|extent| fits(axis, extent)))
    }

    /// The padding, with what makes the last window whole where `ceil_mode` counts it.
    pub(super) fn padding(&self, x: &Value) -> Result<Padding, String> {
        if self.auto == Auto::Upper {
            return Ok(Padding::Named("same"));
        }
        let mut margins = self.margins;
        for axis in 0..2 {
            let [small, large] = pixels_along(x, axis);
            if self.auto == Auto::Lower {
                let [before, behind] = self.same(axis, small);
                if self.same(axis, large) != [before, behind] {
                    return Err("its auto_pad is SAME_LOWER and the size of its image is open: export the model with a fixed size".to_owned());
                }
                margins[axis] = [behind, before];
            } else if self.ceil {
                let [before, behind] = margins[axis];
                let missing = |extent: usize| {
                    let left =
                        (extent + before + behind).saturating_sub(self.reach(axis)) % self.strides[axis];
                    let last = if left == 0 { 0 } else { self.strides[axis] - left };
                    // a window that begins in the padding does not count
                    let begins = extent + before + behind + last
                        - self.reach(axis).min(extent + before + behind + last);
                    if begins >= extent + before { 0 } else { last }
                };
                if missing(small) != missing(large) && !self.is_same(x, &margins) {
                    return match self.margins == [[0; 2]; 2] && self.size == self.strides {
                        // windows side by side: `same` pads the last one behind the image
                        true => Ok(Padding::Named("same")),
                        false => Err("its ceil_mode is 1 and the size of its image is open: export the model with a fixed size".to_owned()),
                    };
                }
                margins[axis] = [before, behind + missing(small)];
            }
        }
        Ok(match margins {
            [[0, 0], [0, 0]] => Padding::Named("valid"),
            margins if self.is_same(x, &margins) => Padding::Named("same"),
            margins => Padding::Explicit(margins),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::read::node::Attribute;
    use crate::onnx::read::value::IMAGE;
    use frostline_graph::TensorId;

    fn padding(extent: [usize; 2], size: usize, attributes: &[(&str, Attribute)]) -> Result<Padding, String> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let node = Node { attributes, ..Node::default() };
        let value = Value {
            id: TensorId { call: 0, output: 0 },
            shapes: extent.map(|extent| vec![extent, extent, 3]),
            axes: IMAGE.to_vec(),
            pixels: vec![1, 1, 0],
            nonnegative: false,
            sole: true,
            flattened: None,
            view: crate::onnx::read::view::View::default(),
        };
        Window::read(&node, [size; 2])?.padding(&value)
    }

    #[test]
    fn margins_are_same_only_where_keras_would_put_them() {
        let pads = |pads: [i64; 4], stride: i64| {
            vec![("pads", Attribute::Ints(pads.to_vec())), ("strides", Attribute::Ints(vec![stride; 2]))]
        };
        assert_eq!(padding([224, 256], 3, &pads([1; 4], 1)), Ok(Padding::Named("same")));
        assert_eq!(padding([224, 224], 3, &pads([1; 4], 2)), Ok(Padding::Explicit([[1, 1]; 2])));
        assert_eq!(padding([225, 225], 3, &pads([1; 4], 2)), Ok(Padding::Named("same")));
        assert_eq!(padding([224, 224], 3, &pads([0, 0, 1, 1], 2)), Ok(Padding::Named("same")));
        assert_eq!(padding([224, 224], 3, &pads([0; 4], 2)), Ok(Padding::Named("valid")));
        assert!(padding([224, 224], 3, &pads([-1, 0, 0, 0], 2)).is_err());
    }

    #[test]
    fn ceil_mode_counts_the_last_window() {
        let ceil = [("ceil_mode", Attribute::Int(1)), ("strides", Attribute::Ints(vec![2, 2]))];
        assert_eq!(padding([112, 112], 3, &ceil), Ok(Padding::Named("same")));
        assert_eq!(padding([111, 111], 3, &ceil), Ok(Padding::Named("valid")));
        assert_eq!(padding([112, 112], 2, &ceil), Ok(Padding::Named("valid")));
        assert_eq!(padding([111, 112], 2, &ceil), Ok(Padding::Named("same")));
    }
}
