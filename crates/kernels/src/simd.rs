//! The few vector operations that the register tiles are written in, for each instruction set.

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;
pub(crate) mod portable;

/// Vectors of `f32` of one instruction set.
///
/// # Safety
/// Every function may be called only where the processor has the instruction set, and pointers are valid for
/// [`Self::LANES`] elements, or for `len` of them in the partial functions (`len <= LANES`). No alignment is needed.
pub(crate) trait Simd: Copy {
    /// Elements of a vector.
    const LANES: usize;
    /// One register.
    type Vector: Copy;

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self::Vector;
    /// `LANES` elements.
    unsafe fn load(from: *const f32) -> Self::Vector;
    /// `len` elements, then zeros.
    unsafe fn load_partial(from: *const f32, len: usize) -> Self::Vector;
    /// `LANES` elements.
    unsafe fn store(to: *mut f32, vector: Self::Vector);
    /// The first `len` elements.
    unsafe fn store_partial(to: *mut f32, vector: Self::Vector, len: usize);
    /// `a + b`.
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, rounded once where the instruction set can.
    unsafe fn multiply_add(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `min(max(x, low), high)`; NaN stays NaN.
    unsafe fn clamp(x: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector;
}
