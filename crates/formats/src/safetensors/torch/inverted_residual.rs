//! The block of MobileNets and EfficientNets: expand, convolve each channel by itself, squeeze and excite, project.
//! Source: Sandler et al. 2018, Howard et al. 2019.

use super::Library;
use super::builder::{Builder, Conv};
use frostline_graph::{Graph, Result, TensorId};
use serde_json::json;

/// What a block does.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Channels that come in.
    pub(super) input: usize,
    /// Channels between; no expansion where they are those that come in.
    pub(super) expanded: usize,
    /// Channels that go out.
    pub(super) output: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    /// The activation, by its Keras name.
    pub(super) function: &'static str,
    pub(super) squeeze: Option<Squeeze>,
    /// The chance that the block is left out for an image, where a block can be.
    pub(super) drop_rate: f64,
}

/// Squeeze and excitation. Source: Hu et al. 2017.
#[derive(Clone, Copy)]
pub(super) struct Squeeze {
    pub(super) width: usize,
    pub(super) function: &'static str,
    pub(super) gate: &'static str,
}

/// The names of a block's modules: convolution and normalisation, and the two convolutions of the squeeze.
pub(super) struct Names {
    pub(super) expand: [String; 2],
    pub(super) depthwise: [String; 2],
    pub(super) squeeze: [String; 2],
    pub(super) project: [String; 2],
}

impl Names {
    /// The names in torchvision's MobileNetV3 and EfficientNet, where what is there is numbered, or in timm.
    pub(super) fn new(library: Library, path: &str, block: &Block) -> Self {
        let expands = usize::from(block.expands());
        let squeezes = usize::from(block.squeeze.is_some());
        let pair = |first: String, second: String| [format!("{path}.{first}"), format!("{path}.{second}")];
        let step = |number: usize| pair(format!("block.{number}.0"), format!("block.{number}.1"));
        let timm = |first: &str, second: &str| pair(first.to_owned(), second.to_owned());
        match library {
            Library::Torchvision => Self {
                expand: step(0),
                depthwise: step(expands),
                squeeze: pair(format!("block.{}.fc1", expands + 1), format!("block.{}.fc2", expands + 1)),
                project: step(expands + squeezes + 1),
            },
            Library::Timm => Self {
                expand: timm("conv_pw", "bn1"),
                depthwise: timm("conv_dw", if block.expands() { "bn2" } else { "bn1" }),
                squeeze: timm("se.conv_reduce", "se.conv_expand"),
                project: match block.expands() {
                    true => timm("conv_pwl", "bn3"),
                    false => timm("conv_pw", "bn2"),
                },
            },
        }
    }
}

impl Block {
    /// Whether there is a convolution to more channels first.
    pub(super) fn expands(&self) -> bool {
        self.expanded != self.input
    }

    /// Adds the block at a path.
    pub(super) fn build(&self, b: &mut Builder, path: &str, names: &Names, x: TensorId) -> TensorId {
        let mut y = x;
        if self.expands() {
            let [conv, norm] = &names.expand;
            y = b.conv_bn_act([conv, norm], y, Conv::pointwise(self.expanded), self.function);
        }
        let [conv, norm] = &names.depthwise;
        y = b.depthwise(conv, y, self.kernel, self.stride);
        y = b.batch_norm(norm, y);
        y = b.activation(norm, self.function, y);
        if let Some(squeeze) = self.squeeze {
            y = squeeze.build(b, &names.squeeze, self.expanded, y);
        }
        let [conv, norm] = &names.project;
        y = b.conv_bn([conv, norm], y, Conv::pointwise(self.output));
        if self.stride > 1 || self.input != self.output {
            return y;
        }
        y = b.stochastic_depth(&format!("{path}.stochastic_depth"), y, self.drop_rate);
        b.add(&format!("{path}.add"), x, y)
    }
}

/// The graph, once the pooled features and the classifier of MobileNetV2 and EfficientNet stand on it, where the file has one;
/// torchvision's has dropout before it.
pub(super) fn classified(
    mut b: Builder,
    x: TensorId,
    library: Library,
    dropout: f64,
    units: impl Fn(&str) -> Option<usize>,
) -> Result<Graph> {
    let mut x = b.pooled("avgpool", x);
    match library {
        Library::Torchvision => {
            if let Some(classes) = units("classifier.1") {
                x = b.dropout("classifier.0", x, dropout);
                x = b.linear("classifier.1", x, classes);
            }
        }
        Library::Timm => {
            if let Some(classes) = units("classifier") {
                x = b.linear("classifier", x, classes);
            }
        }
    }
    b.finish(x)
}

impl Squeeze {
    /// A factor for each channel from the means of all.
    fn build(
        self,
        b: &mut Builder,
        [reduce, expand]: &[String; 2],
        channels: usize,
        x: TensorId,
    ) -> TensorId {
        let path = reduce.rsplit_once('.').map_or("", |(path, _)| path);
        let means = json!({"keepdims": true});
        let y = b.layer(&format!("{path}.avgpool"), "GlobalAveragePooling2D", means, &[x]);
        let y = b.pointwise_with_bias(reduce, y, self.width);
        let y = b.activation(reduce, self.function, y);
        let y = b.pointwise_with_bias(expand, y, channels);
        let y = b.activation(expand, self.gate, y);
        b.layer(&format!("{path}.multiply"), "Multiply", json!({}), &[x, y])
    }
}
