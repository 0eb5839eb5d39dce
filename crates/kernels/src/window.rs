//! The geometry of a two-dimensional sliding window, which convolution, depthwise convolution and pooling share.

/// A window that slides over one image `[height, width, channels]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows of the input.
    pub height: usize,
    /// Columns of the input.
    pub width: usize,
    /// Channels of the input.
    pub channels: usize,
    /// Rows of the window.
    pub kernel_h: usize,
    /// Columns of the window.
    pub kernel_w: usize,
    /// Rows from one position to the next.
    pub stride_h: usize,
    /// Columns from one position to the next.
    pub stride_w: usize,
    /// Input rows from one window row to the next; 1 is dense.
    pub dilation_h: usize,
    /// Input columns from one window column to the next; 1 is dense.
    pub dilation_w: usize,
    /// Rows of zeros above the input.
    pub pad_top: usize,
    /// Rows of zeros below the input.
    pub pad_bottom: usize,
    /// Columns of zeros left of the input.
    pub pad_left: usize,
    /// Columns of zeros right of the input.
    pub pad_right: usize,
}

impl Window {
    /// Rows of the output; 0 where the window is larger than the padded input.
    pub fn out_height(&self) -> usize {
        positions(self.height + self.pad_top + self.pad_bottom, self.extent_h(), self.stride_h)
    }

    /// Columns of the output; 0 where the window is larger than the padded input.
    pub fn out_width(&self) -> usize {
        positions(self.width + self.pad_left + self.pad_right, self.extent_w(), self.stride_w)
    }

    /// The padding of TensorFlow's `same`: `ceil(size / stride)` positions; an odd cell goes below and to the right.
    pub fn with_same_padding(mut self) -> Self {
        let same = |size: usize, extent: usize, stride: usize| {
            let total = ((size.div_ceil(stride).max(1) - 1) * stride + extent).saturating_sub(size);
            (total / 2, total - total / 2)
        };
        (self.pad_top, self.pad_bottom) = same(self.height, self.extent_h(), self.stride_h);
        (self.pad_left, self.pad_right) = same(self.width, self.extent_w(), self.stride_w);
        self
    }

    /// Input rows that the dilated window spans.
    pub fn extent_h(&self) -> usize {
        (self.kernel_h - 1) * self.dilation_h + 1
    }

    /// Input columns that the dilated window spans.
    pub(crate) fn extent_w(&self) -> usize {
        (self.kernel_w - 1) * self.dilation_w + 1
    }

    /// Elements of the input image.
    pub(crate) fn input_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Positions of the window, the pixels of the output.
    pub(crate) fn out_pixels(&self) -> usize {
        self.out_height() * self.out_width()
    }

    pub(crate) fn is_padded(&self) -> bool {
        self.pad_top + self.pad_bottom + self.pad_left + self.pad_right > 0
    }

    /// The window rows that fall on real input rows when the window stands at output row `out_y`.
    pub(crate) fn taps_h(&self, out_y: usize) -> std::ops::Range<usize> {
        taps(out_y * self.stride_h, self.pad_top, self.height, self.kernel_h, self.dilation_h)
    }

    /// The window columns that fall on real input columns when the window stands at output column `out_x`.
    pub(crate) fn taps_w(&self, out_x: usize) -> std::ops::Range<usize> {
        taps(out_x * self.stride_w, self.pad_left, self.width, self.kernel_w, self.dilation_w)
    }

    /// The input row under window row `tap` at output row `out_y`; `tap` is one of [`Self::taps_h`].
    pub(crate) fn input_y(&self, out_y: usize, tap: usize) -> usize {
        out_y * self.stride_h + tap * self.dilation_h - self.pad_top
    }

    /// The input column under window column `tap` at output column `out_x`; `tap` is one of [`Self::taps_w`].
    pub(crate) fn input_x(&self, out_x: usize, tap: usize) -> usize {
        out_x * self.stride_w + tap * self.dilation_w - self.pad_left
    }
}

fn positions(padded: usize, extent: usize, stride: usize) -> usize {
    if padded < extent { 0 } else { (padded - extent) / stride + 1 }
}

