//! Which paths of a command may be addresses, and what lies there.

use super::upload::Before;
use crate::args::{CachePlace, Command, Features, Labels, Photos, Rewritten};
use frostline::Shard;
use frostline::cache::Origin;
use frostline::depth::Exchange;
use std::path::PathBuf;
use std::sync::Arc;

/// What lies at a place.
pub(super) enum Kind<'a> {
    /// A model's file, or a run.
    Model,
    /// Examples.
    Data(Part<'a>),
    /// What the paths of a list are relative to; behind the list.
    Root(Part<'a>),
    /// What is written.
    Output(Before),
    /// A run that processes search for together: which of them this is, and where it finds how they do.
    Search(Shard, &'a mut Option<Arc<dyn Exchange>>),
    /// A feature cache, and where it finds what brings features into it.
    Cache(&'a mut Option<Arc<dyn Origin>>),
    /// What is on this machine alone, and what it is.
    Here(&'static str),
}

/// Of a process that works with a part of the examples alone: which it is, and where it finds what brings them.
pub(super) type Part<'a> = Option<(Shard, &'a mut Option<Arc<dyn Photos>>)>;

/// The cache of commands that look after it.
const CACHE: Kind<'_> = Kind::Here("--cache");

/// A new run or file.
const NEW: Kind<'_> = Kind::Output(Before::New);

/// The paths of a command; what is read before what is written, so that nothing is begun where that is not there.
pub(super) fn places(command: &mut Command) -> Vec<(&mut PathBuf, Kind<'_>)> {
    let mut found = Vec::new();
    match command {
        Command::Inspect(command) => found.push((&mut command.model.path, Kind::Model)),
        Command::Plan(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, None, &mut found);
            found.extend(command.training.cache.as_mut().map(cache));
        }
        Command::Train(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, None, &mut found);
            found.extend(command.training.cache.as_mut().map(cache));
            let before = if command.resume { Before::GoesOn } else { Before::New };
            found.push((&mut command.output, Kind::Output(before)));
        }
        Command::Depth(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, None, &mut found);
            found.extend(command.cache.cache.as_mut().map(cache));
            let kind = match command.sharing.shard {
                Some(shard) => Kind::Search(shard, &mut command.sharing.exchange),
                None => Kind::Output(Before::GoesOn),
            };
            found.extend(command.output.as_mut().map(|output| (output, kind)));
        }
        Command::Evaluate(command) => {
            found.push((&mut command.model.path, Kind::Model));
            data(&mut command.data, &mut command.labels, None, &mut found);
            found.extend(command.output.as_mut().map(|output| (output, NEW)));
        }
        Command::Check(command) => {
            found.extend(command.model.as_mut().map(|model| (model, Kind::Model)));
            data(&mut command.data, &mut command.labels, None, &mut found);
            found.extend(command.cache.cache.as_mut().map(cache));
        }
        Command::Predict(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.extend(command.inputs.iter_mut().map(|input| (input, Kind::Data(None))));
            found.extend(command.output.as_mut().map(|output| (output, NEW)));
        }
        Command::Embed(command) => {
            let part = command.shard.map(|shard| (shard, &mut command.photos));
            features(&mut command.features, part, &mut found);
            found.push((&mut command.output, Kind::Output(command.shard.map_or(Before::New, Before::Part))));
        }
        Command::Merge(command) => found.push((&mut command.output, Kind::Output(Before::Merges))),
        Command::Similar(command) => {
            features(&mut command.features, None, &mut found);
            found.push((&mut command.image, Kind::Data(None)));
            found.extend(command.output.as_mut().map(|output| (output, NEW)));
        }
        Command::Explain(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.extend(command.inputs.iter_mut().map(|input| (input, Kind::Data(None))));
            found.extend(command.output.as_mut().map(|output| (output, NEW)));
        }
        Command::Convert(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.push((&mut command.output, NEW));
        }
        Command::Verify(command) => found.push((&mut command.model.path, Kind::Model)),
        Command::Suggest(command) => {
            found.push((&mut command.model.path, Kind::Model));
            found.push((&mut command.folder, Kind::Data(None)));
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
        Command::Doctor(command) => found.extend(command.cache.as_mut().map(|cache| (cache, CACHE))),
        #[cfg(feature = "pull")]
        Command::Pull(_) => {}
        Command::Models(_) | Command::Completions(_) => {}
        Command::Man(_) | Command::Demo(_) => {}
    }
    found
}

fn data<'a>(
    data: &'a mut PathBuf,
    labels: &'a mut Labels,
    part: Part<'a>,
    found: &mut Vec<(&'a mut PathBuf, Kind<'a>)>,
) {
    // what is in memory has a name alone
    if labels.held.is_some() {
        return;
    }
    match labels.root.as_mut() {
        None => found.push((data, Kind::Data(part))),
        Some(root) => found.extend([(data, Kind::Data(None)), (root, Kind::Root(part))]),
    }
}

fn features<'a>(features: &'a mut Features, part: Part<'a>, found: &mut Vec<(&'a mut PathBuf, Kind<'a>)>) {
    found.push((&mut features.model.path, Kind::Model));
    data(&mut features.data, &mut features.labels, part, found);
    found.extend(features.cache.as_mut().map(cache));
}

fn cache(place: &mut CachePlace) -> (&mut PathBuf, Kind<'_>) {
    (&mut place.folder, Kind::Cache(&mut place.origin))
}

fn rewritten<'a>(rewritten: &'a mut Rewritten, found: &mut Vec<(&'a mut PathBuf, Kind<'a>)>) {
    found.extend(rewritten.data.as_mut().map(|data| (data, Kind::Here("--data"))));
    found.extend(rewritten.cache.cache.as_mut().map(cache));
    found.extend(rewritten.output.as_mut().map(|output| (output, Kind::Here("--output"))));
}
