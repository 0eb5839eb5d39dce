//! `binary`: two values, element by element, with numpy's broadcasting.

use super::elementwise::{power, power_slope};
use super::images::{each_image, image};
use super::{Backward, Cost, Instance, OpKind, Reads};
use crate::{Extents, Shape};
use frostline_kernels::Accumulate;

/// What is done with two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryKind {
    /// `a + b`
    Add,
    /// `a − b`
    Subtract,
    /// `a · b`
    Multiply,
    /// The larger.
    Maximum,
    /// The smaller.
    Minimum,
    /// `a / b`
    Divide,
    /// `a / b`, but 0 where `b` is 0.
    DivideNoNan,
    /// `a / b`, rounded down.
    FloorDivide,
    /// What `a / b`, rounded down, leaves: of the sign of `b`.
    Modulo,
    /// `aᵇ`
    Power,
    /// 1 where `a = b`, else 0; likewise the others.
    Equal,
    /// `a ≠ b`
    NotEqual,
    /// `a > b`
    Greater,
    /// `a ≥ b`
    GreaterEqual,
    /// `a < b`
    Less,
    /// `a ≤ b`
    LessEqual,
    /// 1 where neither is 0, else 0.
    And,
    /// 1 where one is not 0, else 0.
    Or,
    /// 1 where one alone is not 0, else 0.
    Xor,
}

/// Attributes: what is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// What is done.
    pub kind: BinaryKind,
}

/// How the inputs lie to each other.
#[derive(Clone, Debug, PartialEq)]
enum Layout {
    /// Of one shape.
    Equal,
    /// The second is one number a channel of the first.
    Channels(usize),
    /// For every element of the output, where it reads the inputs.
    General { left: Vec<u32>, right: Vec<u32> },
}

impl OpKind for Binary {
    fn name(&self) -> &'static str {
        "binary"
    }

    fn output_shape(&self, inputs: &[Shape], _: &[Shape]) -> Result<Shape, String> {
        let [left, right] = inputs else {
            return Err(format!("expected two inputs, received {}", inputs.len()));
        };
        broadcast(left, right).ok_or_else(|| format!("shapes {left:?} and {right:?} do not fit together"))
    }

    fn needs_floats(&self) -> bool {
        use BinaryKind::{Add, Maximum, Minimum, Multiply, Subtract};
        !matches!(self.kind, Add | Maximum | Minimum | Multiply | Subtract)
    }

    fn cost(&self, inputs: &[Shape], params: &[Shape]) -> Cost {
        let values = self.output_shape(inputs, params).map_or(0, |shape| shape.elements()) as u64;
        Cost { multiply_adds: values, bytes: 12 * values }
    }

    fn bind(&self, inputs: &[Shape], _: &[Shape], _: usize) -> Box<dyn Instance> {
        let layout = layout(&inputs[0], &inputs[1]);
        Box::new(Bound { kind: self.kind, layout })
    }
}

/// The shape of two values' combination, if they fit together.
pub fn broadcast(left: &[usize], right: &[usize]) -> Option<Shape> {
    let rank = left.len().max(right.len());
    let extent =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let joint_extent = |axis| match (extent(left, axis), extent(right, axis)) {
        (a, b) if a == b => Some(a),
        (1, b) => Some(b),
        (a, 1) => Some(a),
        _ => None,
    };
    (0..rank).map(joint_extent).collect()
}

fn layout(left: &[usize], right: &[usize]) -> Layout {
    let channels = left.last().copied().unwrap_or(1);
    if left == right {
        return Layout::Equal;
    }
    if left.len() >= right.len() && right.last() == Some(&channels) && right.elements() == channels {
        return Layout::Channels(channels);
    }
    let output = broadcast(left, right).unwrap_or_default();
    Layout::General { left: sources(left, &output), right: sources(right, &output) }
}

/// For every element of `output`, the index of the element of `shape` that it reads.
pub(super) fn sources(shape: &[usize], output: &[usize]) -> Vec<u32> {
    let mut found = vec![0u32];
    for (axis, extent) in output.iter().enumerate() {
        let own = (axis + shape.len()).checked_sub(output.len()).map_or(1, |axis| shape[axis]);
        let step = |base: &u32| {
            let base = base * own as u32;
            (0..*extent as u32).map(move |index| if own == 1 { base } else { base + index })
        };
        found = found.iter().flat_map(step).collect();
    }
    found
}

struct Bound {
    kind: BinaryKind,
    layout: Layout,
}

