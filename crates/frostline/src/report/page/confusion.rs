//! The confusion matrix as a picture, and as a list where there are too many classes for one.

use super::frame::{Column, grid, name, visible};
use crate::fit::ClassReport;
use crate::report::themed::{Paint, themed};
use frostline_graph::{Error, Result};
use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// More classes make no picture that can be read.
const MOST: usize = 40;
/// Pairs that are listed.
const PAIRS: usize = 20;
/// Letters of a class's name at the side of the picture.
const LETTERS: usize = 16;
/// Pixels of text, and of a letter of it on the mean.
const TEXT: f64 = 13.0;
const LETTER: f64 = 7.6;
/// Names up to so many letters stand upright above their columns.
const UPRIGHT: usize = 3;
/// From this share of a row on a cell is so full that its text has another colour.
const FULL: f64 = 0.55;

/// The matrix, with as much about it as there is to read. `what`: whose images these are.
pub(super) fn confusion(report: &ClassReport, what: &str) -> Result<Markup> {
    let pairs = confused(report);
    let names: Vec<&str> = report.classes.iter().map(|class| class.name.as_str()).collect();
    let is_picture = (1..=MOST).contains(&report.confusion.len());
    let list = (names.len() > 2 && !pairs.is_empty()).then(|| listed(report, &pairs));
    Ok(html! {
        @if is_picture {
            figure.wide {
                div.scroll tabindex="0" role="group" aria-label="Confusion matrix" {
                    (PreEscaped(picture(&report.confusion, &names, &told(&pairs, &names, what))?))
                }
                figcaption {
                    "Rows: what " (what) " are. Columns: what they were taken for. Colour: the share of the row; blue is right, orange wrong."
                }
            }
            @if let Some(list) = list {
                details { summary { "The most confused pairs as a table" } (list) }
            }
        } @else if let Some(list) = list {
            p.note { (names.len()) " classes are too many for a picture: these are the pairs that are confused most." }
            (list)
        }
    })
}

