//! Which paths of a command may be addresses, and what lies there.

use crate::args::{Command, Features, Labels, Rewritten};
use std::path::PathBuf;

/// What lies at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A model's file, or a run.
    Model,
    /// Examples.
    Data,
    /// What the paths of a list are relative to; behind the list.
    Root,
    /// What is written.
    Output,
    /// What is on this machine alone, and what it is.
    Here(&'static str),
}

const CACHE: Kind = Kind::Here("--cache");

/// What a process writes; what several write together is a folder that they all see.
fn written<T>(shard: Option<T>) -> Kind {
    if shard.is_some() { Kind::Here("--output with --shard") } else { Kind::Output }
}

/// The paths of a command; what is read before what is written, so that nothing is begun where that is not there.
pub(super) fn places(command: &mut Command) -> Vec<(&mut PathBuf, Kind)> {
    let mut found = Vec::new();
    match command {
        Command::Inspect(command) => found.push((&mut command.model.path, Kind::Model)),
        Command::Plan(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, &mut found);
            found.extend(command.training.cache.as_mut().map(|cache| (cache, CACHE)));
        }
        Command::Train(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, &mut found);
            found.extend(command.training.cache.as_mut().map(|cache| (cache, CACHE)));
            found.push((&mut command.output, Kind::Output));
        }
        Command::Depth(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, &mut found);
            found.extend(command.cache.cache.as_mut().map(|cache| (cache, CACHE)));
            let kind = written(command.sharing.shard);
            found.extend(command.output.as_mut().map(|output| (output, kind)));
        }
        Command::Evaluate(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, &mut found);
            found.extend(command.output.as_mut().map(|output| (output, Kind::Output)));
        }
        Command::Check(command) => {
            found.extend(command.model.as_mut().map(|model| (model, Kind::Model)));
            data(&mut command.data, &mut command.labels, &mut found);
            found.extend(command.cache.cache.as_mut().map(|cache| (cache, CACHE)));
        }
        Command::Predict(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.extend(command.inputs.iter_mut().map(|input| (input, Kind::Data)));
            found.extend(command.output.as_mut().map(|output| (output, Kind::Output)));
        }
        Command::Embed(command) => {
            features(&mut command.features, &mut found);
            found.push((&mut command.output, written(command.shard)));
        }
        Command::Merge(command) => found.push((&mut command.output, Kind::Here("OUTPUT"))),
        Command::Similar(command) => {
            features(&mut command.features, &mut found);
            found.push((&mut command.image, Kind::Data));
            found.extend(command.output.as_mut().map(|output| (output, Kind::Output)));
        }
        Command::Explain(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.extend(command.inputs.iter_mut().map(|input| (input, Kind::Data)));
            found.extend(command.output.as_mut().map(|output| (output, Kind::Output)));
        }
        Command::Convert(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.push((&mut command.output, Kind::Output));
        }
        Command::Verify(command) => found.push((&mut command.model.path, Kind::Model)),
        Command::Suggest(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.push((&mut command.folder, Kind::Data));
        }
        Command::AddClass(command) => {
            found.push((&mut command.run, Kind::Here("RUN")));
            found.push((&mut command.folder, Kind::Here("FOLDER")));
            rewritten(&mut command.rewritten, &mut found);
        }
        Command::RemoveClass(command) => {
            found.push((&mut command.run, Kind::Here("RUN")));
            rewritten(&mut command.rewritten, &mut found);
        }
        #[cfg(feature = "serve")]
        Command::Serve(command) => found.push((&mut command.model.path, Kind::Model)),
        Command::Cache(command) => found.extend(command.cache.as_mut().map(|cache| (cache, CACHE))),
        #[cfg(feature = "pull")]
        Command::Pull(_) => {}
        Command::Models(_) | Command::Doctor(_) | Command::Completions(_) => {}
        Command::Man(_) | Command::Demo(_) => {}
    }
    found
}

fn data<'a>(data: &'a mut PathBuf, labels: &'a mut Labels, found: &mut Vec<(&'a mut PathBuf, Kind)>) {
    // what is in memory has a name alone
    if labels.held.is_none() {
        found.push((data, Kind::Data));
        found.extend(labels.root.as_mut().map(|root| (root, Kind::Root)));
    }
}

fn features<'a>(features: &'a mut Features, found: &mut Vec<(&'a mut PathBuf, Kind)>) {
    found.push((&mut features.model.path, Kind::Model));
    data(&mut features.data, &mut features.labels, found);
    found.extend(features.cache.as_mut().map(|cache| (cache, CACHE)));
}

fn rewritten<'a>(rewritten: &'a mut Rewritten, found: &mut Vec<(&'a mut PathBuf, Kind)>) {
    found.extend(rewritten.data.as_mut().map(|data| (data, Kind::Here("--data"))));
    found.extend(rewritten.cache.cache.as_mut().map(|cache| (cache, CACHE)));
    found.extend(rewritten.output.as_mut().map(|output| (output, Kind::Here("--output"))));
}
