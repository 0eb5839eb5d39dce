//! MobileNets, EfficientNets and their like: blocks in timm's notation, scaled in width and depth. Source: Howard et al.
//! 2017, Sandler et al. 2018, Howard et al. 2019, Tan and Le 2019 and 2021, Tan et al. 2018, Qin et al. 2024.

mod blocks;
mod names;
mod notation;
mod table;

pub(super) use table::TABLE;

use super::builder::Builder;
use super::modules::{BatchNorm, Conv, rounded};
use super::row::{Library, Network};
use blocks::Block;
use frostline_graph::TensorId;
use names::Names;
use notation::{Depth, Written, scaled_repeats};
use serde_json::json;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mobile {
    /// The stages; blocks of one are separated by spaces.
    stages: &'static [&'static str],
    width: f64,
    /// The factor of every stage's depth, or one for each.
    depths: &'static [f64],
    depth: Depth,
    /// Whether the depths of the first and the last stage are scaled too.
    scales_ends: bool,
    rounding: Rounding,
    stem: usize,
    scales_stem: bool,
    function: &'static str,
    squeeze: SqueezeRule,
    top: Top,
    norm: BatchNorm,
    tensorflow_padding: bool,
    /// torchvision's names and its settings of training.
    torchvision: Torchvision,
}

/// How a scaled width becomes a multiple of a divisor.
#[derive(Clone, Copy, Debug)]
struct Rounding {
    divisor: usize,
    limit: f64,
}

/// The channels between the two convolutions of squeeze and excitation.
#[derive(Clone, Copy, Debug)]
struct SqueezeRule {
    /// Whether their share is of the expanded channels, not of those that come in.
    of_expanded: bool,
    rounding: Option<Rounding>,
    /// The activation; the block's where it is empty.
    function: &'static str,
    gate: &'static str,
}

/// What is above the stages.
#[derive(Clone, Copy, Debug)]
enum Top {
    /// The pooled features.
    None,
    /// A 1 x 1 convolution with so many channels before pooling.
    Convolution(Channels),
    /// MobileNetV3: one behind pooling, without normalisation.
    Pooled { channels: usize, bias: bool },
    /// MobileNetV4: one behind pooling, with normalisation.
    PooledNorm { channels: usize },
}

#[derive(Clone, Copy, Debug)]
enum Channels {
    Exactly(usize),
    Scaled(usize),
    AtLeast(usize),
}

/// torchvision's names of the modules, and what it sets for training; timm sets neither unless it is asked.
#[derive(Clone, Copy, Debug)]
struct Torchvision {
    style: Style,
    norm: BatchNorm,
    dropout: f64,
    /// The chance that the last block is left out; it rises from 0 block by block.
    stochastic_depth: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Style {
    EfficientNet,
    Mnasnet,
    MobileNetV2,
    MobileNetV3,
}

impl Mobile {
    fn scaled(&self, width: usize) -> usize {
        rounded(width as f64 * self.width, self.rounding.divisor, self.rounding.limit)
    }

    /// The blocks of each stage, with their widths.
    fn blocks(&self) -> Option<Vec<Vec<Written>>> {
        let last = self.stages.len() - 1;
        let stages = self.stages.iter().enumerate().map(|(at, stage)| {
            let written: Vec<Written> = stage.split(' ').map(Written::read).collect::<Option<_>>()?;
            let repeats: Vec<usize> = written.iter().map(|block| block.repeats).collect();
            let is_end = at == 0 || at == last;
            let factor = match self.depths {
                [one] => *one,
                several => several.get(at).copied()?,
            };
            let repeats = match is_end && !self.scales_ends {
                true => repeats,
                false => scaled_repeats(&repeats, factor, self.depth),
            };
            let repeated = written.iter().zip(repeats).flat_map(|(block, times)| vec![*block; times]);
            // only the first block of a stage has a stride
            let strided = repeated
                .enumerate()
                .map(|(at, block)| Written { stride: if at == 0 { block.stride } else { 1 }, ..block });
            Some(strided.collect())
        });
        stages.collect()
    }
}

impl Network for Mobile {
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId {
        let is_torchvision = library == Library::Torchvision;
        b.norm = if is_torchvision { self.torchvision.norm } else { self.norm };
        b.tensorflow_padding = self.tensorflow_padding;
        let stages = self.blocks().unwrap_or_default();
        let total: usize = stages.iter().map(Vec::len).sum();
        let mut names = Names::new(library, self.torchvision.style, stages.len());
        let x = b.images();
        let mut input = if self.scales_stem { self.scaled(self.stem) } else { self.stem };
        let mut x = b.conv_bn_act(names.stem(), x, Conv::new(input, 3).stride(2), self.function);
        let mut number = 0;
        for (stage, blocks) in stages.iter().enumerate() {
            for (index, written) in blocks.iter().enumerate() {
                let rate = if is_torchvision {
                    self.torchvision.stochastic_depth * number as f64 / total as f64
                } else {
                    0.0
                };
                let block = Block::new(self, written, input, rate);
                let path = names.path(stage, index, number);
                x = block.build(b, &names, &path, x);
                (input, number) = (block.output, number + 1);
            }
        }
        self.top(b, &names, x, library)
    }
}

impl Mobile {
    fn top(&self, b: &mut Builder<'_>, names: &Names, x: TensorId, library: Library) -> TensorId {
        let [dropout, classifier] = names.classifier();
        let rate = if library == Library::Torchvision { self.torchvision.dropout } else { 0.0 };
        let x = match self.top {
            Top::None => b.pooled("avgpool", x),
            Top::Convolution(channels) => {
                let channels = match channels {
                    Channels::Exactly(channels) => channels,
                    Channels::Scaled(channels) => self.scaled(channels),
                    Channels::AtLeast(channels) => self.scaled(channels).max(channels),
                };
                let [conv, norm] = names.top();
                let x = b.conv_bn_act([&conv, &norm], x, Conv::pointwise(channels), self.function);
                b.pooled("avgpool", x)
            }
            Top::Pooled { channels, .. } if library == Library::Torchvision => {
                let x = b.pooled("avgpool", x);
                if b.units("classifier.0").is_none() {
                    return x;
                }
                let x = b.linear("classifier.0", x, channels);
                b.activation("classifier.0", self.function, x)
            }
            Top::Pooled { .. } | Top::PooledNorm { .. } => self.pooled_top(b, x),
        };
        b.dropped_classifier([dropout, classifier], x, rate)
    }

    /// timm's MobileNetV3 and V4: the convolution works on the pooled features.
    fn pooled_top(&self, b: &mut Builder<'_>, x: TensorId) -> TensorId {
        let x = b.layer("global_pool", "GlobalAveragePooling2D", json!({"keepdims": true}), &[x]);
        let x = match self.top {
            Top::PooledNorm { channels } => {
                b.conv_bn_act(["conv_head", "norm_head"], x, Conv::pointwise(channels), self.function)
            }
            Top::Pooled { channels, bias } => {
                let conv = Conv { bias, ..Conv::pointwise(channels) };
                let x = b.conv("conv_head", x, conv);
                b.activation("conv_head", self.function, x)
            }
            Top::None | Top::Convolution(_) => x,
        };
        b.layer("flatten", "Flatten", json!({}), &[x])
    }
}

#[cfg(test)]
mod tests {
    use super::TABLE;

    #[test]
    fn every_stage_of_the_table_is_read() {
        for row in TABLE {
            assert!(row.network().blocks().is_some(), "{:?}", row.network());
        }
    }
}
