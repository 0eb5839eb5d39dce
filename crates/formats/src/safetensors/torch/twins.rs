//! Architectures whose state dicts have the names and shapes of another's and which compute something else: layers without
//! weights are in no state dict. timm's `resnetblur50` blurs before it takes every second pixel, its `tf_` models pad as
//! TensorFlow does. `twins.tsv`, which `tests/keras/make_torch_tables.py` writes, has all those of torchvision and timm.
//!
//! What tells them apart is beside the tensors: `config.json` and the name of the file.

use super::beside::Beside;
use super::registry::{Entry, find};
use std::path::Path;
use std::sync::LazyLock;

/// Names that share names and shapes of tensors, a group a line.
static GROUPS: LazyLock<Vec<Vec<&'static str>>> = LazyLock::new(|| {
    let lines = include_str!("twins.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split('\t').collect()).collect()
});

/// What can be done with an architecture that is not known.
pub(super) fn elsewhere() -> &'static str {
    "export the model as ONNX, which says its architecture itself; docs/pytorch-names.md lists what the setting `arch` knows"
}

/// The twins of an architecture that compute something else.
fn of(entry: &Entry) -> Vec<&'static str> {
    let groups = GROUPS.iter().filter(|group| group.iter().any(|name| entry.is_called(name)));
    let others = groups.flatten().copied().filter(|name| match find(name) {
        Some(other) => !other.is_the_same_as(entry),
        None => true,
    });
    others.collect()
}

/// Their names; `None` where there is none.
pub(super) fn in_words(entry: &Entry) -> Option<String> {
    let names = of(entry);
    let (last, rest) = names.split_last()?;
    Some(match rest {
        [] => format!("timm's `{last}`"),
        rest => format!("timm's `{}` or `{last}`", rest.join("`, `")),
    })
}

/// What is beside the tensors and says that they are one of these.
pub(super) fn said_beside(entry: &Entry, path: &Path, beside: Option<&Beside>) -> Option<String> {
    let says = |what: &str, twin: &str| {
        let remedy = match find(twin) {
            Some(_) => format!("give the setting `arch = {twin}`"),
            None => elsewhere().to_owned(),
        };
        let own = entry.name();
        format!(
            "{what} says that this is a `{twin}`, whose tensors have the names and shapes of `{own}` and which computes something else\nhelp: {remedy}; if it is a `{own}` after all, that name is wrong"
        )
    };
    let twins = of(entry);
    if let Some(beside) = beside {
        let twin = twins.iter().find(|twin| beside.name() == **twin);
        return twin.map(|twin| says("the `config.json` beside it", twin));
    }
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    // `resnetaa50d` is in the name of `seresnetaa50d` too: the longest is meant
    let twin = twins.iter().filter(|twin| name.contains(**twin)).max_by_key(|twin| twin.len())?;
    let means_this = |own: &&str| name.contains(*own) && own.len() > twin.len();
    (!entry.all_names().iter().any(means_this)).then(|| says("its name", twin))
}

/// That the tensors may be of one of these; `None` where there is none, or where `config.json` says that they are not.
pub(super) fn warning(entry: &Entry, beside: Option<&Beside>) -> Option<String> {
    let is_said = beside.is_some_and(|beside| entry.is_called(beside.name()));
    let twins = in_words(entry).filter(|_| !is_said)?;
    Some(format!(
        "nothing in the file tells `{}` from {twins}, which computes something else with the same tensors: if it may be that, compare a prediction with PyTorch's",
        entry.name()
    ))
}
