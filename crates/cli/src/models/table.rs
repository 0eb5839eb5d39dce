//! What is published about weights: tables that `tests/keras/make_model_tables.py` writes from those of the libraries.

use serde_json::{Value, json};

/// Whose weights they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    Timm,
    Torchvision,
    Keras,
}

/// One set of weights.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) library: Library,
    pub(super) name: &'static str,
    pub(super) tag: &'static str,
    pub(super) parameters: u64,
    /// The height and width of the images that the score was measured on.
    pub(super) side: u32,
    /// The share of ImageNet's validation photos that is right, in percent, where it is published.
    pub(super) top1: Option<f64>,
}

/// The weights of a library.
pub(super) fn of(library: Library) -> impl Iterator<Item = Weights> {
    let text = match library {
        Library::Timm => include_str!("timm.tsv"),
        Library::Torchvision => include_str!("torchvision.tsv"),
        Library::Keras => include_str!("keras.tsv"),
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(move |line| Weights::from_line(library, line))
}

impl Weights {
    /// `name tag parameters side top1`
    fn from_line(library: Library, line: &'static str) -> Option<Self> {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, tag, parameters, side, top1] = fields[..] else { return None };
        Some(Self {
            library,
            name,
            tag,
            parameters: parameters.parse().ok()?,
            side: side.parse().ok()?,
            top1: top1.parse().ok(),
        })
    }

    /// As one gets them: what `pull` takes of timm's.
    pub(super) fn full_name(&self) -> String {
        match self.library {
            Library::Timm => format!("timm/{}.{}", self.name, self.tag),
            Library::Torchvision => format!("torchvision {} {}", self.name, self.tag),
            Library::Keras => self.name.to_owned(),
        }
    }

    /// As a file of f32, in units of 1,000,000 bytes.
    pub(super) fn megabytes(&self) -> f64 {
        self.parameters as f64 * 4.0 / 1e6
    }

    pub(super) fn json(&self) -> Value {
        let library = match self.library {
            Library::Timm => "timm",
            Library::Torchvision => "torchvision",
            Library::Keras => "keras",
        };
        json!({
            "library": library,
            "name": self.name,
            "tag": self.tag,
            "pull": (self.library == Library::Timm).then(|| self.full_name()),
            "parameters": self.parameters,
            "megabytes": self.megabytes(),
            "image_size": self.side,
            "top1": self.top1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read() {
        for (library, text) in [
            (Library::Timm, include_str!("timm.tsv")),
            (Library::Torchvision, include_str!("torchvision.tsv")),
            (Library::Keras, include_str!("keras.tsv")),
        ] {
            let lines = text.lines().filter(|line| !line.starts_with('#')).count();
            let read: Vec<Weights> = of(library).collect();
            assert!(read.len() == lines && lines > 30, "{library:?}");
            assert!(text.starts_with("# "), "{library:?} names its source");
            for one in read {
                let is_likely = one.top1.is_none_or(|top1| (30.0..100.0).contains(&top1));
                assert!(is_likely && one.parameters > 100_000 && (32..=1024).contains(&one.side), "{one:?}");
            }
        }
    }
}
