//! Compute kernels: slices in, slices out.
