//! timm's notation of a block: `ir_r2_k3_s2_e6_c24_se0.25` is two inverted residuals of 3 x 3, the first with stride 2, with
//! six times the channels between, 24 channels that come out, and squeeze and excitation by a quarter.

/// A block as it is written, before widths are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Written {
    pub(super) kind: Kind,
    pub(super) repeats: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) expansion: f64,
    pub(super) output: usize,
    /// The share of squeeze and excitation; 0 for none.
    pub(super) squeeze: f64,
    /// Where the expansion counts from, if not from what comes in.
    pub(super) expands_from: usize,
    /// The kernel of the depthwise convolution before the expansion, in a universal inverted residual.
    pub(super) start: usize,
    /// The activation is relu, whatever the network's is.
    pub(super) relu: bool,
    /// Said where it is not the rule of the kind.
    pub(super) skip: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// `cn`: a convolution.
    Convolution,
    /// `ds`: depthwise, pointwise.
    Separable,
    /// `dsa`: the same with an activation at its end, and without a skip.
    SeparableActivated,
    /// `ir`: pointwise, depthwise, pointwise.
    Inverted,
    /// `er`: the convolution that expands is no pointwise one.
    Fused,
    /// `uir`: an inverted residual each of whose depthwise convolutions may be left out.
    Universal,
}

impl Written {
    /// Reads a block; what is unknown is left out, and a test reads all tables.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once('_')?;
        let kind = match kind {
            "cn" => Kind::Convolution,
            "ds" => Kind::Separable,
            "dsa" => Kind::SeparableActivated,
            "ir" => Kind::Inverted,
            "er" => Kind::Fused,
            "uir" => Kind::Universal,
            _ => return None,
        };
        let mut block = Self {
            kind,
            repeats: 1,
            kernel: 1,
            stride: 1,
            expansion: 1.0,
            output: 0,
            squeeze: 0.0,
            expands_from: 0,
            start: 0,
            relu: false,
            skip: None,
        };
        for word in rest.split('_') {
            let digits = word.find(|letter: char| letter.is_ascii_digit()).unwrap_or(word.len());
            let (key, number) = word.split_at(digits);
            let whole = || number.parse::<usize>().ok();
            match key {
                "skip" => block.skip = Some(true),
                "noskip" => block.skip = Some(false),
                "nre" => block.relu = true,
                "r" => block.repeats = whole()?,
                "k" => block.kernel = whole()?,
                "s" => block.stride = whole()?,
                "e" => block.expansion = number.parse().ok()?,
                "c" => block.output = whole()?,
                "se" => block.squeeze = number.parse().ok()?,
                "fc" => block.expands_from = whole()?,
                "a" => block.start = whole()?,
                _ => return None,
            }
        }
        Some(block)
    }
}

/// How often each of a stage's blocks is repeated, where the stage as a whole is scaled: from the last to the first, each gets
/// its share of what is left.
pub(super) fn scaled_repeats(repeats: &[usize], factor: f64, depth: Depth) -> Vec<usize> {
    let mut left: usize = repeats.iter().sum();
    let scaled = left as f64 * factor;
    let mut scaled_left = match depth {
        Depth::Ceil => scaled.ceil(),
        Depth::Round => scaled.round_ties_even().max(1.0),
    };
    let mut found: Vec<usize> = Vec::with_capacity(repeats.len());
    for own in repeats.iter().rev() {
        let share = (*own as f64 / left as f64 * scaled_left).round_ties_even().max(1.0);
        found.push(share as usize);
        left -= own;
        scaled_left -= share;
    }
    found.reverse();
    found
}

/// How a scaled number of blocks becomes a whole one.
#[derive(Clone, Copy, Debug)]
pub(super) enum Depth {
    Ceil,
    Round,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_by_its_words() {
        let block = Written::read("ir_r2_k5_s2_e4.5_c24_se0.25_nre_noskip").expect("a block");
        assert_eq!((block.kind, block.repeats, block.kernel, block.stride), (Kind::Inverted, 2, 5, 2));
        assert_eq!((block.expansion, block.output, block.squeeze), (4.5, 24, 0.25));
        assert_eq!((block.relu, block.skip), (true, Some(false)));
        assert_eq!(
            Written::read("uir_r1_a5_k0_s1_e4_c96").map(|block| (block.start, block.kernel)),
            Some((5, 0))
        );
        assert_eq!(Written::read("mha_r1_k3_s1_c8"), None);
        assert_eq!(Written::read("ir_r1_x3"), None);
    }

    #[test]
    fn depths_are_scaled_as_timm_does() {
        // timm.models._efficientnet_builder._scale_stage_depth
        assert_eq!(scaled_repeats(&[3], 1.4, Depth::Ceil), [5]);
        assert_eq!(scaled_repeats(&[1, 1, 2], 1.2, Depth::Ceil), [1, 2, 2]);
        assert_eq!(scaled_repeats(&[4], 0.6, Depth::Round), [2]);
    }
}
