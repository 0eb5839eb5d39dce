//! Layer kinds: what a Keras layer's config means, its shapes and weights, and the ops it lowers to.
//!
//! To add a kind: one file here; its `mod`, `pub use` and a line of the list in this file.

#[macro_use]
mod list;
mod activation;
mod attention;
mod batch_normalization;
mod bidirectional;
mod center_crop;
mod concatenate;
mod config;
mod conv2d;
mod conv2d_transpose;
mod conv3d;
mod convolution;
mod dense;
mod depthwise_conv2d;
mod dot;
mod dropout;
mod einsum_dense;
mod embedding;
mod global_pooling;
mod group_normalization;
mod head;
mod identity;
mod initializer;
mod input_layer;
mod layer_normalization;
mod layer_scale;
mod margins;
mod mask;
mod masking;
mod merge;
mod multi_head_attention;
mod normalization;
mod one_dimensional;
mod operation;
mod permute;
mod pooling;
mod prelu;
mod recurrent;
mod relu;
mod repeat_vector;
mod rescaling;
mod reshape;
mod resizing;
mod rms_normalization;
mod scaled_add;
mod separable_conv2d;
mod three_dimensional;
mod time_distributed;
mod unit_normalization;

use crate::json::of_number as number;
pub use activation::HARD_SIGMOID_KERAS_2;
pub use activation::{Activation, NamedActivation};
pub use attention::{Attention, AttentionCall, Score};
pub use batch_normalization::BatchNormalization;
pub use bidirectional::Bidirectional;
pub use center_crop::CenterCrop;
pub use concatenate::Concatenate;
pub use config::Config;
pub use conv2d::Conv2D;
pub use conv2d_transpose::Conv2DTranspose;
pub use conv3d::Conv3D;
pub use convolution::Convolution;
pub use dense::Dense;
pub use depthwise_conv2d::DepthwiseConv2D;
pub use dot::Dot;
pub use dropout::Dropout;
pub use einsum_dense::EinsumDense;
pub use embedding::Embedding;
pub use global_pooling::GlobalPooling2D;
pub use group_normalization::GroupNormalization;
pub use head::parse_head;
pub use identity::Identity;
pub use initializer::{Distribution, Fan, Initializer};
pub use input_layer::InputLayer;
pub use layer_normalization::LayerNormalization;
pub use layer_scale::LayerScale;
pub use margins::{Cropping2D, ZeroPadding2D};
pub use mask::{MaskRule, lower};
pub use masking::Masking;
pub use merge::Merge;
pub use multi_head_attention::MultiHeadAttention;
pub use normalization::Normalization;
pub use one_dimensional::OneDimensional;
pub use operation::{Argument, Arguments, Array, CALL, Operation};
pub use permute::Permute;
pub use pooling::Pooling2D;
pub use prelu::PRelu;
pub use recurrent::Recurrent;
pub use relu::{Elu, LeakyRelu, Relu, Softmax};
pub use repeat_vector::RepeatVector;
pub use rescaling::Rescaling;
pub use reshape::{Flatten, Reshape};
pub use resizing::{Fit, Resizing, UpSampling2D};
pub use rms_normalization::RmsNormalization;
pub use scaled_add::ScaledAdd;
pub use separable_conv2d::SeparableConv2D;
pub use three_dimensional::ThreeDimensional;
pub use time_distributed::TimeDistributed;
pub use unit_normalization::UnitNormalization;

use crate::ops::{Cell, Dropped, Lowering, PoolKind, Role, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};
use std::fmt::Debug;

// Every layer kind.
layers![
    of several classes: Identity, OneDimensional, ThreeDimensional;
    operations: Operation;
    Activation: "Activation";
    Attention: "Attention"(false), "AdditiveAttention"(true);
    BatchNormalization: "BatchNormalization";
    Bidirectional: "Bidirectional";
    CenterCrop: "CenterCrop";
    Concatenate: "Concatenate";
    Conv2D: "Conv2D";
    Conv3D: "Conv3D";
    Conv2DTranspose: "Conv2DTranspose";
    Cropping2D: "Cropping2D";
    Dense: "Dense";
    DepthwiseConv2D: "DepthwiseConv2D";
    Dot: "Dot";
    Dropout: "Dropout"(Dropped::Elements), "SpatialDropout2D"(Dropped::Channels), "StochasticDepth"(Dropped::Images);
    EinsumDense: "EinsumDense";
    Elu: "ELU";
    Embedding: "Embedding";
    Flatten: "Flatten";
    GlobalPooling2D: "GlobalAveragePooling2D"(PoolKind::Average), "GlobalMaxPooling2D"(PoolKind::Max);
    GroupNormalization: "GroupNormalization";
    InputLayer: "InputLayer";
    LayerNormalization: "LayerNormalization";
    LayerScale: "LayerScale";
    LeakyRelu: "LeakyReLU";
    Masking: "Masking";
    Merge: "Add"(Merge::Add), "Average"(Merge::Average), "Maximum"(Merge::Maximum), "Minimum"(Merge::Minimum),
        "Multiply"(Merge::Multiply), "Subtract"(Merge::Subtract);
    MultiHeadAttention: "MultiHeadAttention";
    Normalization: "Normalization";
    PRelu: "PReLU";
    Permute: "Permute";
    Pooling2D: "AveragePooling2D"(PoolKind::Average), "MaxPooling2D"(PoolKind::Max);
    Recurrent: "LSTM"(Cell::Lstm), "GRU"(Cell::Gru { reset_after: false }), "SimpleRNN"(Cell::Simple);
    Relu: "ReLU";
    RepeatVector: "RepeatVector";
    Rescaling: "Rescaling";
    Reshape: "Reshape";
    Resizing: "Resizing";
    RmsNormalization: "RMSNormalization";
    ScaledAdd: "CustomScaleLayer";
    SeparableConv2D: "SeparableConv2D";
    Softmax: "Softmax";
    TimeDistributed: "TimeDistributed";
    UnitNormalization: "UnitNormalization";
    UpSampling2D: "UpSampling2D";
    ZeroPadding2D: "ZeroPadding2D";
];

