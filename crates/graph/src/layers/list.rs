//! Every layer kind. To add one: its file, and a line here.

use super::*;
use crate::ops::{Dropped, PoolKind};
use std::ops::Deref;

macro_rules! layers {
    (
        of several classes: $($family:ident),*;
        $($kind:ident: $($class:literal $(($meaning:expr))?),+;)*
    ) => {
        /// A layer kind with its attributes.
        #[derive(Clone, Debug)]
        pub enum Kind {
            $(#[doc = concat!("See [`", stringify!($family), "`].")] $family($family),)*
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind),)*
        }

        impl Deref for Kind {
            type Target = dyn LayerKind;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$family(layer) => layer,)*
                    $(Self::$kind(layer) => layer,)*
                }
            }
        }

        $(impl From<$family> for Kind {
            fn from(layer: $family) -> Self {
                Self::$family(layer)
            }
        })*

        $(impl From<$kind> for Kind {
            fn from(layer: $kind) -> Self {
                Self::$kind(layer)
            }
        })*

        /// Keras's names of all classes that can be run, sorted.
        pub fn classes() -> Vec<&'static str> {
            let mut classes = [$($family::CLASSES,)* &[$($($class,)+)*]].concat();
            classes.sort_unstable();
            classes.dedup();
            classes
        }

        /// Reads the attributes of a layer of the class `class_name` from its config in the form of Keras 3. `None` for a
        /// class that frostline does not know.
        pub fn read_kind(class_name: &str, config: &Config<'_>) -> Option<Result<Kind>> {
            $(if let Some(class_name) = $family::CLASSES.iter().find(|class| **class == class_name)
                && let Some(read) = $family::from_config(class_name, config)
            {
                return Some(read.map(Kind::$family));
            })*
            match class_name {
                $($($class => Some($kind::from_config($($meaning,)? config).map(Kind::$kind)),)+)*
                _ => None,
            }
        }
    };
}

layers![
    of several classes: Arithmetic, Identity, OneDimensional;
    Activation: "Activation";
    BatchNormalization: "BatchNormalization";
    Concatenate: "Concatenate";
    Conv2D: "Conv2D";
    Conv2DTranspose: "Conv2DTranspose";
    Cropping2D: "Cropping2D";
    Dense: "Dense";
    DepthwiseConv2D: "DepthwiseConv2D";
    Dot: "Dot";
    Dropout: "Dropout"(Dropped::Elements), "SpatialDropout2D"(Dropped::Channels), "StochasticDepth"(Dropped::Images);
    Elu: "ELU";
    Flatten: "Flatten";
    GlobalPooling2D: "GlobalAveragePooling2D"(PoolKind::Average), "GlobalMaxPooling2D"(PoolKind::Max);
    GroupNormalization: "GroupNormalization";
    InputLayer: "InputLayer";
    LayerNormalization: "LayerNormalization";
    LayerScale: "LayerScale";
    LeakyRelu: "LeakyReLU";
    Merge: "Add"(Merge::Add), "Average"(Merge::Average), "Maximum"(Merge::Maximum), "Minimum"(Merge::Minimum),
        "Multiply"(Merge::Multiply), "Subtract"(Merge::Subtract);
    MultiHeadAttention: "MultiHeadAttention";
    Normalization: "Normalization";
    PRelu: "PReLU";
    Permute: "Permute";
    Pooling2D: "AveragePooling2D"(PoolKind::Average), "MaxPooling2D"(PoolKind::Max);
    Relu: "ReLU";
    RepeatVector: "RepeatVector";
    Rescaling: "Rescaling";
    Reshape: "Reshape";
    Resizing: "Resizing";
    ScaledAdd: "CustomScaleLayer";
    SeparableConv2D: "SeparableConv2D";
    Softmax: "Softmax";
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
                | Self::UnitNormalization(_)
        )
    }
}
