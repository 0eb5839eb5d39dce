//! What a run found in its data: classes and counts, labels that look wrong, photos that are there twice, what was left out.

use super::answer::percent;
use super::frame::{Column, Section, grid, marked_up, name};
use super::photos::{Album, Photo, gallery, groups};
use crate::fit::{Findings, Prepared};
use crate::report::RunRecord;
use frostline_data::{Dataset, Example, Split};
use maud::{Markup, html};
use std::collections::HashMap;

/// Photos and pairs of each kind.
const SHOWN: usize = 12;
const PAIRS: usize = 9;
/// Lines of the photos that were left out.
const LINES: usize = 200;

/// The sections, as far as there is something to say.
pub(super) fn sections(
    prepared: &Prepared,
    record: &RunRecord,
    noun: &str,
    album: &Album<'_>,
) -> Vec<Section> {
    let dataset = &prepared.dataset;
    let mut sections = Vec::new();
    let known: HashMap<&str, &Example> =
        dataset.examples().map(|(_, example)| (example.name.as_str(), example)).collect();
    let findings = record.findings.as_ref();
    if let Some(found) = findings.filter(|found| !found.mislabelled.is_empty()) {
        sections.push(Section::new(
            "suspects",
            "Labels that look wrong",
            suspects(found, noun, &known, album),
        ));
    }
    let none = Vec::new();
    let near = findings.map_or(&none, |found| &found.near_duplicates);
    let copies = dataset.copies();
    if !near.is_empty() || !copies.is_empty() {
        let body = html! { (same(dataset, &copies, noun, album)) (alike(near, noun, &known, album)) };
        sections.push(Section::new("duplicates", format!("The same {} twice", one(noun)), body));
    }
    if let Some(found) = findings.filter(|found| !found.far.is_empty()) {
        let far: Vec<(&Example, Markup)> = found
            .far
            .iter()
            .filter_map(|name| Some((*known.get(name.as_str())?, html! {})))
            .take(SHOWN)
            .collect();
        let body = html! {
            p { (count(found.far.len(), noun)) " unlike all others by " (its(found.far.len())) " features: another subject, a scan, a blank picture?" }
            (gallery(&album.photos(far)))
        };
        sections.push(Section::new("far", "Far from all others", body));
    }
    sections.push(Section::new(
        "data",
        "The data",
        html! { (counts(dataset, noun)) (left_out(record, noun)) },
    ));
    sections
}

fn its(count: usize) -> &'static str {
    if count == 1 { "its" } else { "their" }
}

/// `photo` of `photos`.
fn one(noun: &str) -> &str {
    noun.strip_suffix('s').unwrap_or(noun)
}

/// `1 training photo is`, `3 training photos are`.
fn count(count: usize, noun: &str) -> String {
    match count {
        1 => format!("1 training {} is", one(noun)),
        count => format!("{count} training {noun} are"),
    }
}

fn suspects(found: &Findings, noun: &str, known: &HashMap<&str, &Example>, album: &Album<'_>) -> Markup {
    let told: Vec<(&Example, Markup)> = found
        .mislabelled
        .iter()
        .filter_map(|one| {
            let [own, other] = one.probabilities;
            let caption = html! {
                p.said { "labelled " b.wrong { (name(&one.label)) } " (" (percent(own)) "), looks like " b { (name(&one.likelier)) } " (" (percent(other)) ")" }
            };
            Some((*known.get(one.image.as_str())?, caption))
        })
        .take(SHOWN)
        .collect();
    let images = found.mislabelled.len();
    html! {
        p {
            (count(images, noun)) " labelled as one class and looks like another to a head that has not seen it. "
            @if images > SHOWN { "The surest " (SHOWN) " are here; all are in `run.json` under `findings`. " }
            "Look at each: a wrong label costs more than it seems."
        }
        (gallery(&album.photos(told)))
    }
}

