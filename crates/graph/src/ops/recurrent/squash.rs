//! Functions of a cell.

use frostline_kernels::{Activation, activate, activate_backward};

/// A function of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Squash {
    /// One of the kernels' activations.
    Plain(Activation),
    /// `hard_sigmoid` before Keras 3: `0.2·x + 0.5` between 0 and 1.
    HardSigmoidOfKeras2,
}

impl Squash {
    pub(super) fn apply(self, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Plain(activation) => activate(activation, x, y),
            Self::HardSigmoidOfKeras2 => {
                y.iter_mut().zip(x).for_each(|(y, x)| *y = (0.2 * x + 0.5).clamp(0.0, 1.0));
            }
        }
    }

    /// `dx = dy · f'(x)`.
    pub(super) fn backward(self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        match self {
            Self::Plain(activation) => activate_backward(activation, x, dy, dx),
            Self::HardSigmoidOfKeras2 => {
                for ((dx, dy), x) in dx.iter_mut().zip(dy).zip(x) {
                    let line = 0.2 * x + 0.5;
                    *dx = if line > 0.0 && line < 1.0 { 0.2 * dy } else { 0.0 };
                }
            }
        }
    }
}
