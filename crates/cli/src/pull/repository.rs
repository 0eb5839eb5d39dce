//! What a repository of the hub holds, and which file of it is the model.

use super::hub::{Hub, Refusal};
use super::hub_file::{HubFile, is_path_below};
use crate::Failure;
use frostline::formats::Architecture;
use serde_json::Value;
use ureq::http::Method;

/// What the hub knows about a repository at a revision.
pub(super) struct Repository {
    pub(super) commit: String,
    pub(super) files: Vec<String>,
    /// By the model card.
    pub(super) licence: Option<String>,
}

impl Repository {
    pub(super) fn ask(hub: &Hub, wanted: &HubFile) -> Result<Self, Refusal> {
        let name = wanted.repository();
        let answer = hub.ask(&Method::GET, &hub.about(&name, &wanted.revision), 0, |_| false)?;
        let what = format!("revision `{}`", wanted.revision);
        let text = hub
            .accepted(answer, &name, &what)?
            .text()
            .map_err(|error| Refusal::Silence(error.to_string()))?;
        let broken = || {
            let text = format!(
                "the hub's answer about `{name}` is not understood\nhelp: check HF_ENDPOINT, if it is set"
            );
            Refusal::Final(text.into())
        };
        let about: Value = serde_json::from_str(&text).map_err(|_| broken())?;
        let commit = about["sha"]
            .as_str()
            .filter(|sha| sha.len() >= 12 && sha.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let commit = commit.ok_or_else(broken)?.to_owned();
        let siblings = about["siblings"].as_array().ok_or_else(broken)?;
        let files = siblings.iter().filter_map(|file| file["rfilename"].as_str());
        let files = files.filter(|file| is_path_below(file)).map(str::to_owned).collect();
        Ok(Self { commit, files, licence: licence(&about) })
    }

    /// The path of the `config.json` that belongs to a file: beside it, else at the top.
    pub(super) fn config_of(&self, file: &str) -> Option<String> {
        let beside = file.rsplit_once('/').map(|(folder, _)| format!("{folder}/config.json"));
        beside.into_iter().chain(["config.json".to_owned()]).find(|config| self.files.contains(config))
    }

    /// Files that an ONNX file keeps its weights in.
    pub(super) fn weights_of(&self, file: &str) -> Vec<String> {
        let own = [format!("{file}_data"), format!("{file}.data")];
        own.into_iter().filter(|name| self.files.contains(name)).collect()
    }

    /// The model: the file that was named, or the one that there is.
    pub(super) fn model(&self, wanted: &HubFile, config: Option<&Value>) -> Result<String, Failure> {
        let name = wanted.repository();
        if let Some(file) = &wanted.file {
            return match self.files.contains(file) {
                true => Ok(file.clone()),
                false => {
                    Err(format!("`{name}` has no file `{file}`\nhelp: it has {}", few(&self.files)).into())
                }
            };
        }
        let known = config.is_some_and(|config| matches!(architecture_in(config), Some((_, Some(_)))));
        for kind in Kind::in_order(known) {
            let found: Vec<&String> = self.files.iter().filter(|file| kind.takes(file)).collect();
            match found.as_slice() {
                [] => {}
                [one] => return Ok((*one).clone()),
                several => {
                    // what lies at the top is the model, where there is one
                    if let [one] =
                        several.iter().filter(|file| !file.contains('/')).collect::<Vec<_>>().as_slice()
                    {
                        return Ok((**one).clone());
                    }
                    let listed: Vec<String> = several.iter().map(|file| (*file).clone()).collect();
                    return Err(format!(
                        "`{name}` holds several models: {}\nhelp: name one: {name}:{}",
                        few(&listed),
                        listed[0]
                    )
                    .into());
                }
            }
        }
        Err(format!(
            "`{name}` holds no model that frostline reads: it has {}\nhelp: {}",
            few(&self.files),
            self.remedy(config)
        )
        .into())
    }

    fn remedy(&self, config: Option<&Value>) -> &'static str {
        let of_keras_hub = config
            .and_then(|config| config["module"].as_str())
            .is_some_and(|module| module.starts_with("keras_"));
        match () {
            () if of_keras_hub => {
                "this is a preset of KerasHub, not a saved model: open it there, and save `keras.Model(backbone.inputs, backbone.outputs)` as .keras; or pull the like from timm/"
            }
            () if self.files.iter().any(|file| is_part(file)) => {
                "a model in several parts is not pulled: join them with the library that wrote them"
            }
            () if self
                .files
                .iter()
                .any(|file| file.ends_with(".bin") || file.ends_with(".pth") || file.ends_with(".pt")) =>
            {
                "weights in a pickle are not read, since they can hold code: write them as .safetensors with PyTorch; docs/pytorch.md has the lines"
            }
            () => "frostline reads .keras, .h5, .onnx and .safetensors",
        }
    }
}

/// Kinds of model files.
#[derive(Clone, Copy)]
enum Kind {
    Keras,
    StateDict,
    Hdf5,
    Onnx,
}

impl Kind {
    /// The surest first: weights alone want an architecture that is known.
    fn in_order(known: bool) -> [Self; 4] {
        match known {
            true => [Self::StateDict, Self::Keras, Self::Hdf5, Self::Onnx],
            false => [Self::Keras, Self::Hdf5, Self::Onnx, Self::StateDict],
        }
    }