/// Pairs of a true class and another one, with the images of the first that were taken for the second, the most first.
fn confused(report: &ClassReport) -> Vec<(usize, usize, usize)> {
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    for (class, row) in report.confusion.iter().enumerate() {
        let wrong = row.iter().enumerate().filter(|(other, count)| *other != class && **count > 0);
        pairs.extend(wrong.map(|(other, count)| (class, other, *count)));
    }
    pairs.sort_by(|a, b| b.2.cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
    pairs.truncate(PAIRS);
    pairs
}

fn listed(report: &ClassReport, pairs: &[(usize, usize, usize)]) -> Markup {
    let rows = pairs.iter().map(|(class, other, count)| {
        let support = report.classes[*class].support;
        let share = 100.0 * *count as f64 / support.max(1) as f64;
        vec![
            name(&report.classes[*class].name),
            name(&report.classes[*other].name),
            html! { (count) " of " (support) },
            html! { (format!("{share:.0} %")) },
        ]
    });
    let columns = [
        Column::text("true class"),
        Column::text("taken for"),
        Column::number("images"),
        Column::number("of the class"),
    ];
    grid("The most confused pairs", &columns, rows.collect())
}

/// What the picture shows, in words.
fn told(pairs: &[(usize, usize, usize)], names: &[&str], what: &str) -> String {
    let most = match pairs.first() {
        None => "none is wrong".to_owned(),
        Some((class, other, count)) => {
            format!(
                "most often {} is taken for {}: {count} times",
                visible(names[*class]),
                visible(names[*other])
            )
        }
    };
    format!("Confusion matrix of {what}, {} classes; {most}", names.len())
}

/// A name that fits at the side of the picture.
fn short(name: &str) -> String {
    let name = visible(name);
    match name.chars().count() > LETTERS {
        true => name.chars().take(LETTERS - 1).chain(['…']).collect(),
        false => name,
    }
}

fn picture(counts: &[Vec<usize>], names: &[&str], told: &str) -> Result<String> {
    let mut svg = String::new();
    draw(&mut svg, counts, names)
        .map_err(|error| Error::setting(format!("the confusion matrix cannot be drawn: {error}")))?;
    Ok(themed(&svg, told))
}

type Drawn = std::result::Result<(), DrawingAreaErrorKind<std::io::Error>>;

fn draw(svg: &mut String, counts: &[Vec<usize>], names: &[&str]) -> Drawn {
    let labels: Vec<String> = names.iter().map(|name| short(name)).collect();
    let widest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    let side = (LETTER * widest as f64) as i32 + 12;
    let top = if widest <= UPRIGHT { 24 } else { side };
    let largest = counts.iter().flatten().max().copied().unwrap_or(0).to_string().len();
    let cell = (LETTER * largest as f64) as i32 + 12;
    // few classes are drawn large
    let cell = cell.max(34).max((220 / names.len().max(1) as i32).min(64));
    let extent = |margin: i32| (margin + cell * names.len() as i32 + 2) as u32;
    let area = SVGBackend::with_string(svg, (extent(side), extent(top))).into_drawing_area();
    let text = |paint: Paint, anchor: Pos| {
        ("sans-serif", TEXT * 1.24).into_font().color(&paint.stand_in()).pos(anchor)
    };
    let middle = Pos::new(HPos::Center, VPos::Center);
    let (x, y) = (|index: usize| side + cell * index as i32, |index: usize| top + cell * index as i32);
    for (index, label) in labels.iter().enumerate() {
        let style = text(Paint::Ink, Pos::new(HPos::Right, VPos::Center));
        area.draw(&Text::new(label.clone(), (side - 6, y(index) + cell / 2), style))?;
        let (place, style) = match widest <= UPRIGHT {
            true => ((x(index) + cell / 2 - 1, top / 2), text(Paint::Ink, middle)),
            false => {
                let left = text(Paint::Ink, Pos::new(HPos::Left, VPos::Center));
                ((x(index) + cell / 2, top - 6), left.transform(FontTransform::Rotate270))
            }
        };
        area.draw(&Text::new(label.clone(), place, style))?;
    }
    for (row, counts) in counts.iter().enumerate() {
        let all: usize = counts.iter().sum();
        for (column, count) in counts.iter().enumerate() {
            let share = *count as f64 / all.max(1) as f64;
            let corners = [(x(column), y(row)), (x(column) + cell - 2, y(row) + cell - 2)];
            let paint = if row == column { Paint::Right } else { Paint::Wrong };
            area.draw(&Rectangle::new(corners, Paint::Grid.stand_in().mix(0.35).filled()))?;
            if *count == 0 {
                continue;
            }
            // the faintest is still seen
            let full = paint.stand_in().mix(0.12 + 0.88 * share);
            area.draw(&Rectangle::new(corners, full.filled()))?;
            let paint = if share >= FULL { Paint::OnFull } else { Paint::Ink };
            let place = (x(column) + cell / 2 - 1, y(row) + cell / 2 - 1);
            area.draw(&Text::new(count.to_string(), place, text(paint, middle)))?;
        }
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(confusion: Vec<Vec<usize>>, names: &[&str]) -> ClassReport {
        let class = |(index, name): (usize, &&str)| crate::fit::ClassScore {
            name: (*name).to_owned(),
            precision: 0.5,
            recall: 0.5,
            f1: 0.5,
            average_precision: None,
            support: confusion[index].iter().sum(),
        };
        let classes = names.iter().enumerate().map(class).collect();
        let labels = crate::fit::LabelScores::default();
        ClassReport { loss: 1.0, accuracy: 0.5, labels, classes, confusion }
    }

    #[test]
    fn names_that_are_markup_are_text_in_the_picture() {
        let bad = "<script>alert(1)</script>";
        let found = report(vec![vec![3, 1], vec![0, 2]], &[bad, "\u{202e}a\"&'"]);
        let page = confusion(&found, "test photos").expect("a picture").into_string();
        assert!(!page.contains("<script"), "{page}");
        assert!(
            page.contains("&lt;script&gt;aler") && page.contains("\\u{202e}a&quot;&amp;&apos;"),
            "{page}"
        );
        assert!(
            page.contains("var(--right)") && page.contains("var(--wrong)") && !page.contains("\"#0"),
            "{page}"
        );
        assert_eq!(page.matches("<rect").count(), 4 + 3);
    }

    #[test]
    fn many_classes_are_a_list_of_pairs() {
        let names: Vec<String> = (0..41).map(|index| format!("class {index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut counts = vec![vec![0; 41]; 41];
        counts[7][9] = 5;
        counts[7][7] = 15;
        let page = confusion(&report(counts, &names), "test photos").expect("a list").into_string();
        assert!(!page.contains("<svg"), "{page}");
        assert!(page.contains("class 7") && page.contains("5 of 20") && page.contains("25 %"), "{page}");
    }
}