/// `start`: the first window cell in padded coordinates.
fn taps(start: usize, pad: usize, size: usize, kernel: usize, dilation: usize) -> std::ops::Range<usize> {
    let first = pad.saturating_sub(start).div_ceil(dilation);
    let end = (pad + size).saturating_sub(start).div_ceil(dilation).min(kernel);
    first.min(end)..end
}

/// A convolution: its window, its output channels and its groups. Weights are `[kernel_h, kernel_w,
/// channels / groups, out_channels]` (HWIO).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvShape {
    /// The window over the input.
    pub window: Window,
    /// Channels of the output.
    pub out_channels: usize,
    /// Groups that input and output channels are split into; 1 is an ordinary convolution.
    pub groups: usize,
}

impl ConvShape {
    /// Elements of the weights.
    pub fn weights_len(&self) -> usize {
        self.window.kernel_h * self.window.kernel_w * self.channels_per_group() * self.out_channels
    }

    /// Elements of the output image.
    pub fn output_len(&self) -> usize {
        self.window.out_pixels() * self.out_channels
    }

    pub(crate) fn channels_per_group(&self) -> usize {
        self.window.channels / self.groups
    }

    /// One row of the weights matrix a pixel, without moving the window: the convolution is one matrix product.
    pub fn is_pointwise(&self) -> bool {
        let w = &self.window;
        w.kernel_h == 1
            && w.kernel_w == 1
            && w.stride_h == 1
            && w.stride_w == 1
            && !w.is_padded()
            && self.groups == 1
    }

    /// Checks the lengths of an input and an output; returns the number of output pixels. A 1x1 convolution that is one
    /// matrix product takes any number of pixels.
    pub(crate) fn check_lens<E>(&self, x: &[E], y: &[E]) -> usize {
        let w = &self.window;
        if self.is_pointwise() && w.channels > 0 && w.input_len() > 0 {
            let pixels = x.len() / w.channels;
            assert_eq!(x.len(), pixels * w.channels, "x has whole pixels");
            assert_eq!(y.len(), pixels * self.out_channels, "y has as many pixels as x");
            return pixels;
        }
        assert_eq!(x.len(), w.input_len(), "x has the shape's input length");
        assert_eq!(y.len(), self.output_len(), "y has the shape's output length");
        w.out_pixels()
    }

    pub(crate) fn check(&self) {
        let w = &self.window;
        assert!(
            self.groups > 0 && w.channels.is_multiple_of(self.groups),
            "channels split evenly into groups"
        );
        assert!(self.out_channels.is_multiple_of(self.groups), "output channels split evenly into groups");
        assert!(
            w.stride_h > 0 && w.stride_w > 0 && w.dilation_h > 0 && w.dilation_w > 0,
            "steps are positive"
        );
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn square(
        size: usize,
        channels: usize,
        kernel: usize,
        stride: usize,
        dilation: usize,
    ) -> Window {
        Window {
            height: size,
            width: size,
            channels,
            kernel_h: kernel,
            kernel_w: kernel,
            stride_h: stride,
            stride_w: stride,
            dilation_h: dilation,
            dilation_w: dilation,
            pad_top: 0,
            pad_bottom: 0,
            pad_left: 0,
            pad_right: 0,
        }
    }

    #[test]
    fn same_padding_puts_the_odd_cell_below_and_right() {
        let window = square(224, 3, 3, 2, 1).with_same_padding();
        assert_eq!((window.pad_top, window.pad_bottom), (0, 1));
        assert_eq!((window.out_height(), window.out_width()), (112, 112));
        let window = square(7, 1, 3, 1, 2).with_same_padding();
        assert_eq!((window.pad_left, window.pad_right, window.out_width()), (2, 2, 7));
    }

    #[test]
    fn taps_are_those_on_real_cells() {
        for (size, kernel, stride, dilation) in
            [(5, 3, 1, 1), (6, 3, 2, 1), (9, 3, 1, 3), (4, 5, 2, 2), (1, 5, 1, 1)]
        {
            let window = square(size, 1, kernel, stride, dilation).with_same_padding();
            for out_y in 0..window.out_height() {
                let real: Vec<usize> = (0..kernel)
                    .filter(|tap| {
                        let y = (out_y * stride + tap * dilation) as isize - window.pad_top as isize;
                        y >= 0 && y < size as isize
                    })
                    .collect();
                assert_eq!(window.taps_h(out_y).collect::<Vec<_>>(), real);
            }
        }
    }
}
