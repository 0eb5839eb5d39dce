//! The name of an architecture, as the user gives it.

use super::guess::near;
use super::pretrained::Pretrained;
use super::registry::{ENTRIES, Entry, families, find};
use super::row::Library;
use std::fmt;
use std::str::FromStr;

/// An architecture whose state dicts can be read, by its name in torchvision or timm: `resnet50`. With one of timm's tags,
/// `resnet50.a1_in1k`, it is the same architecture, and its photos are prepared as those weights were shown theirs.
#[derive(Clone, Copy)]
pub struct Architecture {
    entry: &'static Entry,
    /// The name that the user gave, without a tag.
    name: &'static str,
    tagged: Option<&'static Pretrained>,
}

impl Architecture {
    /// The names of all, each once: torchvision's, else timm's.
    pub fn names() -> Vec<&'static str> {
        ENTRIES.iter().map(Entry::name).collect()
    }

    /// All, each once by the name that torchvision has for it, else timm's, in the order of their families.
    pub fn all() -> Vec<Self> {
        ENTRIES.iter().map(|entry| Self { entry, name: entry.name(), tagged: None }).collect()
    }

    /// The family that it is of: `ResNet`.
    pub fn family(self) -> &'static str {
        self.entry.family
    }

    /// Its names in torchvision and in timm; `None` where a library does not have it.
    pub fn names_in_libraries(self) -> [Option<&'static str>; 2] {
        Library::ALL.map(|library| self.entry.name_in(library))
    }

    pub(super) fn entry(self) -> &'static Entry {
        self.entry
    }

    /// The weights that a tag names.
    pub(super) fn tagged(self) -> Option<&'static Pretrained> {
        self.tagged
    }
}

impl PartialEq for Architecture {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Architecture {}

impl fmt::Debug for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Architecture({self})")
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tagged {
            Some(tagged) => write!(formatter, "{}.{}", self.name, tagged.tag),
            None => formatter.write_str(self.name),
        }
    }
}

impl FromStr for Architecture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, tag) = text.split_once('.').map_or((text, None), |(name, tag)| (name, Some(tag)));
        let unknown = || {
            let near = near(name).map(|near| format!(": did you mean {near}?")).unwrap_or_default();
            format!(
                "`{name}` is no architecture that is known here{near}; known are {} of the families {}, which docs/pytorch-names.md lists",
                Self::names().len(),
                families().join(", ")
            )
        };
        let entry = find(name).ok_or_else(unknown)?;
        let own = entry.own_name(name).unwrap_or_else(|| entry.name());
        let tagged = tag.map(|tag| {
            Pretrained::tagged(own, tag).ok_or_else(|| {
                let tags = Pretrained::tags(own);
                format!("`{tag}` is no tag of `{name}` that is known here: its tags are {}", tags.join(", "))
            })
        });
        Ok(Self { entry, name: own, tagged: tagged.transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_is_read_back_and_is_of_one_architecture() {
        let mut seen = BTreeSet::new();
        for entry in ENTRIES.iter() {
            let names: BTreeSet<&str> =
                Library::ALL.iter().filter_map(|library| entry.name_in(*library)).collect();
            for name in names {
                assert!(seen.insert(name), "{name} twice");
                assert_eq!(name.parse::<Architecture>().map(|known| known.to_string()).as_deref(), Ok(name));
            }
        }
        assert!(seen.len() >= 60, "{}", seen.len());
    }

    #[test]
    fn a_tag_is_part_of_the_name_and_must_be_known() {
        let tagged: Architecture = "resnet50.a1_in1k".parse().expect("known");
        assert_eq!(tagged.to_string(), "resnet50.a1_in1k");
        assert_eq!(tagged.tagged().map(|shown| shown.image_size), Some([224, 224]));
        let error = "resnet50.a9_in1k".parse::<Architecture>().expect_err("no tag");
        assert!(error.contains("`a9_in1k`") && error.contains("a1_in1k"), "{error}");
    }

    #[test]
    fn near_names_are_suggested() {
        let error = "resnet19".parse::<Architecture>().expect_err("unknown");
        assert!(error.contains("`resnet19`") && error.contains("`resnet18`"), "{error}");
        let error = "nothing_like_it".parse::<Architecture>().expect_err("unknown");
        assert!(error.contains("families ResNet, "), "{error}");
    }
}
