//! Layers whose names are numbers, or words that flags know: PyTorch's `Sequential` calls its layers `0`, `1`, `2`.

use super::{Graph, full_path, is_within};
use std::borrow::Cow;

/// What stands before a path that would be read as something else, as before a file's name: `./2` is the layer `2`.
const HERE: &str = "./";
/// What a flag that takes a layer reads as something else.
const WORDS: &[&str] = &["all", "auto", "none"];

/// The path of a layer as every flag that takes one reads it: `./2` where `2` would be a number of layers.
pub fn as_flag(path: &str) -> Cow<'_, str> {
    match path.parse::<i64>().is_ok() || WORDS.contains(&path) {
        true => Cow::Owned(format!("{HERE}{path}")),
        false => Cow::Borrowed(path),
    }
}

/// The path of a layer as it was written for a flag.
pub(super) fn without_here(path: &str) -> &str {
    path.strip_prefix(HERE).unwrap_or(path)
}

impl Graph {
    /// Where a number of layers is also a layer's name: what was meant, and how to write the other. `meaning`: what the number
    /// does.
    pub fn number_note(&self, setting: &str, number: &str, meaning: &str) -> Option<String> {
        let leaves = self.leaves();
        let leaves: Vec<&str> = leaves.iter().map(|(path, _)| path.as_str()).collect();
        let path = full_path(number, &leaves);
        let is_there = leaves.iter().any(|leaf| is_within(leaf, path));
        is_there.then(|| {
            format!(
                "the setting `{setting} = {number}` {meaning}; for the layer that is named `{path}` write the setting `{setting} = {}`",
                as_flag(path)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_number_is_written_as_a_path() {
        for (path, flag) in
            [("2", "./2"), ("-1", "./-1"), ("all", "./all"), ("2/conv", "2/conv"), ("conv2", "conv2")]
        {
            assert_eq!(as_flag(path), flag);
            assert_eq!(without_here(&as_flag(path)), path);
        }
    }
}
