//! Every operation. To add one: a line here.

use super::given::Given;
use super::{arithmetic, arrange, attention, elementwise, images, join, network, product, reduce, take};
use crate::Result;
use crate::ops::ValueId;

/// How an operation lowers: what it pushes, and which values it gives.
type Lower = fn(&mut Given<'_, '_>) -> Result<Vec<ValueId>>;

/// An operation of Keras.
#[derive(Debug)]
pub(super) struct Class {
    pub(super) name: &'static str,
    /// Where Keras keeps it.
    pub(super) module: &'static str,
    /// The parameters of its call, in order.
    pub(super) parameters: &'static [&'static str],
    pub(super) lower: Lower,
}

macro_rules! operations {
    ($($module:literal $parameters:tt { $($name:literal => $lower:expr,)* })*) => {
        pub(super) const NAMES: &[&str] = &[$($($name,)*)*];

        pub(super) const OPERATIONS: &[Class] = &[$($(Class {
            name: $name,
            module: concat!("keras.src.ops.", $module),
            parameters: operations!(@names $parameters),
            lower: $lower,
        },)*)*];
    };
    (@names ($($parameter:ident),*)) => { &[$(stringify!($parameter)),*] };
}

operations! {
    "numpy" (x) {
        "Abs" => elementwise::absolute,
        "Absolute" => elementwise::absolute,
        "All" => reduce::all,
        "Amax" => reduce::max,
        "Amin" => reduce::min,
        "Any" => reduce::any,
        "Argmax" => reduce::arg_max,
        "Argmin" => reduce::arg_min,
        "BroadcastTo" => take::broadcast_to,
        "Ceil" => elementwise::ceil,
        "Clip" => elementwise::clip,
        "Copy" => elementwise::identity,
        "Cos" => elementwise::cos,
        "CountNonzero" => reduce::count_nonzero,
        "Exp" => elementwise::exp,
        "ExpandDims" => arrange::expand_dims,
        "Expm1" => elementwise::expm1,
        "Flip" => take::flip,
        "Floor" => elementwise::floor,
        "Log" => elementwise::log,
        "Log10" => elementwise::log10,
        "Log1p" => elementwise::log1p,
        "Log2" => elementwise::log2,
        "LogicalNot" => elementwise::not,
        "Max" => reduce::max,
        "Mean" => reduce::mean,
        "Min" => reduce::min,
        "Moveaxis" => arrange::move_axis,
        "Negative" => elementwise::negative,
        "OnesLike" => elementwise::ones,
        "Prod" => reduce::product,
        "Reciprocal" => elementwise::reciprocal,
        "Repeat" => take::repeat,
        "Reshape" => arrange::reshape,
        "Roll" => take::roll,
        "Round" => elementwise::round,
        "Sign" => elementwise::sign,
        "Sin" => elementwise::sin,
        "Split" => take::split,
        "Sqrt" => elementwise::sqrt,
        "Square" => elementwise::square,
        "Squeeze" => arrange::squeeze,
        "Stack" => join::stack,
        "Std" => reduce::std,
        "Sum" => reduce::sum,
        "Swapaxes" => arrange::swap_axes,
        "Tanh" => elementwise::tanh,
        "Tile" => take::tile,
        "Transpose" => arrange::transpose,
        "Trunc" => elementwise::trunc,
        "Var" => reduce::variance,
        "ZerosLike" => elementwise::zeros,
    }
    "numpy" (x, constant_values) {
        "Pad" => take::pad,
    }
    "numpy" (x, fill_value) {
        "FullLike" => elementwise::full,
    }
    "numpy" (x, indices) {
        "Take" => take::take,
    }
    "numpy" (x, key) {
        "GetItem" => take::get_item,
    }
    "numpy" (xs) {
        "Concatenate" => join::concatenate,
        "Hstack" => join::hstack,
    }
    "numpy" (x1, x2) {
        "Add" => arithmetic::add,
        "Append" => join::append,
        "Divide" => arithmetic::divide,
        "DivideNoNan" => arithmetic::divide_no_nan,
        "Equal" => arithmetic::equal,
        "FloorDivide" => arithmetic::floor_divide,
        "Greater" => arithmetic::greater,
        "GreaterEqual" => arithmetic::greater_equal,
        "Less" => arithmetic::less,
        "LessEqual" => arithmetic::less_equal,
        "LogicalAnd" => arithmetic::and,
        "LogicalOr" => arithmetic::or,
        "LogicalXor" => arithmetic::xor,
        "Matmul" => product::matmul,
        "Maximum" => arithmetic::maximum,
        "Minimum" => arithmetic::minimum,
        "Mod" => arithmetic::modulo,
        "Multiply" => arithmetic::multiply,
        "NotEqual" => arithmetic::not_equal,
        "Power" => arithmetic::power,
        "Subtract" => arithmetic::subtract,
        "TrueDivide" => arithmetic::divide,
    }
    "numpy" (condition, x1, x2) {
        "Where" => arithmetic::choose,
    }
    "numpy" () {
        "Einsum" => product::einsum,
    }
    "nn" (x) {
        "Celu" => elementwise::celu,
        "DepthToSpace" => arrange::depth_to_space,
        "Elu" => elementwise::elu,
        "Gelu" => elementwise::gelu,
        "Glu" => network::glu,
        "HardShrink" => elementwise::hard_shrink,
        "HardSigmoid" => elementwise::hard_sigmoid,
        "HardSilu" => elementwise::hard_silu,
        "HardTanh" => elementwise::hard_tanh,
        "LeakyRelu" => elementwise::leaky_relu,
        "LogSigmoid" => elementwise::log_sigmoid,
        "LogSoftmax" => network::log_softmax,
        "Moments" => reduce::moments,
        "Normalize" => network::normalize,
        "Relu" => elementwise::relu,
        "Relu6" => elementwise::relu6,
        "Selu" => elementwise::selu,
        "Sigmoid" => elementwise::sigmoid,
        "Silu" => elementwise::silu,
        "SoftShrink" => elementwise::soft_shrink,
        "Softmax" => network::softmax,
        "Softplus" => elementwise::softplus,
        "Softsign" => elementwise::softsign,
        "SpaceToDepth" => arrange::space_to_depth,
        "Squareplus" => elementwise::squareplus,
        "TanhShrink" => elementwise::tanh_shrink,
        "Threshold" => elementwise::threshold,
    }
    "nn" (inputs) {
        "AveragePool" => images::average_pool,
        "MaxPool" => images::max_pool,
    }
    "nn" (query, key, value, bias, mask, scale) {
        "DotProductAttention" => attention::dot_product,
    }
    "nn" (x, gamma, beta) {
        "LayerNorm" => network::layer_norm,
    }
    "nn" (x, scale) {
        "RMSNorm" => network::rms_norm,
    }
    "math" (x) {
        "Erf" => elementwise::erf,
        "Logsumexp" => reduce::log_sum_exp,
        "Rsqrt" => elementwise::rsqrt,
    }
    "linalg" (x) {
        "Norm" => reduce::norm,
    }
    "core" (x) {
        "Cast" => elementwise::cast,
        "ConvertToTensor" => elementwise::identity,
        "SaturateCast" => elementwise::cast,
        "Unstack" => take::unstack,
    }
    "core" (variable) {
        "StopGradient" => elementwise::stop_gradient,
    }
    "core" (inputs, start_indices) {
        "Slice" => take::slice,
    }
    "image" (images) {
        "CropImages" => images::crop,
        "PadImages" => images::pad,
        "RGBToGrayscale" => images::grayscale,
        "Resize" => images::resize,
    }
}
