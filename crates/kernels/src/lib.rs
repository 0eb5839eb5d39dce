//! Compute kernels: slices in, slices out.
//!
//! Every kernel works on one image (or a few rows) of `f32` in NHWC order, on the thread that calls it, and allocates
//! nothing: scratch memory is the caller's, and so are threads. Forward and backward stand side by side; gradients
//! are added to what is there (`+=`). Lengths that do not fit the shape are errors of the caller and panic.

mod activation;
mod buffer;
mod concat;
mod conv;
mod depthwise;
mod dispatch;
mod element;
mod elementwise;
mod epilogue;
mod exponential;
mod group_norm;
#[cfg(all(test, target_os = "linux", not(miri)))]
mod guard_pages;
mod matmul;
mod norm;
mod pad;
mod pool;
mod quantized;
#[cfg(test)]
mod reference;
mod resize;
mod simd;
mod softmax;
mod stored;
mod stream;
mod tile;
mod window;

pub use activation::{Activation, activate, activate_backward};
pub use buffer::Buffer;
pub use concat::{add_columns_back, copy_columns};
pub use conv::{
    Convolution, PackedConv, PackedConvGradient, conv_backward_weights, conv_backward_weights_scratch_len,
    conv_backward_weights_takes_batches,
};
pub use depthwise::{
    DepthwiseShape, PackedDepthwise, depthwise, depthwise_backward_input, depthwise_backward_weights,
    depthwise_scratch_len,
};
pub use dispatch::{bf16_instruction_set, instruction_set, int8_instruction_set};
pub use element::{Bf16, Element, decode, encode, scratch_floats};
pub use elementwise::*;
pub use epilogue::Epilogue;
pub use exponential::erf;
pub use group_norm::{Blocks, group_norm, group_norm_backward_gamma, group_norm_backward_input};
pub use matmul::{Accumulate, matmul, matmul_at, matmul_bt};
pub use norm::*;
pub use pad::{Margins, crop, crop_backward, pad, pad_backward};
pub use pool::*;
pub use quantized::{Quantization, QuantizedConv, QuantizedDepthwise};
pub use resize::{resize_bilinear, resize_bilinear_backward, resize_nearest, resize_nearest_backward};
pub use softmax::{softmax, softmax_backward};
pub use stored::scratch_of;
pub use stream::stream;
pub use window::{ConvShape, Window};
