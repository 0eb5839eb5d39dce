//! What stands beside a state dict: `config.json`, as the repositories of timm on Hugging Face have it.

use super::Architecture;
use super::pretrained::Pretrained;
use serde_json::Value;
use std::path::Path;

/// No longer `config.json` is read.
const MOST_BYTES: u64 = 1 << 20;

/// What a `config.json` says.
pub(super) struct Beside {
    /// The architecture, in small letters, with the tag where there is one.
    pub(super) said: String,
    /// How the weights were shown their images.
    pub(super) shown: Option<Pretrained>,
}

impl Beside {
    /// The one in the file's folder; `None` where there is none that names an architecture.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let config = path.parent()?.join("config.json");
        std::fs::metadata(&config).ok().filter(|found| found.is_file() && found.len() <= MOST_BYTES)?;
        let json: Value = serde_json::from_slice(&std::fs::read(config).ok()?).ok()?;
        let said = json.get("architecture")?.as_str()?.to_lowercase();
        Some(Self { said, shown: json.get("pretrained_cfg").and_then(Pretrained::from_config) })
    }

    /// The architecture without a tag.
    pub(super) fn name(&self) -> &str {
        self.said.split('.').next().unwrap_or_default()
    }

    /// Whether it is this architecture.
    pub(super) fn is_of(&self, architecture: Architecture) -> bool {
        architecture.entry().is_called(self.name())
    }
}
