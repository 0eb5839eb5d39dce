//! An affine map from output pixels to input pixels about the picture's centre.

/// `x_in = xx * x + xy * y + x0`, `y_in = yx * x + yy * y + y0`, in pixels from the centre.
pub(super) struct Affine {
    xx: f32,
    xy: f32,
    yx: f32,
    yy: f32,
    x0: f32,
    y0: f32,
}

impl Affine {
    /// Turned by `angle` radians.
    pub(super) fn rotation(angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { xx: cos, xy: -sin, yx: sin, yy: cos, x0: 0.0, y0: 0.0 }
    }

    /// Then enlarged by `1 / factor`.
    pub(super) fn scaled(self, factor: f32) -> Self {
        Self {
            xx: self.xx * factor,
            xy: self.xy * factor,
            yx: self.yx * factor,
            yy: self.yy * factor,
            ..self
        }
    }

    /// Of a window of `side` of the picture's sides; `at_x`, `at_y` in −1 (left, top) to 1 say where it lies.
    pub(super) fn cropped(self, side: f32, at_x: f32, at_y: f32, height: usize, width: usize) -> Self {
        let room = (1.0 - side) / 2.0;
        let map = self.scaled(side);
        Self { x0: map.x0 + at_x * room * width as f32, y0: map.y0 + at_y * room * height as f32, ..map }
    }

    /// Bilinear samples with a reflected border (`dcba|abcd|dcba`). `pixels`: `[height, width, channels]`.
    pub(super) fn sample(&self, pixels: &[f32], [height, width, channels]: [usize; 3]) -> Vec<f32> {
        let (center_y, center_x) = ((height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0);
        let mut out = Vec::with_capacity(pixels.len());
        for y in 0..height {
            for x in 0..width {
                let (dx, dy) = (x as f32 - center_x, y as f32 - center_y);
                let at_x = self.xx * dx + self.xy * dy + self.x0 + center_x;
                let at_y = self.yx * dx + self.yy * dy + self.y0 + center_y;
                let (left, top) = (at_x.floor(), at_y.floor());
                let (weight_x, weight_y) = (at_x - left, at_y - top);
                let columns = [reflect(left, width), reflect(left + 1.0, width)];
                let rows = [reflect(top, height), reflect(top + 1.0, height)];
                for c in 0..channels {
                    let value = |row: usize, column: usize| {
                        pixels[(rows[row] * width + columns[column]) * channels + c]
                    };
                    let lerp = |a: f32, b: f32, weight: f32| a + (b - a) * weight;
                    let upper = lerp(value(0, 0), value(0, 1), weight_x);
                    let lower = lerp(value(1, 0), value(1, 1), weight_x);
                    out.push(lerp(upper, lower, weight_y));
                }
            }
        }
        out
    }
}

fn reflect(at: f32, extent: usize) -> usize {
    let period = 2 * extent as i64;
    let folded = (at as i64).rem_euclid(period);
    folded.min(period - 1 - folded) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_moves_pixels_exactly() {
        let turned = Affine::rotation(std::f32::consts::FRAC_PI_2).sample(&[1.0, 2.0, 3.0, 4.0], [2, 2, 1]);
        let expected = [2.0, 4.0, 1.0, 3.0];
        assert!(turned.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "{turned:?}");
    }

    #[test]
    fn borders_reflect() {
        let found: Vec<usize> = (-3..7).map(|at| reflect(at as f32, 3)).collect();
        assert_eq!(found, [2, 1, 0, 0, 1, 2, 2, 1, 0, 0]);
    }
}
