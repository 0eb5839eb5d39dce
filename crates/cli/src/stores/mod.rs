//! Data, models and runs at addresses: what a command reads is copied into the user's cache folder before it begins, what it
//! writes is uploaded when it is done. The commands themselves know paths alone.

mod address;
mod connection;
mod copies;
mod copy;
mod features;
mod photos;
mod places;
mod search;
mod shared_folder;
mod store;
mod upload;

use crate::Failure;
use crate::args::Command;
use crate::console::Console;
use address::{Address, Scheme};
pub(crate) use copies::{cleared, size};
use copy::{Copy, Wanted, is_data, listed};
use features::SharedFeatures;
use frostline::Shard;
use frostline::data::{is_named_as_picture, path_text, shard_names};
use frostline::report::RECORD_FILE;
use futures_util::{StreamExt, TryStreamExt, stream};
use photos::PartOfPhotos;
use places::{Kind, Part, places};
use search::SharedLines;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::Store;
use upload::Upload;

/// Objects that are asked about at a time.
const ASKED_AT_ONCE: usize = 16;

/// What a command that works at addresses works with.
#[derive(Default)]
pub(crate) struct Local {
    /// Held so that nobody changes what is read.
    copies: Vec<Copy>,
    uploads: Vec<Upload>,
    caches: Vec<SharedFeatures>,
}

/// Brings what lies at addresses here, and has the command work with that.
///
/// Errors: an address that leads nowhere, may not be read, or where the command reads and writes no addresses.
pub(crate) fn localize(command: &mut Command, console: &Console) -> Result<Local, Failure> {
    let mut local = Local::default();
    let mut list: Option<PathBuf> = None;
    for (path, kind) in places(command) {
        let Some(address) = Address::of(path)? else {
            if matches!(kind, Kind::Data(_)) {
                list = Some(path.clone()).filter(|path| is_list(path));
            }
            continue;
        };
        *path = match kind {
            Kind::Output(before) => {
                let upload = Upload::new(&address, before)?;
                let here = upload.path();
                local.uploads.push(upload);
                here
            }
            Kind::Search(shard, exchange) => {
                let lines = SharedLines::open(&address, shard)?;
                let here = lines.path().to_path_buf();
                *exchange = Some(Arc::new(lines));
                here
            }
            Kind::Cache(origin) => {
                let features = SharedFeatures::open(&address, console)?;
                let here = features.path().to_path_buf();
                *origin = Some(features.origin());
                local.caches.push(features);
                here
            }
            Kind::Here(what) => {
                return Err(format!(
                    "{what} is `{}`, and is a folder or a file of this machine alone\nhelp: {}",
                    address.text(),
                    "copy it there and back with the store's own tool"
                )
                .into());
            }
            Kind::Model => local.model(&address, console)?,
            Kind::Data(part) => {
                let found = local.data(&address, part, console)?;
                list = Some(found.clone()).filter(|path| is_list(path));
                found
            }
            Kind::Root(part) => local.root(&address, list.as_deref(), part, console)?,
        };
        console.name_place(path, address.text());
    }
    Ok(local)
}

/// The folder of what lies at an address, in the user's cache folder.
fn folder_of(address: &Address) -> Result<PathBuf, Failure> {
    folder_by(address.text())
}

fn folder_by(text: &str) -> Result<PathBuf, Failure> {
    let folder = copies::folder().ok_or(
        "this system names no folder for caches, where copies of what is in stores lie\nhelp: set XDG_CACHE_HOME",
    )?;
    let hash = blake3::hash(text.as_bytes()).to_hex();
    Ok(folder.join(&hash[..16]))
}

/// A CSV, whose photos lie elsewhere.
fn is_list(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ["csv", "tsv", "txt"].contains(&ending.as_str()))
}

impl Local {
    /// Uploads what was written.
    pub(crate) fn finish(self, console: &Console) -> Result<(), Failure> {
        self.caches.into_iter().for_each(SharedFeatures::finish);
        self.uploads.into_iter().try_for_each(|upload| upload.finish(console))
    }

