//! `frostline pull`: a pretrained model from the hub.

mod checksum;
mod download;
mod hub;
mod hub_file;
mod repository;

pub(crate) use hub_file::{HubFile, meant_by};

use crate::Failure;
use crate::args::Pull;
use crate::cache::bytes;
use crate::console::{Console, shell_line};
use download::{Others, Pulled, Source};
use hub::Hub;
use repository::{Repository, architecture_in};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn run(command: &Pull, console: &Console) -> Result<(), Failure> {
    let (hub, wanted) = (Hub::from_environment()?, &command.name);
    let name = wanted.repository();
    let repository = Repository::ask(&hub, wanted).map_err(|refusal| with_earlier(refusal.into(), wanted))?;
    let (folder, others) = match &command.output {
        Some(folder) => (folder.clone(), Others::Keep),
        None => (own_folder(&name)?.join(&repository.commit[..12]), Others::Replace),
    };
    let pull = |file: &str, path: &Path| {
        Source { hub: &hub, repository: &name, commit: &repository.commit, file }.pull(path, others, console)
    };
    let place = |file: &str| match others {
        Others::Replace => folder.join(file),
        Others::Keep => folder.join(file.rsplit('/').next().unwrap_or(file)),
    };
    // the configuration first: no model lies there without it, and it says what the model is
    let config_name = repository.config_of(wanted.file.as_deref().unwrap_or_default());
    let config = match &config_name {
        Some(config) => Some(pull(config, &place(config))?),
        None => None,
    };
    let said = config.as_ref().and_then(|config| read(&config.path));
    let file = repository.model(wanted, said.as_ref())?;
    let architecture = said.as_ref().and_then(architecture_in);
    if file.ends_with(".safetensors") {
        match &architecture {
            Some((said, None)) => {
                return Err(format!(
                    "`{name}` is a `{said}`, which frostline cannot put together from weights alone\nhelp: `frostline models --all` lists what it can; or export it to ONNX with PyTorch"
                )
                .into());
            }
            Some((_, Some(_))) => {}
            None => console.warn(format_args!(
                "`{name}` has no config.json that names an architecture of timm: give --arch, where the file is one of PyTorch's"
            )),
        }
    }
    for weights in repository.weights_of(&file) {
        pull(&weights, &place(&weights))?;
    }
    let path = place(&file);
    let model = pull(&file, &path)?;
    // beside a model in a folder of its own
    if let Some(config) = &config {
        let beside = path.with_file_name("config.json");
        if beside != config.path && !beside.exists() {
            frostline::write_atomically(&beside, &std::fs::read(&config.path)?)
                .map_err(frostline::Error::from)?;
        }
    }
    let config = config.map(|_| path.with_file_name("config.json"));
    match command.json {
        true => console.print(serde_json::to_string_pretty(&document(
            command,
            &repository,
            &model,
            config.as_deref(),
        ))?),
        false => tell(command, &repository, &model, console),
    }
}

fn document(command: &Pull, repository: &Repository, model: &Pulled, config: Option<&Path>) -> Value {
    json!({
        "repository": command.name.repository(),
        "revision": command.name.revision,
        "commit": repository.commit,
        "licence": repository.licence,
        "model": model.path.display().to_string(),
        "config": config.map(|config| config.display().to_string()),
        "bytes": model.bytes,
        "checksum": model.checksum.to_string(),
        "verified": model.is_verified,
        "was_there": model.was_there,
    })
}

fn tell(command: &Pull, repository: &Repository, model: &Pulled, console: &Console) -> Result<(), Failure> {
    let path = model.path.display();
    console.print(format_args!("{} at commit {}", command.name, &repository.commit[..12]))?;
    match &repository.licence {
        Some(licence) => console.print(format_args!("licence   {licence}, by its model card"))?,
        None => console.print(
            "licence   its model card names none: ask its owner before you publish what you make of it",
        )?,
    }
    let was = if model.was_there { ", was there already" } else { "" };
    let agrees = if model.is_verified { ", as the hub says" } else { "; the hub names none" };
    console.print(format_args!("checksum  {}{agrees}", model.checksum))?;
    console.print(format_args!("model     {path} ({}{was})", bytes(model.bytes)))?;
    let try_it = ["frostline", "train", &path.to_string(), "photos/", "-o", "run"].map(str::to_owned);
    console.print(format_args!("\n{}", shell_line(&try_it)))
}

fn read(config: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(config).ok()?).ok()
}

/// Where the models of a repository are kept.
fn own_folder(repository: &str) -> Result<PathBuf, Failure> {
    let data =
        dirs::data_local_dir().ok_or("this system names no folder for data\nhelp: give one with -o DIR")?;
    Ok(data.join("frostline").join("models").join(repository))
}

/// An error with the models that were pulled before, which need no network.
fn with_earlier(failure: Failure, wanted: &HubFile) -> Failure {
    let folder = own_folder(&wanted.repository()).ok();
    let entries = folder.and_then(|folder| std::fs::read_dir(folder).ok()).into_iter().flatten().flatten();
    let pulled = |folder: PathBuf| {
        let mut files = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        files.find(|file| file.extension().is_some_and(|end| end != "json" && end != "part"))
    };
    match entries.filter_map(|entry| pulled(entry.path())).next() {
        Some(model) => format!("{failure}; what was pulled before is at `{}`", model.display()).into(),
        None => failure,
    }
}