impl Kind {
    /// Whether the layer normalises its input.
    pub(crate) fn normalizes(&self) -> bool {
        matches!(
            self,
            Self::BatchNormalization(_)
                | Self::GroupNormalization(_)
                | Self::LayerNormalization(_)
                | Self::Normalization(_)
                | Self::RmsNormalization(_)
                | Self::UnitNormalization(_)
        )
    }
}

/// A weight that a layer wants.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSpec {
    /// Keras's name of the variable: `kernel`, `bias`, `gamma`, …
    pub name: &'static str,
    /// Its shape.
    pub shape: Shape,
    /// How it begins where it is not loaded.
    pub initializer: Initializer,
    /// Trainable or a statistic.
    pub role: Role,
}

impl WeightSpec {
    /// A weight that training changes.
    pub fn trainable(name: &'static str, shape: &[usize], initializer: Initializer) -> Self {
        Self { name, shape: shape.to_vec(), initializer, role: Role::Trainable }
    }

    /// A statistic.
    pub fn state(name: &'static str, shape: &[usize], initializer: Initializer) -> Self {
        Self { name, shape: shape.to_vec(), initializer, role: Role::State }
    }
}

/// A layer kind with its attributes. Shapes are without the batch dimension; messages say what was expected and
/// what was received, and the caller adds the layer's path.
pub trait LayerKind: Debug + Send + Sync {
    /// Keras's class name.
    fn class_name(&self) -> &'static str;

    /// The attributes as Keras 3 writes them, without `name`, `trainable` and `dtype`: what `from_config` reads.
    fn config(&self) -> Map<String, Value>;

    /// The weights in Keras's order (trainable ones first, as they are created), given the inputs' shapes.
    fn weights(&self, _inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        Ok(Vec::new())
    }

    /// The output's shape.
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String>;

    /// Pushes the ops that compute the layer and returns their result.
    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId>;

    /// The shapes of all outputs, where there may be several.
    fn output_shapes(&self, inputs: &[Shape]) -> Result<Vec<Shape>, String> {
        Ok(vec![self.output_shape(inputs)?])
    }

    /// [`LayerKind::lower`], for all outputs.
    fn lower_all(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        Ok(vec![self.lower(lowering, inputs)?])
    }

    /// The layers that the layer is made of, where its variables lie with those in Keras's files.
    fn sublayers(&self) -> &'static [Sublayer] {
        &[]
    }

    /// Whether the layer is called on one list of values, as merges are.
    fn takes_list(&self) -> bool {
        false
    }

    /// Whether Keras's 8-bit weights of the layer have a scale for each row, and not for each output.
    fn scale_is_a_row(&self) -> bool {
        false
    }

    /// Whether images come out at a size of the layer's own, whatever theirs is.
    fn fixes_size(&self) -> bool {
        false
    }

    /// What the layer does with a sequence of which not all steps count.
    fn on_mask(&self) -> MaskRule {
        MaskRule::Refused
    }

    /// Whether the layer says which steps count.
    fn makes_mask(&self) -> bool {
        false
    }

    /// Whether each step of a sequence gives one, for layers that compute otherwise under a mask: then it is their output's too.
    fn keeps_steps(&self) -> bool {
        false
    }

    /// Where Keras keeps the class; one that is not exported is found by its module.
    fn keras_module(&self) -> &'static str {
        KERAS_LAYERS
    }
}

/// A layer in a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sublayer {
    /// How the names of its variables begin.
    pub name: &'static str,
    /// Its group in Keras 3's store.
    pub group: &'static str,
}

/// The module of the layers that Keras exports.
pub const KERAS_LAYERS: &str = "keras.layers";

/// The only input of a layer that takes one.
fn one_of(inputs: &[Shape]) -> Result<&Shape, String> {
    match inputs {
        [input] => Ok(input),
        _ => Err(format!("expected one input, received {}", inputs.len())),
    }
}

/// Whether an axis as files have it, batch counted, alone or in a list, is the last one of `shape`.
fn is_last_axis(axis: &Value, shape: &Shape) -> bool {
    let axis = match axis {
        Value::Array(axes) if axes.len() == 1 => axes[0].as_i64(),
        axis => axis.as_i64(),
    };
    axis.is_some_and(|axis| axis == -1 || axis == shape.len() as i64)
}

/// The extent of the axis that a layer normalises, which must be the last one.
fn normalised(axis: &Value, inputs: &[Shape]) -> Result<usize, String> {
    let input = one_of(inputs)?;
    input
        .last()
        .copied()
        .filter(|_| is_last_axis(axis, input))
        .ok_or_else(|| format!("normalises axis {axis} of {input:?}\nhelp: only the last axis can be run"))
}

/// Reads a layer from its config, as a file has it.
#[cfg(test)]
fn read(class_name: &str, config: Value) -> Result<Kind> {
    let map = config.as_object().expect("an object");
    read_kind(class_name, &Config::new("layer", map)).expect("a known class")
}