    /// A model's file, or the folder of a run.
    fn model(&mut self, address: &Address, console: &Console) -> Result<PathBuf, Failure> {
        let store = Store::open(address)?;
        let mut copy = Copy::of(address, None)?;
        let name = address.name().to_owned();
        if let Some(about) = one(&store, address)? {
            copy.bring(&store, vec![Wanted { about, path: name.clone() }], "", console)?;
        } else {
            let objects = listed(&store, address.key())?;
            if !objects.iter().any(|(_, path)| path == RECORD_FILE) {
                return Err(format!(
                    "`{}` is no model and no run: there is no such object, and no `{RECORD_FILE}` below it\nhelp: look at the bucket and the key",
                    address.text()
                )
                .into());
            }
            let wanted =
                objects.into_iter().map(|(about, path)| Wanted { about, path: format!("{name}/{path}") });
            copy.bring(&store, wanted.collect(), "", console)?;
        }
        let path = copy.path(&name);
        self.copies.push(copy);
        Ok(path)
    }

    /// A folder of photos, shards, an npz, or a list with its photos.
    fn data(&mut self, address: &Address, part: Part<'_>, console: &Console) -> Result<PathBuf, Failure> {
        let store = Store::open(address)?;
        let mut copy = Copy::of(address, shard(&part))?;
        let name = address.name().to_owned();
        if let Some(keys) = shard_names(address.key())? {
            let path = shards(&store, &mut copy, address, keys, console)?;
            self.copies.push(copy);
            return Ok(path);
        }
        if let Some(about) = one(&store, address)? {
            let first = Wanted { about: about.clone(), path: name.clone() };
            copy.bring(&store, vec![first], &name, console)?;
            let path = copy.path(&name);
            if !is_list(&path) {
                self.copies.push(copy);
                return Ok(path);
            }
            let mut wanted = photos_of(&store, &path, address.above().key())?;
            wanted.push(Wanted { about, path: name });
            self.photos(store, copy, wanted, part, console)?;
            return Ok(path);
        }
        let objects = listed(&store, address.key())?;
        let count = objects.len();
        let wanted: Vec<Wanted> = objects
            .into_iter()
            .filter(|(about, path)| about.size > 0 && is_data(path))
            .map(|(about, path)| Wanted { about, path: format!("{name}/{path}") })
            .collect();
        if wanted.is_empty() {
            return Err(match count {
                0 => format!("`{}` is not there\nhelp: look at the bucket or server, and at what lies there", address.text()),
                _ => format!(
                    "`{}` holds {count} objects, and no photo and no tar or Parquet file\nhelp: give the folder that holds the folders of classes",
                    address.text()
                ),
            }
            .into());
        }
        if wanted.len() < count {
            console.warn(format_args!(
                "{} objects of `{}` are no photos, tar or Parquet files, and are left out",
                count - wanted.len(),
                address.text()
            ));
        }
        let path = copy.path(&name);
        self.photos(store, copy, wanted, part, console)?;
        Ok(path)
    }

    /// Brings photos, or what is not one and empty files for those that a process of several may not need.
    fn photos(
        &mut self,
        store: Store,
        mut copy: Copy,
        wanted: Vec<Wanted>,
        part: Part<'_>,
        console: &Console,
    ) -> Result<(), Failure> {
        match part {
            Some((_, photos)) => *photos = Some(Arc::new(PartOfPhotos::place(store, copy, wanted, console)?)),
            None => {
                copy.bring(&store, wanted, "", console)?;
                self.copies.push(copy);
            }
        }
        Ok(())
    }

    /// The folder that the paths of a list are relative to.
    fn root(
        &mut self,
        address: &Address,
        list: Option<&Path>,
        part: Part<'_>,
        console: &Console,
    ) -> Result<PathBuf, Failure> {
        let Some(list) = list else {
            return Err(format!(
                "--root is `{}`, and the data are no list of paths\nhelp: leave --root out, or give a CSV",
                address.text()
            )
            .into());
        };
        let store = Store::open(address)?;
        let copy = Copy::of(address, shard(&part))?;
        let wanted = photos_of(&store, list, address.key())?;
        let path = copy.path("");
        self.photos(store, copy, wanted, part, console)?;
        Ok(path)
    }
}

