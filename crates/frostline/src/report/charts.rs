//! Charts as SVG.

use frostline_graph::{Error, Result};
use plotters::prelude::*;
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};
use std::ops::Range;

/// Pixels.
const SIZE: (u32, u32) = (640, 360);
/// How far series stand apart, as a share of the axis.
const DODGE: f64 = 0.008;
/// Colours that colour-blind readers tell apart (Okabe and Ito 2008), without yellow, which is faint on white.
const COLOURS: [(u8, u8, u8); 7] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (90, 90, 90),
];

/// A value, and how far it may be off.
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) interval: Option<[f64; 2]>,
    pub(super) is_chosen: bool,
}

impl Point {
    pub(super) fn new(x: usize, y: f64, interval: Option<[f64; 2]>) -> Self {
        Self { x: x as f64, y, interval, is_chosen: false }
    }
}

/// Points of one colour. The page has the names beside the chart.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    /// Whether a line goes through them.
    pub(super) is_line: bool,
}

/// A chart.
pub(super) struct Chart {
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) series: Vec<Series>,
}

impl Chart {
    /// The red, green and blue of a series. More series than there are colours to tell apart go through Viridis, in their order.
    pub(super) fn colour(&self, index: usize) -> (u8, u8, u8) {
        let count = self.series.len();
        COLOURS.get(index).copied().filter(|_| count <= COLOURS.len()).unwrap_or_else(|| {
            let RGBColor(red, green, blue) = ViridisRGB.get_color(index as f64 / count as f64);
            (red, green, blue)
        })
    }

    /// Draws it.
    pub(super) fn svg(&self) -> Result<String> {
        let mut text = String::new();
        self.draw(&mut text).map_err(|error| {
            Error::setting(format!("the chart of `{}` over `{}` cannot be drawn: {error}", self.y, self.x))
        })?;
        Ok(text)
    }

    fn draw(&self, text: &mut String) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let xs = range(points().map(|point| point.x));
        let ends = |point: &Point| point.interval.unwrap_or([point.y; 2]).into_iter().chain([point.y]);
        let ys = range(points().flat_map(ends));
        // counts have whole numbers at their axis
        let (span, ticks) = (xs.end - xs.start, ((xs.end - xs.start) as usize + 1).clamp(2, 12));
        // ten labels or so, all with as many digits as tell them apart
        let digits = (1.0 - (ys.end - ys.start).log10()).clamp(0.0, 6.0).ceil() as usize;
        let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .build_cartesian_2d(xs, ys)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(228, 228, 228))
            .x_labels(ticks)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.digits$}"))
            .x_desc(self.x)
            .y_desc(self.y)
            .label_style(("sans-serif", 13))
            .draw()?;
        let middle = self.series.len().saturating_sub(1) as f64 / 2.0;
        for (index, series) in self.series.iter().enumerate() {
            let (red, green, blue) = self.colour(index);
            let colour = RGBColor(red, green, blue);
            // so that intervals at the same place can be told apart
            let x = |point: &Point| point.x + DODGE * span * (index as f64 - middle);
            if series.is_line {
                let line = series.points.iter().map(|point| (x(point), point.y));
                chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
            }
            let bar = |point: &Point| {
                let [low, high] = point.interval?;
                Some(ErrorBar::new_vertical(x(point), low, point.y, high, colour.filled(), 7))
            };
            chart.draw_series(series.points.iter().filter_map(bar))?;
            let dot = |point: &Point| Circle::new((x(point), point.y), 4, colour.filled());
            chart.draw_series(series.points.iter().map(dot))?;
            let ring = |point: &Point| Circle::new((x(point), point.y), 9, BLACK.stroke_width(2));
            chart.draw_series(series.points.iter().filter(|point| point.is_chosen).map(ring))?;
        }
        area.present()
    }
}

/// From the least to the greatest of finite values, and a margin.
fn range(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match low <= high {
        true => {
            let margin = (0.06 * (high - low)).max(1e-6 * high.abs()).max(1e-9);
            low - margin..high + margin
        }
        false => 0.0..1.0,
    }
}
