//! Zero padding and cropping of an image's borders.

use crate::element::Element;

/// Rows and columns at the borders of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Margins {
    /// Rows above.
    pub top: usize,
    /// Rows below.
    pub bottom: usize,
    /// Columns to the left.
    pub left: usize,
    /// Columns to the right.
    pub right: usize,
}

/// Puts zeros around `x`.
///
/// * `x`: `[height, width, channels]`
/// * `y`: `[top + height + bottom, left + width + right, channels]`
pub fn pad<E: Element>(height: usize, width: usize, channels: usize, margins: Margins, x: &[E], y: &mut [E]) {
    y.fill(E::default());
    let inner = Inner::of_padded(height, width, channels, margins);
    inner.check(y.len(), x.len());
    inner.rows(|outer, inside| y[outer].copy_from_slice(&x[inside]));
}

/// `dx +=` the inside of `dy`; shapes as in [`pad`].
pub fn pad_backward(
    height: usize,
    width: usize,
    channels: usize,
    margins: Margins,
    dy: &[f32],
    dx: &mut [f32],
) {
    let inner = Inner::of_padded(height, width, channels, margins);
    inner.check(dy.len(), dx.len());
    inner.rows(|outer, inside| add(&mut dx[inside], &dy[outer]));
}

/// Cuts the margins off `x`.
///
/// * `x`: `[height, width, channels]`
/// * `y`: `[height - top - bottom, width - left - right, channels]`
pub fn crop<E: Element>(
    height: usize,
    width: usize,
    channels: usize,
    margins: Margins,
    x: &[E],
    y: &mut [E],
) {
    let inner = Inner::of_cropped(height, width, channels, margins);
    inner.check(x.len(), y.len());
    inner.rows(|outer, inside| y[inside].copy_from_slice(&x[outer]));
}

/// The inside of `dx += dy`; shapes as in [`crop`].
pub fn crop_backward(
    height: usize,
    width: usize,
    channels: usize,
    margins: Margins,
    dy: &[f32],
    dx: &mut [f32],
) {
    let inner = Inner::of_cropped(height, width, channels, margins);
    inner.check(dx.len(), dy.len());
    inner.rows(|outer, inside| add(&mut dx[outer], &dy[inside]));
}

fn add(y: &mut [f32], x: &[f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += x;
    }
}

/// An image inside a larger one.
struct Inner {
    height: usize,
    width: usize,
    channels: usize,
    margins: Margins,
}

impl Inner {
    fn of_padded(height: usize, width: usize, channels: usize, margins: Margins) -> Self {
        Self { height, width, channels, margins }
    }

    fn of_cropped(height: usize, width: usize, channels: usize, margins: Margins) -> Self {
        let rest = |size: usize, a: usize, b: usize| {
            size.checked_sub(a + b).expect("the margins are smaller than the image")
        };
        Self {
            height: rest(height, margins.top, margins.bottom),
            width: rest(width, margins.left, margins.right),
            channels,
            margins,
        }
    }

    fn check(&self, outer: usize, inside: usize) {
        let Margins { top, bottom, left, right } = self.margins;
        let (height, width) = (self.height + top + bottom, self.width + left + right);
        assert_eq!(outer, height * width * self.channels, "the outer image has its shape");
        assert_eq!(inside, self.height * self.width * self.channels, "the inner image has its shape");
    }

    /// Calls `visit` with the range of each row of the inner image in the outer one and in itself.
    fn rows(&self, mut visit: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>)) {
        let row = self.width * self.channels;
        let outer_width = self.width + self.margins.left + self.margins.right;
        for y in 0..self.height {
            let outer = ((y + self.margins.top) * outer_width + self.margins.left) * self.channels;
            visit(outer..outer + row, y * row..(y + 1) * row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARGINS: Margins = Margins { top: 1, bottom: 0, left: 0, right: 1 };

    #[test]
    fn padding_puts_zeros_where_the_margins_say() {
        let mut y = [9.0; 9];
        pad(2, 2, 1, MARGINS, &[1.0, 2.0, 3.0, 4.0], &mut y);
        assert_eq!(y, [0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0, 0.0]);
        let mut dx = [1.0; 4];
        pad_backward(2, 2, 1, MARGINS, &y, &mut dx);
        assert_eq!(dx, [2.0, 3.0, 4.0, 5.0]);
    }

    #[test]
    fn cropping_undoes_padding() {
        let x: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let mut y = [0.0; 8];
        crop(3, 3, 2, MARGINS, &x, &mut y);
        assert_eq!(y, [6.0, 7.0, 8.0, 9.0, 12.0, 13.0, 14.0, 15.0]);
        let mut dx = vec![1.0; 18];
        crop_backward(3, 3, 2, MARGINS, &y, &mut dx);
        assert_eq!(dx[..6], [1.0; 6]);
        assert_eq!(dx[6..10], [7.0, 8.0, 9.0, 10.0]);
        assert_eq!(dx[10..12], [1.0; 2]);
    }
}