    fn takes(self, file: &str) -> bool {
        match self {
            Self::Keras => file.ends_with(".keras"),
            Self::StateDict => file.ends_with(".safetensors") && !is_part(file),
            Self::Hdf5 => {
                (file.ends_with(".h5") || file.ends_with(".hdf5"))
                    && !file.ends_with(".weights.h5")
                    && !is_tensorflows(file)
            }
            Self::Onnx => file.ends_with(".onnx"),
        }
    }
}

/// `model-00001-of-00002.safetensors`.
fn is_part(file: &str) -> bool {
    file.split_once("-of-").is_some_and(|(before, after)| {
        before.ends_with(|c: char| c.is_ascii_digit()) && after.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// The weights that the library transformers writes for TensorFlow: no model of Keras.
fn is_tensorflows(file: &str) -> bool {
    file.rsplit('/').next().is_some_and(|name| name.starts_with("tf_model"))
}

/// The architecture that a `config.json` of timm names, and whether it is known here.
pub(super) fn architecture_in(config: &Value) -> Option<(String, Option<Architecture>)> {
    let said = config.get("architecture")?.as_str()?.to_lowercase();
    let known = said.split('.').next().and_then(|name| name.parse().ok());
    Some((said, known))
}

/// What the model card says: `apache-2.0`, or the name that its owner gave.
fn licence(about: &Value) -> Option<String> {
    let card = &about["cardData"];
    let of_tag = || {
        let tags = about["tags"].as_array()?.iter().filter_map(Value::as_str);
        tags.filter_map(|tag| tag.strip_prefix("license:")).map(str::to_owned).next()
    };
    let of_card = match &card["license"] {
        Value::String(one) => Some(one.clone()),
        Value::Array(several) => {
            let names: Vec<&str> = several.iter().filter_map(Value::as_str).collect();
            (!names.is_empty()).then(|| names.join(", "))
        }
        _ => None,
    };
    let short = of_card.or_else(of_tag)?;
    let more = ["license_name", "license_link"].map(|key| card[key].as_str());
    match (short.as_str(), more) {
        ("other", [Some(name), link]) => {
            Some(link.map_or(name.to_owned(), |link| format!("{name} ({link})")))
        }
        ("other", [None, Some(link)]) => Some(format!("its own ({link})")),
        _ => Some(short),
    }
}

/// Some of the files, by name.
fn few(files: &[String]) -> String {
    const NAMED: usize = 8;
    let mut text = files.iter().take(NAMED).map(|file| format!("`{file}`")).collect::<Vec<_>>().join(", ");
    match files.len() {
        0 => text.push_str("no files"),
        all if all > NAMED => text.push_str(&format!(" and {} more", all - NAMED)),
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn chosen(files: &[&str], config: Option<Value>) -> Result<String, String> {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        let repository = Repository { commit: String::new(), files, licence: None };
        let wanted: HubFile = "owner/name".parse().expect("a name");
        repository.model(&wanted, config.as_ref()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_model_is_found_among_the_files() {
        let timm = json!({"architecture": "resnet50"});
        let files = ["README.md", "config.json", "model.safetensors", "pytorch_model.bin"];
        assert_eq!(chosen(&files, Some(timm.clone())).as_deref(), Ok("model.safetensors"));
        assert_eq!(chosen(&["a.keras", "model.safetensors"], None).as_deref(), Ok("a.keras"));
        assert_eq!(chosen(&["onnx/model.onnx", "model.safetensors"], None).as_deref(), Ok("onnx/model.onnx"));
        assert_eq!(
            chosen(&["model.safetensors", "old/model.safetensors"], Some(timm)).as_deref(),
            Ok("model.safetensors")
        );
        let several = chosen(&["a.keras", "b.keras"], None).expect_err("which?");
        assert!(several.contains("owner/name:a.keras"), "{several}");
    }

    #[test]
    fn what_is_not_read_comes_with_what_to_do() {
        for (files, config, word) in [
            (&["pytorch_model.bin"][..], None, "pickle"),
            (&["model-00001-of-00002.safetensors"], None, "several parts"),
            (&["model.weights.h5"], Some(json!({"module": "keras_hub.src.models"})), "KerasHub"),
            (&["tf_model.h5"], None, "frostline reads"),
            (&[], None, "no files"),
        ] {
            let error = chosen(files, config).expect_err("none");
            assert!(error.contains(word) && error.contains("\nhelp: "), "{error}");
        }
    }

    #[test]
    fn licences_are_told_as_the_card_has_them() {
        let told = |about: Value| licence(&about);
        assert_eq!(told(json!({"cardData": {"license": "apache-2.0"}})).as_deref(), Some("apache-2.0"));
        assert_eq!(
            told(json!({"cardData": {"license": ["mit", "cc0-1.0"]}})).as_deref(),
            Some("mit, cc0-1.0")
        );
        assert_eq!(told(json!({"tags": ["x", "license:mit"]})).as_deref(), Some("mit"));
        let own =
            json!({"cardData": {"license": "other", "license_name": "dinov3", "license_link": "LICENSE"}});
        assert_eq!(told(own).as_deref(), Some("dinov3 (LICENSE)"));
        assert_eq!(told(json!({})), None);
    }
}
