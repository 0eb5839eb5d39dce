//! Which architecture's tensors a file holds, and what is said where the user named none, or one that is not known.

use super::beside::Beside;
use super::builder::Builder;
use super::registry::{ENTRIES, Entry};
use super::row::Library;
use super::twins::elsewhere;
use super::{source, twins};
use crate::few;
use crate::safetensors::assign::{LEFT_BEHIND, is_aside, misfit};
use crate::safetensors::file::Tensors;
use frostline_graph::Error;
use std::collections::BTreeSet;
use std::path::Path;

/// No architecture has fewer tensors than AlexNet.
const FEWEST: usize = 16;
/// How alike two names have to be, from 0 to 1.
const ALIKE: f64 = 0.85;
/// No more near names are told.
const MOST_NEAR: usize = 3;

/// The known names that are most like a word, in words.
pub(super) fn near(word: &str) -> Option<String> {
    let names = ENTRIES.iter().flat_map(|entry| Library::ALL.into_iter().filter_map(|of| entry.name_in(of)));
    let names: BTreeSet<&str> = names.collect();
    let mut alike: Vec<(f64, &str)> =
        names.into_iter().map(|name| (strsim::jaro_winkler(name, word), name)).collect();
    alike.retain(|(alike, _)| *alike >= ALIKE);
    alike.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names: Vec<String> = alike.iter().take(MOST_NEAR).map(|(_, name)| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

/// The tensors of the file that an architecture leaves, where it finds all that it needs in their shapes.
fn leaves(entry: &Entry, library: Library, tensors: &Tensors<'_>) -> Option<Vec<String>> {
    entry.name_in(library)?;
    let mut builder = Builder::guess("guess", tensors);
    let output = entry.network.build(&mut builder, library);
    let graph = builder.finish(output).ok()?;
    let mut used = BTreeSet::new();
    for wanted in &graph.weight_specs(&graph.stand_in_shapes()).ok()? {
        let source = source(wanted);
        if misfit(tensors, wanted, source.as_ref()).is_some() {
            return None;
        }
        used.extend(source.map(|source| source.name));
    }
    let aside = |name: &str| {
        let mut rules = LEFT_BEHIND.iter().chain(entry.network.only_trained());
        rules.any(|(part, _)| is_aside(name, part))
    };
    Some(sorted(tensors).into_iter().filter(|name| !used.contains(name) && !aside(name)).collect())
}

/// Whether the modules have timm's names.
pub(super) fn is_timms(entry: &Entry, tensors: &Tensors<'_>) -> bool {
    leaves(entry, Library::Timm, tensors).is_some()
}

/// Each architecture that finds all that it needs, and what it leaves.
fn fitting(tensors: &Tensors<'_>) -> Vec<(&'static Entry, Vec<String>)> {
    if tensors.names().len() < FEWEST {
        return Vec::new();
    }
    let left = |entry: &'static Entry| {
        let mut found: Vec<Vec<String>> =
            Library::ALL.into_iter().filter_map(|library| leaves(entry, library, tensors)).collect();
        found.sort_by_key(Vec::len);
        Some((entry, found.into_iter().next()?))
    };
    ENTRIES.iter().filter_map(left).collect()
}

/// The architectures whose tensors these are, by their names and shapes: all of them, and none besides. The first is the one
/// to name: others compute the same, or something else with the same tensors.
pub(super) fn guess(tensors: &Tensors<'_>) -> Vec<&'static Entry> {
    fitting(tensors).into_iter().filter(|(_, left)| left.is_empty()).map(|(entry, _)| entry).collect()
}

/// The error for a state dict whose architecture nothing names.
pub(super) fn unnamed(path: &Path, tensors: &Tensors<'_>) -> Error {
    let beside = Beside::read(path);
    let fitting = fitting(tensors);
    let whole: Vec<&Entry> =
        fitting.iter().filter(|(_, left)| left.is_empty()).map(|(entry, _)| *entry).collect();
    let words = "the file holds weights alone, no architecture";
    let help = match (whole.as_slice(), beside) {
        ([first, ..], beside) => {
            let is_timms = is_timms(first, tensors);
            let said = twins::said_beside(first, path, beside.as_ref()).filter(|_| is_timms);
            match said {
                Some(said) => return Error::format(path, format!("{words}, and {said}")),
                None => named(&whole, is_timms),
            }
        }
        ([], Some(beside)) => format!(
            "the `config.json` beside it says that it is a `{}`, which is no architecture that is known here: {}",
            beside.said,
            elsewhere()
        ),
        ([], None) => {
            let all = sorted(tensors);
            let begin = match fitting.iter().min_by_key(|(_, left)| left.len()) {
                Some((known, left)) => {
                    format!("it holds all tensors of `{}`, and others besides: {}", known.name(), few(left))
                }
                None if all.is_empty() => "it holds no tensor".to_owned(),
                None => format!("its tensors begin with {}", few(&all[..all.len().min(3)])),
            };
            format!("no architecture that is known here has its tensors ({begin}): {}", elsewhere())
        }
    };
    Error::format(path, format!("{words}\nhelp: {help}"))
}

/// That the tensors are those of the first of these, and of what else.
fn named(whole: &[&Entry], is_timms: bool) -> String {
    let first = whole[0];
    let same = whole.iter().skip(1).filter(|other| other.is_the_same_as(first));
    let same: Vec<String> = same.map(|other| format!("`{}`", other.name())).collect();
    let same = match same.is_empty() {
        true => String::new(),
        false => format!(" (the same as {})", same.join(", ")),
    };
    let twins = twins::in_words(first).filter(|_| is_timms);
    let twins = twins.map(|twins| format!(", or of {twins}, which cannot be told apart"));
    let name = first.name();
    format!(
        "its tensors are those of `{name}`{same}{}: give the setting `arch = {name}`",
        twins.unwrap_or_default()
    )
}

fn sorted(tensors: &Tensors<'_>) -> Vec<String> {
    let mut names = tensors.names();
    names.retain(|name| !LEFT_BEHIND.iter().any(|(part, _)| is_aside(name, part)));
    names.sort();
    names
}
