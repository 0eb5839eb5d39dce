//! RegNet X and Y. Source: Radosavovic et al. 2020; the widths and depths are those that its rule gives.

use super::builder::Builder;
use super::modules::{Conv, Squeeze};
use super::row::{Library, Network, Row, named, timm};
use frostline_graph::TensorId;

/// What differs between them.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegNet {
    /// Channels and blocks of each stage.
    widths: [usize; 4],
    depths: [usize; 4],
    /// Channels of each group of the 3 x 3 convolutions.
    group: usize,
    /// Y: squeeze and excitation, by a quarter of what comes into a block.
    squeezes: bool,
}

const STEM: usize = 32;
const FUNCTION: &str = "relu";

const fn regnet_x(widths: [usize; 4], depths: [usize; 4], group: usize) -> RegNet {
    RegNet { widths, depths, group, squeezes: false }
}

const fn regnet_y(widths: [usize; 4], depths: [usize; 4], group: usize) -> RegNet {
    RegNet { widths, depths, group, squeezes: true }
}

pub(super) const TABLE: &[Row<RegNet>] = &[
    timm("regnetx_002", regnet_x([24, 56, 152, 368], [1, 1, 4, 7], 8)),
    timm("regnetx_004", regnet_x([32, 64, 160, 384], [1, 2, 7, 12], 16)),
    named("regnet_x_400mf", "regnetx_004_tv", regnet_x([32, 64, 160, 400], [1, 2, 7, 12], 16)),
    timm("regnetx_006", regnet_x([48, 96, 240, 528], [1, 3, 5, 7], 24)),
    named("regnet_x_800mf", "regnetx_008", regnet_x([64, 128, 288, 672], [1, 3, 7, 5], 16)),
    named("regnet_x_1_6gf", "regnetx_016", regnet_x([72, 168, 408, 912], [2, 4, 10, 2], 24)),
    named("regnet_x_3_2gf", "regnetx_032", regnet_x([96, 192, 432, 1008], [2, 6, 15, 2], 48)),
    timm("regnetx_040", regnet_x([80, 240, 560, 1360], [2, 5, 14, 2], 40)),
    timm("regnetx_064", regnet_x([168, 392, 784, 1624], [2, 4, 10, 1], 56)),
    named("regnet_x_8gf", "regnetx_080", regnet_x([80, 240, 720, 1920], [2, 5, 15, 1], 120)),
    timm("regnetx_120", regnet_x([224, 448, 896, 2240], [2, 5, 11, 1], 112)),
    named("regnet_x_16gf", "regnetx_160", regnet_x([256, 512, 896, 2048], [2, 6, 13, 1], 128)),
    named("regnet_x_32gf", "regnetx_320", regnet_x([336, 672, 1344, 2520], [2, 7, 13, 1], 168)),
    timm("regnety_002", regnet_y([24, 56, 152, 368], [1, 1, 4, 7], 8)),
    named("regnet_y_400mf", "regnety_004", regnet_y([48, 104, 208, 440], [1, 3, 6, 6], 8)),
    timm("regnety_006", regnet_y([48, 112, 256, 608], [1, 3, 7, 4], 16)),
    timm("regnety_008", regnet_y([64, 128, 320, 768], [1, 3, 8, 2], 16)),
    named("regnet_y_800mf", "regnety_008_tv", regnet_y([64, 144, 320, 784], [1, 3, 8, 2], 16)),
    named("regnet_y_1_6gf", "regnety_016", regnet_y([48, 120, 336, 888], [2, 6, 17, 2], 24)),
    named("regnet_y_3_2gf", "regnety_032", regnet_y([72, 216, 576, 1512], [2, 5, 13, 1], 24)),
    timm("regnety_040", regnet_y([128, 192, 512, 1088], [2, 6, 12, 2], 64)),
    timm("regnety_064", regnet_y([144, 288, 576, 1296], [2, 7, 14, 2], 72)),
    timm("regnety_080", regnet_y([168, 448, 896, 2016], [2, 4, 10, 1], 56)),
    named("regnet_y_8gf", "regnety_080_tv", regnet_y([224, 448, 896, 2016], [2, 4, 10, 1], 56)),
    timm("regnety_120", regnet_y([224, 448, 896, 2240], [2, 5, 11, 1], 112)),
    named("regnet_y_16gf", "regnety_160", regnet_y([224, 448, 1232, 3024], [2, 4, 11, 1], 112)),
    named("regnet_y_32gf", "regnety_320", regnet_y([232, 696, 1392, 3712], [2, 5, 12, 1], 232)),
    timm("regnety_640", regnet_y([328, 984, 1968, 4920], [2, 5, 12, 1], 328)),
    named("regnet_y_128gf", "regnety_1280", regnet_y([528, 1056, 2904, 7392], [2, 7, 17, 1], 264)),
    timm("regnety_2560", regnet_y([746, 1492, 4103, 10444], [2, 7, 17, 1], 373)),
];

