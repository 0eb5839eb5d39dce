//! The blocks: expand, convolve each channel by itself, squeeze and excite, project.
//! Source: Sandler et al. 2018, Howard et al. 2019, Tan and Le 2021, Qin et al. 2024.

use super::names::{Names, Parts};
use super::notation::{Kind, Written};
use super::{Mobile, SqueezeRule};
use crate::safetensors::torch::builder::Builder;
use crate::safetensors::torch::modules::{Conv, Squeeze, divisible, rounded};
use frostline_graph::TensorId;

/// A block with its widths.
pub(super) struct Block {
    written: Written,
    input: usize,
    expanded: usize,
    pub(super) output: usize,
    function: &'static str,
    squeeze: SqueezeRule,
    /// The chance that the block is left out for an image, where it can be.
    drop_rate: f64,
}

impl Block {
    pub(super) fn new(mobile: &Mobile, written: &Written, input: usize, drop_rate: f64) -> Self {
        let from = if written.expands_from > 0 { mobile.scaled(written.expands_from) } else { input };
        let expanded = match written.kind {
            Kind::Inverted | Kind::Fused | Kind::Universal => divisible(from as f64 * written.expansion),
            Kind::Convolution | Kind::Separable | Kind::SeparableActivated => input,
        };
        Self {
            written: *written,
            input,
            expanded,
            output: mobile.scaled(written.output),
            function: if written.relu { "relu" } else { mobile.function },
            squeeze: mobile.squeeze,
            drop_rate,
        }
    }

    /// Whether what comes in is added to what comes out.
    fn skips(&self) -> bool {
        let fits = self.written.stride == 1 && self.input == self.output;
        let rule = !matches!(self.written.kind, Kind::Convolution | Kind::SeparableActivated);
        fits && self.written.skip.unwrap_or(rule)
    }

    /// Adds the block.
    pub(super) fn build(&self, b: &mut Builder<'_>, names: &Names, path: &str, x: TensorId) -> TensorId {
        let Written { kind, kernel, stride, squeeze, .. } = self.written;
        let Parts { start, expand, middle, squeeze: squeezed, project } =
            &names.parts(path, kind, squeeze > 0.0);
        let mut y = x;
        match kind {
            Kind::Convolution => {
                y = self.conv(b, project, y, Conv::new(self.output, kernel).stride(stride));
                return self.joined(b, path, x, y);
            }
            Kind::Fused => y = self.conv(b, expand, y, Conv::new(self.expanded, kernel).stride(stride)),
            Kind::Separable | Kind::SeparableActivated => y = self.depthwise(b, middle, y, kernel, stride),
            Kind::Inverted => {
                y = self.conv(b, expand, y, Conv::pointwise(self.expanded));
                y = self.depthwise(b, middle, y, kernel, stride);
            }
            Kind::Universal => {
                let start_kernel = self.written.start;
                if start_kernel > 0 {
                    let own = if kernel == 0 { stride } else { 1 };
                    y = b.depthwise(&start[0], y, start_kernel, own);
                    y = b.batch_norm(&start[1], y);
                }
                y = self.conv(b, expand, y, Conv::pointwise(self.expanded));
                if kernel > 0 {
                    y = self.depthwise(b, middle, y, kernel, stride);
                }
            }
        }
        if squeeze > 0.0 {
            let (path, names) = squeezed;
            y = b.squeeze(path, y, &self.squeeze(*names));
        }
        y = b.conv_bn([&project[0], &project[1]], y, Conv::pointwise(self.output));
        if kind == Kind::SeparableActivated {
            y = b.activation(&project[1], self.function, y);
        }
        self.joined(b, path, x, y)
    }

    fn conv(&self, b: &mut Builder<'_>, [name, norm]: &[String; 2], x: TensorId, conv: Conv) -> TensorId {
        b.conv_bn_act([name, norm], x, conv, self.function)
    }

    fn depthwise(
        &self,
        b: &mut Builder<'_>,
        [name, norm]: &[String; 2],
        x: TensorId,
        kernel: usize,
        stride: usize,
    ) -> TensorId {
        let x = b.depthwise(name, x, kernel, stride);
        let x = b.batch_norm(norm, x);
        b.activation(norm, self.function, x)
    }

    fn squeeze<'n>(&self, names: [&'n str; 2]) -> Squeeze<'n> {
        let rule = self.squeeze;
        let expansion = match self.written.kind {
            Kind::Separable | Kind::SeparableActivated => 1.0,
            _ => self.written.expansion,
        };
        let share = if rule.of_expanded { self.written.squeeze } else { self.written.squeeze / expansion };
        let width = self.expanded as f64 * share;
        let width = match rule.rounding {
            Some(rounding) => rounded(width, rounding.divisor, rounding.limit),
            None => width.round_ties_even() as usize,
        };
        let function = if rule.function.is_empty() { self.function } else { rule.function };
        Squeeze { names, channels: self.expanded, width, function, gate: rule.gate }
    }

    fn joined(&self, b: &mut Builder<'_>, path: &str, x: TensorId, y: TensorId) -> TensorId {
        if !self.skips() {
            return y;
        }
        let y = b.stochastic_depth(&format!("{path}.stochastic_depth"), y, self.drop_rate);
        b.add(&format!("{path}.add"), x, y)
    }
}
