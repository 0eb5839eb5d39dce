//! What of a source is left out, by patterns as shells have them.

use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::DataError;

/// A pattern as shells have them: `*` and `?` stay within a name, `**` goes through folders, `[ab]` and `{a,b}` choose.
///
/// With a `/` it is compared with the path below the source, without one with each name in that path: `unsorted` leaves out
/// every folder of that name, `*.gif` every such file, `train/cat/IMG_00*` some photos of one class.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

impl FromStr for Pattern {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let pattern = text.trim_start_matches("./").trim_end_matches('/');
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        let glob = glob.map_err(|error| {
            DataError::setting(
                format!("`{text}` is no pattern: {}", error.kind()),
                "write e.g. `unsorted`, `*.gif` or `train/cat/IMG_00*`; a `[` stands for itself as `[[]`",
            )
        })?;
        if pattern.is_empty() {
            return Err(DataError::setting("a pattern is empty", "leave it out, or name what to exclude"));
        }
        Ok(Self { text: pattern.to_owned(), matcher: glob.compile_matcher() })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Patterns of what is left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exclude(Vec<Pattern>);

impl Exclude {
    /// By these patterns.
    pub fn new(patterns: Vec<Pattern>) -> Self {
        Self(patterns)
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first pattern that leaves out what lies at a path below the source, which has `/` between its names; by the path
    /// itself, or a folder above it.
    fn position(&self, path: &str) -> Option<usize> {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        let is_out = |pattern: &Pattern| match pattern.text.contains('/') {
            true => ends.clone().any(|end| pattern.matcher.is_match(&path[..end])),
            false => path.split('/').any(|name| pattern.matcher.is_match(name)),
        };
        self.0.iter().position(is_out)
    }

    /// Whether what has this name, which is no path, is left out.
    fn position_of_name(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|pattern| pattern.matcher.is_match(name))
    }
}

impl Serialize for Exclude {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|pattern| &pattern.text))
    }
}

impl<'de> Deserialize<'de> for Exclude {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let pattern = |text: String| text.parse().map_err(D::Error::custom);
        texts.into_iter().map(pattern).collect::<Result<_, _>>().map(Self)
    }
}

/// What patterns have left out so far: each that leaves nothing out is told.
pub(super) struct Excluding<'a> {
    exclude: &'a Exclude,
    counts: Vec<usize>,
}

impl<'a> Excluding<'a> {
    pub(super) fn by(exclude: &'a Exclude) -> Self {
        Self { exclude, counts: vec![0; exclude.0.len()] }
    }

    /// Whether a file or folder at a path below the source is left out.
    pub(super) fn path(&mut self, path: &str) -> bool {
        let found = self.exclude.position(path);
        self.count(found)
    }

    /// Whether a class of this name is left out.
    pub(super) fn class(&mut self, name: &str) -> bool {
        let found = self.exclude.position_of_name(name);
        self.count(found)
    }

    fn count(&mut self, found: Option<usize>) -> bool {
        found.map(|index| self.counts[index] += 1).is_some()
    }

    /// What was left out, and by which patterns nothing was. `what`: files and folders, lines, rows.
    pub(super) fn told(&self, what: &str) -> Vec<String> {
        let line = |(pattern, count): (&Pattern, &usize)| match count {
            0 => format!(
                "the setting `exclude = {}` leaves nothing out: nothing has such a name",
                pattern.text
            ),
            1 => format!("the setting `exclude = {}` leaves out 1 of the {what}", pattern.text),
            count => format!("the setting `exclude = {}` leaves out {count} {what}", pattern.text),
        };
        self.exclude.0.iter().zip(&self.counts).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves_out(pattern: &str, path: &str) -> bool {
        Exclude::new(vec![pattern.parse().unwrap()]).position(path).is_some()
    }

    #[test]
    fn patterns_are_compared_with_names_or_with_paths() {
        for (pattern, path, out) in [
            ("unsorted", "unsorted", true),
            ("unsorted", "train/unsorted/1.jpg", true),
            ("unsorted", "train/unsorted2/1.jpg", false),
            ("*.gif", "train/cat/1.gif", true),
            ("*.gif", "train/cat/1.gif.jpg", false),
            ("train/cat", "train/cat/1.jpg", true),
            ("train/cat/", "train/cat/1.jpg", true),
            ("cat/1.jpg", "train/cat/1.jpg", false),
            ("**/cat/1.jpg", "train/cat/1.jpg", true),
            ("train/*/IMG_00??.jpg", "train/cat/IMG_0012.jpg", true),
            ("*/1.jpg", "train/cat/1.jpg", false),
            ("{cat,dog}", "dog/1.jpg", true),
        ] {
            assert_eq!(leaves_out(pattern, path), out, "{pattern} and {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["[", "", "a{"] {
            assert!(text.parse::<Pattern>().unwrap_err().to_string().contains("help:"), "{text}");
        }
    }

    #[test]
    fn a_pattern_that_leaves_nothing_out_is_told() {
        let exclude = Exclude::new(vec!["*.gif".parse().unwrap(), "cat".parse().unwrap()]);
        let mut excluding = Excluding::by(&exclude);
        assert!(excluding.class("cat") && !excluding.path("dog/1.jpg"));
        let told = excluding.told("files and folders");
        assert!(told[0].contains("leaves nothing out") && told[1].contains("leaves out 1"), "{told:?}");
    }
}
