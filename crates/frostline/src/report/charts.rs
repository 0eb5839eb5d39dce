//! Charts as SVG in a page: colours are the page's, light or dark, and text is large enough where the page is narrow.

use super::themed::{self, Paint};
use frostline_graph::{Error, Result};
use plotters::prelude::*;
use std::ops::Range;

/// Pixels, which are those of a phone; wider pages show it larger.
const SIZE: (u32, u32) = (360, 260);
/// Of text. SVG's own sizes are smaller by the factor that plotters divides them by.
const TEXT: f64 = 13.5 * 1.24;
/// Of a digit.
const LETTER: f64 = 8.0;
/// How far series stand apart, as a share of the axis.
const DODGE: f64 = 0.008;

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

    pub(super) fn at(x: f64, y: f64) -> Self {
        Self { x, y, interval: None, is_chosen: false }
    }
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Dots, with a line through them.
    Line,
    /// Dots alone.
    Dots,
    /// A thin line, without dots: what the others are to be compared with.
    Guide,
}

/// Points of one colour. The page has the names beside the chart.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
    pub(super) style: Style,
}

/// What the values of the lower axis are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Counts, which are whole numbers.
    Counts,
    /// Any numbers.
    Numbers,
    /// Numbers that are given by their logarithms to the base of ten.
    Logarithms,
}

/// A chart.
pub(super) struct Chart {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) scale: Scale,
    pub(super) series: Vec<Series>,
    /// Places on the lower axis where something new begins.
    pub(super) marks: Vec<f64>,
}

impl Chart {
    /// Over counts.
    pub(super) fn of_counts(x: &str, y: &str, series: Vec<Series>) -> Self {
        Self { x: x.to_owned(), y: y.to_owned(), scale: Scale::Counts, series, marks: Vec::new() }
    }

    /// The colour of a series. More series than there are colours to tell apart go from one colour to another, in their order.
    pub(super) fn paint_of(&self, index: usize, series: &Series) -> Paint {
        match series.style {
            Style::Guide => Paint::Soft,
            Style::Line | Style::Dots => themed::of_series(index, self.series.len()),
        }
    }

    /// Draws it. `told` is what it shows, for those who do not see it.
    pub(super) fn svg(&self, told: &str) -> Result<String> {
        let mut text = String::new();
        self.draw(&mut text).map_err(|error| {
            Error::setting(format!("the chart of `{}` over `{}` cannot be drawn: {error}", self.y, self.x))
        })?;
        Ok(themed::themed(&text, told))
    }

    fn draw(&self, text: &mut String) -> std::result::Result<(), DrawingAreaErrorKind<std::io::Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let xs = range(points().map(|point| point.x).chain(self.marks.iter().copied()));
        let ends = |point: &Point| point.interval.unwrap_or([point.y; 2]).into_iter().chain([point.y]);
        let ys = range(points().flat_map(ends));
        let (span, height) = (xs.end - xs.start, ys.clone());
        let ticks = match self.scale {
            // counts have whole numbers at their axis
            Scale::Counts => (span as usize + 1).clamp(2, 7),
            Scale::Numbers | Scale::Logarithms => 6,
        };
        // all labels with as many digits as tell them apart
        let digits = |span: f64| (1.0 - span.log10()).clamp(0.0, 6.0).ceil() as usize;
        let (x_digits, y_digits) = (digits(span), digits(ys.end - ys.start));
        // the labels of the left axis stand beside its name
        let widest =
            [ys.start, ys.end].map(|y| format!("{y:.y_digits$}").len()).into_iter().max().unwrap_or(0);
        let left = (32.0 + LETTER * widest as f64) as u32;
        let scale = self.scale;
        let x_label = move |x: &f64| match scale {
            Scale::Counts => format!("{x:.0}"),
            Scale::Numbers => format!("{x:.x_digits$}"),
            Scale::Logarithms if x.fract().abs() < 1e-6 => format!("1e{x:.0}"),
            Scale::Logarithms => String::new(),
        };
        let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
        let label = |paint: Paint| ("sans-serif", TEXT).into_font().color(&paint.stand_in());
        let mut chart = ChartBuilder::on(&area)
            .margin(6)
            .margin_right(14)
            .x_label_area_size(44)
            .y_label_area_size(left)
            .build_cartesian_2d(xs, ys)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(Paint::Grid.stand_in())
            .axis_style(Paint::Axis.stand_in())
            .x_labels(ticks)
            .y_labels(6)
            .x_label_formatter(&x_label)
            .y_label_formatter(&|y| format!("{y:.y_digits$}"))
            .x_desc(&self.x)
            .y_desc(&self.y)
            .label_style(label(Paint::Soft))
            .axis_desc_style(label(Paint::Ink))
            .draw()?;
        for mark in &self.marks {
            let line = [(*mark, height.start), (*mark, height.end)];
            chart.draw_series(DashedLineSeries::new(line, 4, 4, Paint::Soft.stand_in().stroke_width(1)))?;
        }
        let middle = self.series.len().saturating_sub(1) as f64 / 2.0;
        for (index, series) in self.series.iter().enumerate() {
            let colour = self.paint_of(index, series).stand_in();
            // so that intervals at the same place can be told apart
            let apart =
                if self.scale == Scale::Counts { DODGE * span * (index as f64 - middle) } else { 0.0 };
            let x = |point: &Point| point.x + apart;
            if series.style != Style::Dots {
                let width = if series.style == Style::Guide { 1 } else { 2 };
                let line = series.points.iter().map(|point| (x(point), point.y));
                chart.draw_series(LineSeries::new(line, colour.stroke_width(width)))?;
            }
            if series.style == Style::Guide {
                continue;
            }
            let bar = |point: &Point| {
                let [low, high] = point.interval?;
                Some(ErrorBar::new_vertical(x(point), low, point.y, high, colour.filled(), 7))
            };
            chart.draw_series(series.points.iter().filter_map(bar))?;
            // many points are drawn small
            let radius = if series.points.len() > 40 { 2 } else { 4 };
            let dot = |point: &Point| Circle::new((x(point), point.y), radius, colour.filled());
            chart.draw_series(series.points.iter().map(dot))?;
            let ring =
                |point: &Point| Circle::new((x(point), point.y), 9, Paint::Ink.stand_in().stroke_width(2));
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
