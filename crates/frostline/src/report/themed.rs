//! The colours of pictures in a page. A picture is drawn in colours that stand for those of the page, which differ between light and
//! dark, and which take their places when it is done.

use plotters::style::RGBColor;

/// Colours of series that colour-blind readers tell apart (after Okabe and Ito 2008); the page's style has one for each.
const SERIES: usize = 7;
/// Steps from the first of many series to the last.
const STEPS: usize = 64;

/// A colour of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    /// Text.
    Ink,
    /// Text that is less important.
    Soft,
    /// The lines of a mesh.
    Grid,
    /// The lines of axes.
    Axis,
    /// What is as it should be.
    Right,
    /// What is not.
    Wrong,
    /// Text on full [`Paint::Right`] or [`Paint::Wrong`].
    OnFull,
    /// A series of few.
    Series(usize),
    /// A series of many, by its place from 0 to 63.
    Step(usize),
}

/// The colour of a series of so many.
pub(super) fn of_series(index: usize, count: usize) -> Paint {
    match count <= SERIES {
        true => Paint::Series(index % SERIES),
        false => Paint::Step(index * (STEPS - 1) / (count - 1)),
    }
}

impl Paint {
    fn all() -> impl Iterator<Item = Self> {
        let plain = [Self::Ink, Self::Soft, Self::Grid, Self::Axis, Self::Right, Self::Wrong, Self::OnFull];
        plain.into_iter().chain((0..SERIES).map(Self::Series)).chain((0..STEPS).map(Self::Step))
    }

    /// The colour that stands for it while a picture is drawn.
    pub(super) fn stand_in(self) -> RGBColor {
        match self {
            Self::Ink => RGBColor(1, 0, 0),
            Self::Soft => RGBColor(1, 0, 1),
            Self::Grid => RGBColor(1, 0, 2),
            Self::Axis => RGBColor(1, 0, 3),
            Self::Right => RGBColor(1, 0, 4),
            Self::Wrong => RGBColor(1, 0, 5),
            Self::OnFull => RGBColor(1, 0, 6),
            Self::Series(index) => RGBColor(1, 1, index as u8),
            Self::Step(index) => RGBColor(1, 2, index as u8),
        }
    }

    /// What the page calls it.
    pub(super) fn css(self) -> String {
        match self {
            Self::Ink => "currentColor".to_owned(),
            Self::Soft => "var(--soft)".to_owned(),
            Self::Grid => "var(--grid)".to_owned(),
            Self::Axis => "var(--axis)".to_owned(),
            Self::Right => "var(--right)".to_owned(),
            Self::Wrong => "var(--wrong)".to_owned(),
            Self::OnFull => "var(--on-full)".to_owned(),
            Self::Series(index) => format!("var(--series-{index})"),
            Self::Step(index) => {
                format!("color-mix(in oklab,var(--last) {}%,var(--first))", index * 100 / (STEPS - 1))
            }
        }
    }
}

/// A picture in the page's colours, with its name and what it shows for those who do not see it.
pub(super) fn themed(svg: &str, told: &str) -> String {
    let told = told.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let mut svg = svg.replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{told}\" "), 1);
    // in a page it needs no name of its language, which looks like an address
    svg = svg.replacen(" xmlns=\"http://www.w3.org/2000/svg\"", "", 1);
    // in text a quotation mark is escaped, so that these are attributes
    for paint in Paint::all() {
        let RGBColor(red, green, blue) = paint.stand_in();
        let stand_in = format!("\"#{red:02X}{green:02X}{blue:02X}\"");
        if svg.contains(&stand_in) {
            svg = svg.replace(&stand_in, &format!("\"{}\"", paint.css()));
        }
    }
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_colour_has_a_stand_in_of_its_own() {
        let key = |paint: Paint| {
            let RGBColor(red, green, blue) = paint.stand_in();
            (red, green, blue)
        };
        let all: Vec<Paint> = Paint::all().collect();
        assert_eq!(all.iter().map(|paint| key(*paint)).collect::<BTreeSet<_>>().len(), all.len());
        let shown: BTreeSet<String> = (0..20).map(|index| of_series(index, 20).css()).collect();
        assert_eq!(shown.len(), 20);
    }

    #[test]
    fn colours_change_in_attributes_and_not_in_text() {
        let told = "<a> & \"b\"";
        let svg = themed(
            "<svg width=\"1\"><text fill=\"#010000\">\n#010000 &quot;#010000&quot;</text></svg>",
            told,
        );
        assert_eq!(
            svg,
            "<svg role=\"img\" aria-label=\"&lt;a&gt; &amp; &quot;b&quot;\" width=\"1\"><text fill=\"currentColor\">\n#010000 &quot;#010000&quot;</text></svg>"
        );
    }
}
