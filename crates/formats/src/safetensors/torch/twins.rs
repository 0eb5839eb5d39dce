//! Architectures whose state dicts have the names and shapes of another's and which compute something else: layers without
//! weights are in no state dict. timm's `resnetblur50` blurs before it takes every second pixel, its `tf_` models pad as
//! TensorFlow does.
//!
//! What tells them apart is beside the tensors: `config.json`, as the repositories of timm on Hugging Face have it, and the
//! name of the file.

use super::{Architecture, Library};
use std::path::Path;

/// No longer `config.json` is read.
const MOST_BYTES: u64 = 1 << 20;

/// The twins of an architecture.
pub(super) struct Twins {
    of: Architecture,
    names: &'static [&'static str],
}

impl Twins {
    /// Those of timm. The modules of a ResNet have the same names in both libraries.
    pub(super) fn of(architecture: Architecture, library: Library) -> Self {
        let names: &[&str] = match (architecture, library) {
            (Architecture::ResNet18, _) => &["resnetblur18"],
            (Architecture::ResNet50, _) => &["resnetblur50", "resnetaa50"],
            (Architecture::MobileNetV3Large, Library::Timm) => &["tf_mobilenetv3_large_100"],
            (Architecture::MobileNetV3Small, Library::Timm) => &["tf_mobilenetv3_small_100"],
            (Architecture::EfficientNetB0, Library::Timm) => &["tf_efficientnet_b0", "efficientnet_blur_b0"],
            _ => &[],
        };
        Self { of: architecture, names }
    }

    /// Their names; `None` where there is none.
    pub(super) fn in_words(&self) -> Option<String> {
        let (last, rest) = self.names.split_last()?;
        Some(match rest {
            [] => format!("timm's `{last}`"),
            rest => format!("timm's `{}` or `{last}`", rest.join("`, `")),
        })
    }

    /// What is beside the tensors and says that they are one of these.
    pub(super) fn said_beside(&self, path: &Path) -> Option<String> {
        let says = |what: &str, twin: &str| {
            format!(
                "{what} says that this is a `{twin}`, whose tensors have the names and shapes of `{}` and which computes something else",
                self.of
            )
        };
        if let Some(said) = architecture_beside(path) {
            let twin = self.names.iter().find(|twin| said == **twin || said.starts_with(&format!("{twin}.")));
            return twin.map(|twin| says("the `config.json` beside it", twin));
        }
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        self.names.iter().find(|twin| name.contains(**twin)).map(|twin| says("its name", twin))
    }

    /// That the tensors may be of one of these; `None` where there is none, or where `config.json` says that they are not.
    pub(super) fn warning(&self, path: &Path) -> Option<String> {
        let said = architecture_beside(path).and_then(|said| said.parse::<Architecture>().ok());
        let twins = self.in_words().filter(|_| said != Some(self.of))?;
        Some(format!(
            "nothing in the file tells `{}` from {twins}, which computes something else with the same tensors: if it may be that, compare a prediction with PyTorch's",
            self.of
        ))
    }
}

/// The architecture in the `config.json` of the file's folder, as timm writes it.
fn architecture_beside(path: &Path) -> Option<String> {
    let config = path.parent()?.join("config.json");
    std::fs::metadata(&config).ok().filter(|found| found.is_file() && found.len() <= MOST_BYTES)?;
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(config).ok()?).ok()?;
    Some(json.get("architecture")?.as_str()?.to_lowercase())
}