/// The process that works with a part.
fn shard(part: &Part<'_>) -> Option<Shard> {
    part.as_ref().map(|(shard, _)| *shard)
}

/// The object at an address itself, where there is one.
fn one(store: &Store, address: &Address) -> Result<Option<object_store::ObjectMeta>, Failure> {
    // a web server answers for folders, too
    let is_file = address.scheme != Scheme::Web || Path::new(address.name()).extension().is_some();
    match address.key().is_empty() || !is_file {
        true => Ok(None),
        false => {
            let found = store.wait(store.about(address.key()))?;
            match (&found, address.scheme) {
                (None, Scheme::Web) => Err(format!(
                    "`{}` is not there\nhelp: look at the bucket or server, and at what lies there",
                    address.text()
                )
                .into()),
                _ => Ok(found),
            }
        }
    }
}

/// Shards by a pattern; the pattern of their copies.
fn shards(
    store: &Store,
    copy: &mut Copy,
    address: &Address,
    keys: Vec<String>,
    console: &Console,
) -> Result<PathBuf, Failure> {
    let key = address.key();
    let above = key[..key.find('{').unwrap_or(0)].rfind('/').map_or(0, |at| at + 1);
    let wanted = about_all(store, keys)?
        .into_iter()
        .map(|(key, about)| match about {
            Some(about) => Ok(Wanted { about, path: key[above..].to_owned() }),
            None => Err(format!(
                "`{}`, which `{}` stands for, is not there\nhelp: mend the numbers, which include the last one",
                store.named(&key),
                address.text()
            )
            .into()),
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    copy.bring(store, wanted, "", console)?;
    Ok(copy.path(&key[above..]))
}

/// What is known of many objects, in their order.
fn about_all(
    store: &Store,
    keys: Vec<String>,
) -> Result<Vec<(String, Option<object_store::ObjectMeta>)>, Failure> {
    store.wait(async {
        let about = |key: String| async move { store.about(&key).await.map(|about| (key, about)) };
        stream::iter(keys).map(about).buffered(ASKED_AT_ONCE).try_collect().await
    })
}

/// The photos that a list names, below a key: those objects whose path is a cell of the list, with its ending or without.
fn photos_of(store: &Store, list: &Path, key: &str) -> Result<Vec<Wanted>, Failure> {
    let text = std::fs::read(list)
        .map_err(|error| format!("`{}` cannot be read: {error}\nhelp: look at the file", path_text(list)))?;
    let text = String::from_utf8_lossy(&text);
    let cell =
        |cell: &str| cell.trim().trim_matches('"').replace('\\', "/").trim_start_matches("./").to_owned();
    let cells: BTreeSet<String> =
        text.lines().flat_map(|line| line.split([',', ';', '\t'])).map(cell).collect();
    if store.address.scheme == Scheme::Web {
        // a web server lists nothing: what looks like a photo is asked for
        let paths = cells.into_iter().filter(|cell| is_named_as_picture(Path::new(cell)));
        let keys = paths.map(|path| format!("{key}/{path}").trim_start_matches('/').to_owned()).collect();
        let skip = if key.is_empty() { 0 } else { key.len() + 1 };
        let found = about_all(store, keys)?.into_iter();
        // what is not there is told where it is missed
        return Ok(found
            .filter_map(|(key, about)| Some(Wanted { about: about?, path: key[skip..].to_owned() }))
            .collect());
    }
    let is_listed = |path: &str| {
        cells.contains(path) || path.rsplit_once('.').is_some_and(|(stem, _)| cells.contains(stem))
    };
    let objects = listed(store, key)?.into_iter();
    let photos = objects
        .filter(|(about, path)| about.size > 0 && is_named_as_picture(Path::new(path)) && is_listed(path));
    Ok(photos.map(|(about, path)| Wanted { about, path }).collect())
}