impl Network for RegNet {
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId {
        let x = b.images();
        let names = |path: &str| match library {
            Library::Torchvision => [format!("{path}.0"), format!("{path}.1")],
            Library::Timm => [format!("{path}.conv"), format!("{path}.bn")],
        };
        let [conv, norm] = names("stem");
        let mut x = b.conv_bn_act([&conv, &norm], x, Conv::new(STEM, 3).stride(2), FUNCTION);
        let mut input = STEM;
        for (stage, (width, depth)) in self.widths.into_iter().zip(self.depths).enumerate() {
            for index in 0..depth {
                let stride = if index == 0 { 2 } else { 1 };
                let stage = stage + 1;
                let path = match library {
                    Library::Torchvision => format!("trunk_output.block{stage}.block{stage}-{index}"),
                    Library::Timm => format!("s{stage}.b{}", index + 1),
                };
                x = self.block(b, library, &path, x, [input, width], stride);
                input = width;
            }
        }
        let x = b.pooled("avgpool", x);
        let classifier = match library {
            Library::Torchvision => "fc",
            Library::Timm => "head.fc",
        };
        b.classifier(classifier, x)
    }
}

impl RegNet {
    fn block(
        &self,
        b: &mut Builder<'_>,
        library: Library,
        path: &str,
        x: TensorId,
        [input, width]: [usize; 2],
        stride: usize,
    ) -> TensorId {
        let (parts, squeeze, shortcut) = match library {
            Library::Torchvision => (["f.a", "f.b", "f.c"], "f.se", "proj"),
            Library::Timm => (["conv1", "conv2", "conv3"], "se", "downsample"),
        };
        let names = |part: &str| match library {
            Library::Torchvision => [format!("{path}.{part}.0"), format!("{path}.{part}.1")],
            Library::Timm => [format!("{path}.{part}.conv"), format!("{path}.{part}.bn")],
        };
        let [first, second, third] = parts.map(names);
        let groups = width / self.group.min(width);
        let y = b.conv_bn_act([&first[0], &first[1]], x, Conv::pointwise(width), FUNCTION);
        let middle = Conv::new(width, 3).stride(stride).groups(groups);
        let mut y = b.conv_bn_act([&second[0], &second[1]], y, middle, FUNCTION);
        if self.squeezes {
            let between = (input as f64 / 4.0).round_ties_even() as usize;
            let settings = Squeeze {
                names: ["fc1", "fc2"],
                channels: width,
                width: between,
                function: FUNCTION,
                gate: "sigmoid",
            };
            y = b.squeeze(&format!("{path}.{squeeze}"), y, &settings);
        }
        let y = b.conv_bn([&third[0], &third[1]], y, Conv::pointwise(width));
        let x = match stride > 1 || input != width {
            true => {
                let [conv, norm] = names(shortcut);
                b.conv_bn([&conv, &norm], x, Conv::pointwise(width).stride(stride))
            }
            false => x,
        };
        let sum = b.add(&format!("{path}.add"), x, y);
        b.activation(path, FUNCTION, sum)
    }
}