impl BinaryKind {
    fn apply(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Maximum => a.max(b),
            Self::Minimum => a.min(b),
            Self::Divide => a / b,
            Self::DivideNoNan => {
                if b == 0.0 {
                    0.0
                } else {
                    a / b
                }
            }
            Self::FloorDivide => (a / b).floor(),
            Self::Modulo => a - b * (a / b).floor(),
            Self::Power => power(a, b),
            Self::Equal => f32::from(a == b),
            Self::NotEqual => f32::from(a != b),
            Self::Greater => f32::from(a > b),
            Self::GreaterEqual => f32::from(a >= b),
            Self::Less => f32::from(a < b),
            Self::LessEqual => f32::from(a <= b),
            Self::And => f32::from(a != 0.0 && b != 0.0),
            Self::Or => f32::from(a != 0.0 || b != 0.0),
            Self::Xor => f32::from((a != 0.0) != (b != 0.0)),
        }
    }

    /// The derivatives by `a` and `b`; of equal values the first counts as the maximum and the minimum, as in
    /// TensorFlow.
    fn derivatives(self, a: f32, b: f32) -> [f32; 2] {
        let first = |wins: bool| if wins { [1.0, 0.0] } else { [0.0, 1.0] };
        match self {
            Self::Add => [1.0, 1.0],
            Self::Subtract => [1.0, -1.0],
            Self::Multiply => [b, a],
            Self::Maximum => first(a >= b),
            Self::Minimum => first(a <= b),
            Self::DivideNoNan if b == 0.0 => [0.0, 0.0],
            Self::Divide | Self::DivideNoNan => [b.recip(), -a / (b * b)],
            Self::Modulo => [1.0, -(a / b).floor()],
            // of a number that is not above 0 the exponent has no slope
            Self::Power => [power_slope(a, b), if a > 0.0 { power(a, b) * a.ln() } else { 0.0 }],
            Self::FloorDivide
            | Self::Equal
            | Self::NotEqual
            | Self::Greater
            | Self::GreaterEqual
            | Self::Less
            | Self::LessEqual
            | Self::And
            | Self::Or
            | Self::Xor => [0.0, 0.0],
        }
    }
}

