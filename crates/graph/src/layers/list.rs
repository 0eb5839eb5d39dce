//! Every layer kind. To add one: its file, and a line here.

use super::*;
use crate::ops::{Dropped, PoolKind};

/// Reads the attributes of a layer of the class `class_name` from its config in the form of Keras 3. `None` for a
/// class that frostline does not know.
pub fn read_kind(class_name: &str, config: &Config<'_>) -> Option<Result<Box<dyn LayerKind>>> {
    fn boxed(kind: Result<impl LayerKind + 'static>) -> Option<Result<Box<dyn LayerKind>>> {
        Some(kind.map(|kind| Box::new(kind) as Box<dyn LayerKind>))
    }
    if let Some(class_name) = identity::CLASSES.iter().find(|name| **name == class_name) {
        return boxed(Identity::from_config(class_name, config));
    }
    if let Some(kind) = Arithmetic::from_config(class_name, config) {
        return boxed(kind);
    }
    if let Some(kind) = OneDimensional::from_config(class_name, config) {
        return boxed(kind);
    }
    match class_name {
        "Activation" => boxed(Activation::from_config(config)),
        "Add" => boxed(Merge::Add.from_config(config)),
        "Average" => boxed(Merge::Average.from_config(config)),
        "AveragePooling2D" => boxed(Pooling2D::from_config(PoolKind::Average, config)),
        "BatchNormalization" => boxed(BatchNormalization::from_config(config)),
        "Concatenate" => boxed(Concatenate::from_config(config)),
        "Conv2D" => boxed(Conv2D::from_config(config)),
        "Conv2DTranspose" => boxed(Conv2DTranspose::from_config(config)),
        "Cropping2D" => boxed(Cropping2D::from_config(config)),
        "CustomScaleLayer" => boxed(ScaledAdd::from_config(config)),
        "Dense" => boxed(Dense::from_config(config)),
        "DepthwiseConv2D" => boxed(DepthwiseConv2D::from_config(config)),
        "Dot" => boxed(Dot::from_config(config)),
        "Dropout" => boxed(Dropout::from_config(Dropped::Elements, config)),
        "ELU" => boxed(Elu::from_config(config)),
        "Flatten" => boxed(Flatten::from_config(config)),
        "GlobalAveragePooling2D" => boxed(GlobalPooling2D::from_config(PoolKind::Average, config)),
        "GlobalMaxPooling2D" => boxed(GlobalPooling2D::from_config(PoolKind::Max, config)),
        "GroupNormalization" => boxed(GroupNormalization::from_config(config)),
        "InputLayer" => boxed(InputLayer::from_config(config)),
        "LayerNormalization" => boxed(LayerNormalization::from_config(config)),
        "LayerScale" => boxed(LayerScale::from_config(config)),
        "LeakyReLU" => boxed(LeakyRelu::from_config(config)),
        "MaxPooling2D" => boxed(Pooling2D::from_config(PoolKind::Max, config)),
        "Maximum" => boxed(Merge::Maximum.from_config(config)),
        "Minimum" => boxed(Merge::Minimum.from_config(config)),
        "MultiHeadAttention" => boxed(MultiHeadAttention::from_config(config)),
        "Multiply" => boxed(Merge::Multiply.from_config(config)),
        "Normalization" => boxed(Normalization::from_config(config)),
        "PReLU" => boxed(PRelu::from_config(config)),
        "Permute" => boxed(Permute::from_config(config)),
        "ReLU" => boxed(Relu::from_config(config)),
        "RepeatVector" => boxed(RepeatVector::from_config(config)),
        "Rescaling" => boxed(Rescaling::from_config(config)),
        "Reshape" => boxed(Reshape::from_config(config)),
        "Resizing" => boxed(Resizing::from_config(config)),
        "SeparableConv2D" => boxed(SeparableConv2D::from_config(config)),
        "Softmax" => boxed(Softmax::from_config(config)),
        "SpatialDropout2D" => boxed(Dropout::from_config(Dropped::Channels, config)),
        "StochasticDepth" => boxed(Dropout::from_config(Dropped::Images, config)),
        "Subtract" => boxed(Merge::Subtract.from_config(config)),
        "UnitNormalization" => boxed(UnitNormalization::from_config(config)),
        "UpSampling2D" => boxed(UpSampling2D::from_config(config)),
        "ZeroPadding2D" => boxed(ZeroPadding2D::from_config(config)),
        _ => None,
    }
}