/// Files of the same content.
fn same(dataset: &Dataset, copies: &[Vec<(Split, &Example)>], noun: &str, album: &Album<'_>) -> Markup {
    if copies.is_empty() {
        return html! {};
    }
    let group = |group: &Vec<(Split, &Example)>| {
        let (first, others) = group.split_first()?;
        let crosses = others.iter().any(|(split, _)| *split != first.0);
        let differ = others.iter().any(|(_, other)| other.target != first.1.target);
        let told = group.iter().take(2).map(|(split, example)| {
            (*example, html! { p.said { "in " (split.name()) ", " (name(&dataset.label(example))) } })
        });
        let note = html! {
            @match (differ, crosses) {
                (true, _) => { "Two labels, of which one is wrong." }
                (false, true) => { "One of them is trained on, the other scored." }
                (false, false) => { "Counted twice." }
            }
            @if group.len() > 2 { " " (group.len()) " copies in all." }
        };
        Some((album.photos(told.collect()), note))
    };
    let shown: Vec<(Vec<Photo>, Markup)> = copies.iter().take(PAIRS).filter_map(group).collect();
    html! {
        p { (copies.len()) " " (if copies.len() == 1 { one(noun) } else { noun }) " with copies, the same to the byte." }
        (groups(&shown))
    }
}

/// Photos that are nearly the same.
fn alike(pairs: &[[String; 2]], noun: &str, known: &HashMap<&str, &Example>, album: &Album<'_>) -> Markup {
    if pairs.is_empty() {
        return html! {};
    }
    let pair = |pair: &[String; 2]| {
        let told: Option<Vec<(&Example, Markup)>> =
            pair.iter().map(|name| Some((*known.get(name.as_str())?, html! {}))).collect();
        Some((album.photos(told?), html! {}))
    };
    let shown: Vec<(Vec<Photo>, Markup)> = pairs.iter().take(PAIRS).filter_map(pair).collect();
    html! {
        p {
            (pairs.len()) " " (if pairs.len() == 1 { "pair" } else { "pairs" }) " of training " (noun)
            " that are nearly the same by their features. Such pairs in two parts of the data make a score look better than it is."
        }
        (groups(&shown))
    }
}

/// Images of each class in each part.
fn counts(dataset: &Dataset, noun: &str) -> Markup {
    let parts: Vec<Split> =
        Split::ALL.into_iter().filter(|split| !dataset.split(*split).is_empty()).collect();
    let totals: Vec<String> =
        parts.iter().map(|split| format!("{} {}", dataset.split(*split).len(), split.name())).collect();
    let counted: Vec<Vec<usize>> =
        parts.iter().map(|split| dataset.class_counts(dataset.split(*split))).collect();
    let rows = dataset.classes.iter().enumerate().map(|(class, label)| {
        let mut row = vec![name(label)];
        row.extend(counted.iter().map(|counts| html! { (counts[class]) }));
        row
    });
    let mut columns = vec![Column::text("class")];
    columns.extend(parts.iter().map(|split| Column::number(split.name())));
    html! {
        p { (noun) ": " (totals.join(", ")) "." }
        @if !dataset.classes.is_empty() {
            details open[dataset.classes.len() <= 12] {
                summary { (dataset.classes.len()) " classes and their " (noun) }
                (grid("Classes and counts", &columns, rows.collect()))
            }
        }
    }
}

/// What was not read, and why.
fn left_out(record: &RunRecord, noun: &str) -> Markup {
    let rows: Vec<Vec<Markup>> = record
        .skipped
        .iter()
        .take(LINES)
        .map(|skip| vec![name(&skip.name), html! { (skip.split.name()) }, marked_up(&skip.reason)])
        .collect();
    let columns = [Column::text("file"), Column::text("part"), Column::text("why")];
    html! {
        @if !rows.is_empty() {
            details {
                summary { (record.skipped.len()) " " (noun) " were left out" }
                (grid("Photos that were left out", &columns, rows))
                @if record.skipped.len() > LINES { p.note { "All are in `run.json`." } }
            }
        }
    }
}