impl Instance for Bound {
    fn infer(&self, inputs: &[&[f32]], _: &[&[f32]], output: &mut [f32], _: &mut [f32]) {
        let (a, b) = (inputs[0], inputs[1]);
        match (&self.layout, self.kind) {
            (Layout::Equal, BinaryKind::Add) => frostline_kernels::add(a, b, output),
            (Layout::Equal, BinaryKind::Subtract) => frostline_kernels::subtract(a, b, output),
            (Layout::Equal, BinaryKind::Multiply) => frostline_kernels::multiply(a, b, output),
            (Layout::Equal, BinaryKind::Maximum) => frostline_kernels::maximum(a, b, output),
            (Layout::Equal, BinaryKind::Minimum) => frostline_kernels::minimum(a, b, output),
            (Layout::Equal, kind) => {
                output.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = kind.apply(*a, *b));
            }
            (Layout::Channels(channels), BinaryKind::Add) => {
                frostline_kernels::add_channels(*channels, a, b, output)
            }
            (Layout::Channels(channels), BinaryKind::Multiply) => {
                frostline_kernels::multiply_channels(*channels, a, b, output);
            }
            (Layout::Channels(channels), kind) => {
                for (a, y) in a.chunks_exact(*channels).zip(output.chunks_exact_mut(*channels)) {
                    y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = kind.apply(*a, *b));
                }
            }
            (Layout::General { left, right }, kind) => {
                let sources = left.iter().zip(right);
                output
                    .iter_mut()
                    .zip(sources)
                    .for_each(|(y, (i, j))| *y = kind.apply(a[*i as usize], b[*j as usize]));
            }
        }
    }

    fn reads(&self, _trains: bool) -> Reads {
        let is_sum = self.kind == BinaryKind::Add && !matches!(self.layout, Layout::General { .. });
        Reads { inputs: !is_sum, output: false, either: false }
    }

    fn is_pixelwise(&self) -> bool {
        self.layout == Layout::Equal
    }

    fn backward(&self, args: Backward<'_, '_>) {
        let batch = args.batch;
        let [left, right] = args.input_grads else { return };
        let (kind, layout) = (self.kind, &self.layout);
        // one input at a time, so that each image's gradient has one writer
        for (side, grad) in [left, right].into_iter().enumerate() {
            let Some(grad) = grad else { continue };
            if (layout, kind) == (&Layout::Equal, BinaryKind::Add)
                && let (grad, Accumulate::Overwrite) = grad.parts()
            {
                grad.copy_from_slice(args.output_grad);
                continue;
            }
            each_image(batch, grad.to_add(), |index, grad| {
                let a = image(args.inputs[0], batch, index);
                let b = image(args.inputs[1], batch, index);
                let dy = image(args.output_grad, batch, index);
                match (layout, kind) {
                    (Layout::Equal | Layout::Channels(_), BinaryKind::Add)
                        if side == 0 || *layout == Layout::Equal =>
                    {
                        frostline_kernels::add_assign(grad, dy);
                    }
                    (Layout::Equal, BinaryKind::Multiply) => {
                        frostline_kernels::multiply_add_assign(grad, dy, if side == 0 { b } else { a });
                    }
                    (Layout::Channels(channels), BinaryKind::Add) if side == 1 => {
                        frostline_kernels::sum_channels(*channels, dy, grad);
                    }
                    (Layout::Channels(channels), BinaryKind::Multiply) => {
                        let (dx, ds) = if side == 0 { (Some(grad), None) } else { (None, Some(grad)) };
                        frostline_kernels::multiply_channels_backward(*channels, a, b, dy, dx, ds);
                    }
                    (layout, kind) => {
                        for (element, dy) in dy.iter().enumerate() {
                            let (i, j) = match layout {
                                Layout::Equal => (element, element),
                                Layout::Channels(channels) => (element, element % channels),
                                Layout::General { left, right } => {
                                    (left[element] as usize, right[element] as usize)
                                }
                            };
                            let target = if side == 0 { i } else { j };
                            grad[target] += dy * kind.derivatives(a[i], b[j])[side];
                        }
                    }
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::check::Check;
    use proptest::prelude::*;

    const ALL: [BinaryKind; 5] = [
        BinaryKind::Add,
        BinaryKind::Subtract,
        BinaryKind::Multiply,
        BinaryKind::Maximum,
        BinaryKind::Minimum,
    ];

    /// Those that have a slope only where neither value is 0 or below.
    const ABOVE_ZERO: [BinaryKind; 3] = [BinaryKind::Divide, BinaryKind::DivideNoNan, BinaryKind::Power];

    fn check(left: &[usize], right: &[usize], seed: u64) {
        for kind in ALL {
            Check::of(Binary { kind }, &[left, right]).run(seed);
        }
        for kind in ABOVE_ZERO {
            Check::of(Binary { kind }, &[left, right]).positive().run(seed);
        }
    }

    #[test]
    fn values_are_those_of_numpy() {
        let at = |kind: BinaryKind, a: f32, b: f32| kind.apply(a, b);
        assert_eq!([at(BinaryKind::FloorDivide, -7.0, 2.0), at(BinaryKind::Modulo, -7.0, 2.0)], [-4.0, 1.0]);
        assert_eq!([at(BinaryKind::Modulo, 7.0, -2.0), at(BinaryKind::Power, -2.0, 3.0)], [-1.0, -8.0]);
        assert_eq!(
            [at(BinaryKind::DivideNoNan, 3.0, 0.0), at(BinaryKind::DivideNoNan, 3.0, 2.0)],
            [0.0, 1.5]
        );
        let truths =
            |kind: BinaryKind| [(0.0, 0.0), (0.0, 2.0), (2.0, 0.0), (2.0, 2.0)].map(|(a, b)| at(kind, a, b));
        assert_eq!(truths(BinaryKind::And), [0.0, 0.0, 0.0, 1.0]);
        assert_eq!(truths(BinaryKind::Or), [0.0, 1.0, 1.0, 1.0]);
        assert_eq!(truths(BinaryKind::Xor), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(truths(BinaryKind::Equal), [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(truths(BinaryKind::NotEqual), [0.0, 1.0, 1.0, 0.0]);
        assert_eq!(truths(BinaryKind::Greater), [0.0, 0.0, 1.0, 0.0]);
        assert_eq!(truths(BinaryKind::GreaterEqual), [1.0, 0.0, 1.0, 1.0]);
        assert_eq!(truths(BinaryKind::Less), [0.0, 1.0, 0.0, 0.0]);
        assert_eq!(truths(BinaryKind::LessEqual), [1.0, 1.0, 0.0, 1.0]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn backward_agrees_with_differences(
            h in 1usize..4, w in 1usize..4, c in 1usize..20, ones: [bool; 6], seed: u64,
        ) {
            check(&[h, w, c], &[h, w, c], seed);
            check(&[h, w, c], &[1, 1, c], seed);
            check(&[h, w, c], &[c], seed);
            check(&[c], &[h, w, c], seed);
            // any axis of either may be one
            let some = |extent: usize, one: bool| if one { 1 } else { extent };
            let left = [some(h, ones[0]), some(w, ones[1]), some(c, ones[2])];
            let right = [some(h, ones[3]), some(w, ones[4]), some(c, ones[5])];
            check(&left, &right, seed);
        }
    }
}
