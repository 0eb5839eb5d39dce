//! The images that are worth a look: the worst mistakes, and those of which the model is least sure.

use super::answer::number;
use super::frame::{Section, name};
use super::photos::{Album, gallery};
use super::scored::{Origin, Scored};
use crate::fit::{predicted_class, predicted_labels};
use frostline_data::{Example, Target};
use maud::{Markup, html};
use std::collections::HashSet;

/// Images of each kind.
const SHOWN: usize = 12;
/// Classes that are named on a photo.
const NAMED: usize = 3;

/// Both, as far as there are any.
pub(in crate::report) fn sections(scored: &Scored<'_>, noun: &str, album: &Album<'_>) -> Vec<Section> {
    let what = scored.origin.of(noun);
    let (mistakes, all) = (scored.mistakes(), scored.examples.len());
    let shown = &mistakes[..mistakes.len().min(SHOWN)];
    let mut sections = Vec::new();
    let photos = |images: &[usize]| {
        let told: Vec<(&Example, Markup)> =
            images.iter().map(|image| (scored.examples[*image], told(scored, *image))).collect();
        gallery(&album.photos(told))
    };
    let of_numbers = scored.report.is_none();
    let intro = match (of_numbers, mistakes.len()) {
        (true, _) => format!("Of {all} {what}, these are farthest off."),
        (false, 0) => format!("Of {all} {what}, none is wrong."),
        (false, count) => format!(
            "Of {all} {what}, {count} {} wrong; {} the surest mistakes, the surest first.",
            if count == 1 { "is" } else { "are" },
            if count > SHOWN { format!("these {SHOWN} are") } else { "here are".to_owned() }
        ),
    };
    let title = if of_numbers { "The largest errors" } else { "The worst mistakes" };
    let worst: Vec<(&Example, Markup)> =
        shown.iter().map(|image| (scored.examples[*image], told(scored, *image))).collect();
    // of a training photo the model that is written may say something else than a head that has not seen it
    let worst = match scored.origin {
        Origin::LeftOut => album.photos(worst),
        _ => album.explained_photos(worst),
    };
    let has_maps = worst.iter().any(|photo| photo.heat_map.is_some());
    let body = html! {
        p {
            (intro)
            @if has_maps { " The picture on the right shows where the model sees the class that it names: most where it is yellow (Grad-CAM)." }
        }
        (gallery(&worst))
    };
    sections.push(Section::new("mistakes", title, body));
    let known: HashSet<usize> = shown.iter().copied().collect();
    let mut unsure = scored.least_certain();
    unsure.retain(|image| !known.contains(image));
    unsure.truncate(SHOWN);
    if !unsure.is_empty() {
        let intro = "Here two classes are nearly as likely as each other. More labelled ones of their kind help most.";
        let intro = match scored.examples.first().map(|example| &example.target) {
            Some(Target::Labels(_)) => "Here a label has a probability of nearly one half.",
            _ => intro,
        };
        sections.push(Section::new("unsure", "The least certain", html! { p { (intro) } (photos(&unsure)) }));
    }
    sections
}

/// Training photos that a head without them gets wrong, where the page is about others.
pub(in crate::report) fn training(scored: &Scored<'_>, noun: &str, album: &Album<'_>) -> Option<Section> {
    let mistakes = scored.mistakes();
    if mistakes.is_empty() || scored.report.is_none() {
        return None;
    }
    let told: Vec<(&Example, Markup)> =
        mistakes.iter().take(SHOWN).map(|image| (scored.examples[*image], told(scored, *image))).collect();
    let body = html! {
        p {
            (mistakes.len()) " of " (scored.examples.len()) " training " (noun)
            " are taken for another class by a head that was solved without them. A wrong label shows here first."
        }
        (gallery(&album.photos(told)))
    };
    Some(Section::new("training-mistakes", format!("Training {noun} that are hard"), body))
}

/// What was said of an image, and what it is.
fn told(scored: &Scored<'_>, image: usize) -> Markup {
    let named = |class: usize| scored.classes.get(class).cloned().unwrap_or_else(|| class.to_string());
    match &scored.examples[image].target {
        Target::Class(class) => {
            let (shares, found) = (scored.shares(image), predicted_class(scored.row(image)));
            let mut order: Vec<usize> = (0..shares.len()).collect();
            order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]).then(a.cmp(b)));
            order.truncate(NAMED);
            if !order.contains(class) {
                order.truncate(NAMED - 1);
                order.push(*class);
            }
            let is_right = found == *class;
            html! {
                p.said {
                    @if is_right { "is " b { (name(&named(found))) } ", rightly" }
                    @else { "is " b { (name(&named(*class))) } ", taken for " b.wrong { (name(&named(found))) } }
                }
                ul.shares { @for one in order { (share(&named(one), shares.get(one).copied().unwrap_or(0.0), one == *class)) } }
            }
        }
        Target::Labels(labels) => {
            let row = scored.row(image);
            let found = predicted_labels(row);
            let missing: Vec<usize> = labels.iter().copied().filter(|label| !found.contains(label)).collect();
            let added: Vec<usize> = found.iter().copied().filter(|label| !labels.contains(label)).collect();
            let mut order: Vec<usize> = missing.iter().chain(&added).copied().collect();
            if order.is_empty() {
                order = (0..row.len()).collect();
                let from_half = |label: usize| (2.0 * row[label] - 1.0).abs();
                order.sort_by(|a, b| from_half(*a).total_cmp(&from_half(*b)));
            }
            order.truncate(NAMED);
            html! {
                p.said {
                    @if missing.is_empty() && added.is_empty() { "all labels are right" }
                    @if !missing.is_empty() { "misses " (names(&missing, &named)) }
                    @if !missing.is_empty() && !added.is_empty() { "; " }
                    @if !added.is_empty() { "adds " (names(&added, &named)) }
                }
                ul.shares { @for label in order { (share(&named(label), row[label], labels.contains(&label))) } }
            }
        }
        Target::Value(values) => {
            let list = |values: &[f32]| {
                let mut told: Vec<String> =
                    values.iter().take(6).map(|value| number(f64::from(*value))).collect();
                told.extend((values.len() > 6).then(|| "…".to_owned()));
                told.join(", ")
            };
            html! { p.said { "is " b { (list(values)) } ", predicted " b.wrong { (list(scored.row(image))) } } }
        }
    }
}

fn names(labels: &[usize], named: &dyn Fn(usize) -> String) -> Markup {
    html! {
        @for (index, label) in labels.iter().take(NAMED).enumerate() {
            @if index > 0 { ", " }
            b { (name(&named(*label))) }
        }
        @if labels.len() > NAMED { " and " (labels.len() - NAMED) " more" }
    }
}

/// A probability as a bar.
fn share(class: &str, value: f32, is_true: bool) -> Markup {
    let percent = (100.0 * value).clamp(0.0, 100.0);
    html! {
        li class=(if is_true { "true" } else { "other" }) {
            i style=(format!("width:{percent:.0}%")) {}
            span { (name(class)) @if is_true { span.unseen { " (the true one)" } } }
            span.number { (format!("{percent:.0} %")) }
        }
    }
}
