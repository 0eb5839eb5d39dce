//! What all pages share: one file without scripts, which loads nothing, in the reader's light or dark, for screens of any width.

use crate::report::charts::Chart;
use frostline_graph::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("frame.css");
/// Nothing is loaded and nothing runs, whatever a name on the page may hold.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A part of a page, with a title of its own.
pub(in crate::report) struct Section {
    /// What links lead to.
    pub(in crate::report) id: &'static str,
    pub(in crate::report) title: String,
    pub(in crate::report) body: Markup,
}

impl Section {
    pub(in crate::report) fn new(id: &'static str, title: impl Into<String>, body: Markup) -> Self {
        Self { id, title: title.into(), body }
    }
}

/// A page.
pub(in crate::report) struct Frame {
    /// What kind of page it is.
    pub(in crate::report) kind: &'static str,
    /// What it is about: the heading.
    pub(in crate::report) about: String,
    /// The line below the heading.
    pub(in crate::report) subtitle: Markup,
    /// What comes first, without a title.
    pub(in crate::report) answer: Markup,
    pub(in crate::report) sections: Vec<Section>,
}

impl Frame {
    /// The whole file.
    pub(in crate::report) fn page(&self) -> String {
        let Self { kind, about, subtitle, answer, sections } = self;
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (visible(about)) " – " (kind) " – frostline" }
                    link rel="icon" href="data:,";
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    header {
                        p.kind { (kind) }
                        h1 { (visible(about)) }
                        p.subtitle { (subtitle) }
                    }
                    main {
                        (answer)
                        @if sections.len() > 2 {
                            nav aria-label="Parts of this page" {
                                ul { @for section in sections { li { a href=(format!("#{}", section.id)) { (section.title) } } } }
                            }
                        }
                        @for section in sections {
                            section id=(section.id) aria-labelledby=(format!("{}-title", section.id)) {
                                h2 id=(format!("{}-title", section.id)) { (section.title) }
                                (section.body)
                            }
                        }
                    }
                    footer { p { "Written by frostline " (env!("CARGO_PKG_VERSION")) ". The page is one file and loads nothing." } }
                }
            }
        };
        // names are made visible where they are known to be names; nothing else may slip through
        page.into_string().chars().fold(String::new(), |mut page, letter| {
            match letter != '\n' && is_hidden(letter) {
                true => page.extend(letter.escape_default()),
                false => page.push(letter),
            }
            page
        })
    }
}

/// Whether a letter is not seen, or moves others about: controls, and what turns the direction of text.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Text with what is hidden in it made visible: `\n`, `\u{202e}`.
pub(in crate::report) fn visible(text: &str) -> String {
    text.chars().fold(String::new(), |mut seen, letter| {
        match is_hidden(letter) {
            true => seen.extend(letter.escape_default()),
            false => seen.push(letter),
        }
        seen
    })
}

/// The name of a file, a class or a layer.
pub(in crate::report) fn name(text: &str) -> Markup {
    html! { span.name { (visible(text)) } }
}

/// The same as code.
pub(in crate::report) fn code(text: &str) -> Markup {
    html! { code { (visible(text)) } }
}

/// Text with `names` in it, and lines.
pub(in crate::report) fn marked_up(text: &str) -> Markup {
    html! {
        @for (index, line) in text.lines().enumerate() {
            @if index > 0 { br; }
            @for (index, part) in line.split('`').enumerate() {
                @if index % 2 == 1 { (code(part)) } @else { (part) }
            }
        }
    }
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(in crate::report) struct Column<'a> {
    pub(in crate::report) title: &'a str,
    pub(in crate::report) is_number: bool,
}

impl<'a> Column<'a> {
    pub(in crate::report) fn text(title: &'a str) -> Self {
        Self { title, is_number: false }
    }

    pub(in crate::report) fn number(title: &'a str) -> Self {
        Self { title, is_number: true }
    }

    fn class(&self) -> Option<&'static str> {
        self.is_number.then_some("number")
    }
}

/// A table, whose rows begin with what they are about.
pub(in crate::report) fn grid(caption: &str, columns: &[Column<'_>], rows: Vec<Vec<Markup>>) -> Markup {
    grid_with_marks(caption, columns, rows.into_iter().map(|row| (row, false)).collect())
}

/// The same with marked rows.
pub(in crate::report) fn grid_with_marks(
    caption: &str,
    columns: &[Column<'_>],
    rows: Vec<(Vec<Markup>, bool)>,
) -> Markup {
    html! {
        div.scroll tabindex="0" role="group" aria-label=(caption) {
            table {
                caption.unseen { (caption) }
                thead { tr { @for column in columns { th scope="col" class=[column.class()] { (column.title) } } } }
                tbody {
                    @for (row, is_marked) in &rows {
                        tr class=[is_marked.then_some("marked")] {
                            @for (index, (cell, column)) in row.iter().zip(columns).enumerate() {
                                @if index == 0 { th scope="row" class=[column.class()] { (cell) } }
                                @else { td class=[column.class()] { (cell) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A chart with the names of its series and what it shows.
pub(in crate::report) fn figure(chart: &Chart, caption: &str) -> Result<Markup> {
    let svg = chart.svg(&format!("{} over {}. {caption}", chart.y, chart.x))?;
    Ok(html! {
        figure.chart {
            (PreEscaped(svg))
            @if chart.series.len() > 1 {
                ul.keys {
                    @for (index, series) in chart.series.iter().enumerate() {
                        li { i style=(format!("background:{}", chart.paint_of(index, series).css())) {} (visible(&series.name)) }
                    }
                }
            }
            figcaption { (marked_up(caption)) }
        }
    })
}

/// What is known by a name, side by side.
pub(in crate::report) fn facts(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (value) } } } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_runs_nothing_and_loads_nothing_whatever_names_hold() {
        let bad = "</title><script>alert(1)</script>\u{202e}\u{7}\n\"'&";
        let body = html! { (name(bad)) (code(bad)) (marked_up(&format!("a `{bad}` b"))) };
        let page = Frame {
            kind: "Training report",
            about: bad.to_owned(),
            subtitle: html! { (bad) },
            answer: html! {},
            sections: vec![Section::new("a", bad, body)],
        };
        let page = page.page();
        assert!(!page.contains("<script") && page.contains("default-src 'none'"), "{page}");
        assert_eq!(page.matches("</title>").count(), 1);
        assert!(
            !page.contains('\u{202e}') && !page.contains('\u{7}') && page.contains("\\u{202e}\\u{7}\\n"),
            "{page}"
        );
        assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    }
}
