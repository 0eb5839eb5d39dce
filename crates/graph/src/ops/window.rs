//! Windows that slide over an image: what convolutions and poolings have in common.

use frostline_kernels::Window;

/// What is put around an image before a window slides over it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: only whole windows.
    #[default]
    Valid,
    /// TensorFlow's `same`: as many outputs as inputs divided by the stride, the odd row or column of padding at
    /// the bottom and right.
    Same,
    /// Zeros as said.
    Explicit {
        /// Rows above.
        top: usize,
        /// Rows below.
        bottom: usize,
        /// Columns before.
        left: usize,
        /// Columns after.
        right: usize,
    },
}

/// How a window slides over an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sliding {
    /// Rows and columns from one position to the next.
    pub strides: [usize; 2],
    /// Rows and columns of the image from one cell of the window to the next; 1 is dense.
    pub dilation: [usize; 2],
    /// Around the image.
    pub padding: Padding,
}

/// Pixel by pixel, with dense windows that lie inside the image.
impl Default for Sliding {
    fn default() -> Self {
        Self { strides: [1, 1], dilation: [1, 1], padding: Padding::Valid }
    }
}

/// No window spans more rows or columns.
const LONGEST: usize = 1 << 14;

impl Sliding {
    /// The window of `size` over an image `[height, width, channels]`.
    pub(crate) fn window(self, input: &[usize], size: [usize; 2]) -> Result<Window, String> {
        let Self { strides, dilation, padding } = self;
        let [height, width, channels] = *input else {
            return Err(format!("expected an image [height, width, channels], received {input:?}"));
        };
        if [size, strides, dilation].as_flattened().contains(&0) {
            return Err(format!(
                "size {size:?}, strides {strides:?} and dilation {dilation:?} must be above 0"
            ));
        }
        // what a window spans is padded: a damaged file may ask for more than can be held
        if [0, 1].iter().any(|axis| (size[*axis] - 1).saturating_mul(dilation[*axis]) > LONGEST) {
            return Err(format!("a window of {size:?} with dilation {dilation:?} is too large"));
        }
        let (pad_top, pad_bottom, pad_left, pad_right) = match padding {
            Padding::Explicit { top, bottom, left, right } => (top, bottom, left, right),
            _ => (0, 0, 0, 0),
        };
        let window = Window {
            height,
            width,
            channels,
            kernel_h: size[0],
            kernel_w: size[1],
            stride_h: strides[0],
            stride_w: strides[1],
            dilation_h: dilation[0],
            dilation_w: dilation[1],
            pad_top,
            pad_bottom,
            pad_left,
            pad_right,
        };
        let window = if padding == Padding::Same { window.with_same_padding() } else { window };
        let fits =
            |extent: usize, pads: usize, size: usize, dilation: usize| extent + pads > (size - 1) * dilation;
        let fits_h = fits(height, window.pad_top + window.pad_bottom, size[0], dilation[0]);
        if !fits_h || !fits(width, window.pad_left + window.pad_right, size[1], dilation[1]) {
            return Err(format!("a window of {size:?} does not fit into an image of {height} x {width}"));
        }
        Ok(window)
    }
}
