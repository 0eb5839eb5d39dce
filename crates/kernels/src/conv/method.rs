//! Which method computes a convolution of f32.

use super::winograd::Winograd;
use super::{PackedConv, Residual};
use crate::activation::Activation;
use crate::epilogue::Epilogue;
use crate::matmul::Accumulate;
use crate::tile::Tiled;
use crate::tile::Tiles;
use crate::window::ConvShape;

/// The weights of a convolution, packed for the method that suits its shape.
#[derive(Clone, Debug)]
pub struct Convolution(Method);

#[derive(Clone, Debug)]
enum Method {
    Direct(PackedConv),
    Winograd(Winograd),
}

impl Convolution {
    /// Packs `weights`, `[kernel_h, kernel_w, channels / groups, out_channels]`, for calls with about `images` images side
    /// by side where [`Self::takes_batches`].
    pub fn new(shape: ConvShape, weights: &[f32], images: usize) -> Self {
        Self::with_tiles(shape, weights, images, f32::tiles())
    }

    pub(super) fn with_tiles(
        shape: ConvShape,
        weights: &[f32],
        images: usize,
        tiles: &'static Tiles,
    ) -> Self {
        shape.check();
        Self(match Winograd::pays(&shape, images) {
            true => Method::Winograd(Winograd::with_tiles(shape, weights, tiles)),
            false => Method::Direct(PackedConv::with_tiles(shape, weights, tiles)),
        })
    }

    /// Packs other weights of the same shape into the same memory.
    pub fn repack(&mut self, weights: &[f32]) {
        match &mut self.0 {
            Method::Direct(conv) => conv.repack(weights),
            Method::Winograd(conv) => conv.repack(weights),
        }
    }

    /// The shape that the weights were packed for.
    pub fn shape(&self) -> ConvShape {
        match &self.0 {
            Method::Direct(conv) => conv.shape(),
            Method::Winograd(conv) => conv.shape(),
        }
    }

    /// Elements of scratch memory that [`Self::forward`] needs.
    pub fn scratch_len(&self) -> usize {
        match &self.0 {
            Method::Direct(conv) => conv.scratch_len(),
            Method::Winograd(conv) => conv.scratch_len(),
        }
    }

    /// Whether several images may be handed over as one, side by side: what comes out is the same, only faster.
    pub fn takes_batches(&self) -> bool {
        match &self.0 {
            Method::Direct(conv) => conv.shape().is_pointwise(),
            Method::Winograd(_) => true,
        }
    }

    /// As [`PackedConv::forward`].
    pub fn forward(&self, x: &[f32], y: &mut [f32], epilogue: Epilogue<'_>, scratch: &mut [f32]) {
        let Epilogue { bias, residual, activation } = epilogue;
        match &self.0 {
            Method::Direct(conv) => conv.forward(x, y, epilogue, scratch),
            Method::Winograd(conv) => {
                epilogue.check(conv.shape().out_channels, y.len());
                conv.run(x, y, bias, residual.map_or(Residual::None, Residual::Given), activation, scratch);
            }
        }
    }

    /// `y = conv(x)` or `y += conv(x)`.
    pub fn product(&self, x: &[f32], y: &mut [f32], accumulate: Accumulate, scratch: &mut [f32]) {
        match &self.0 {
            Method::Direct(conv) => conv.product(x, y, accumulate, scratch),
            Method::Winograd(conv) => {
                let residual = if accumulate == Accumulate::Add { Residual::Output } else { Residual::None };
                conv.run(x, y, None, residual, Activation::Linear, scratch);
            }
        }
    }
}
