//! `frostline cache`.

use crate::Failure;
use crate::args::{Cache, CacheAction, CacheFolder, CachePlace};
use crate::console::{Console, table};
use frostline::cache::FeatureCache;
use frostline::fit::Caching;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

pub(crate) fn run(command: &Cache, console: &Console) -> Result<(), Failure> {
    let cache = open(command.cache.as_deref(), FeatureCache::LIMIT)?;
    match (command.action, command.json) {
        (CacheAction::List, true) => console.print(serde_json::to_string(&cache.list()?)?),
        (CacheAction::List, false) => {
            list(&cache, console)?;
            match copies(command, stores_size)? {
                0 => Ok(()),
                size => console.print(format_args!("{} in copies of what lies in stores", bytes(size))),
            }
        }
        (CacheAction::Verify, json) => {
            let health = cache.verify()?;
            match json {
                true => console.print(serde_json::to_string(&health)?),
                false => console.print(format_args!(
                    "{} feature vectors are sound, {} damaged, {} files unreadable; {} files removed",
                    health.sound, health.damaged, health.unreadable, health.removed
                )),
            }
        }
        (CacheAction::Clear, json) => {
            let freed = cache.clear()? + copies(command, stores_cleared)?;
            match json {
                true => console.print(json!({ "freed": freed })),
                false => console.print(format_args!("{} are free again", bytes(freed))),
            }
        }
    }
}

/// Bytes of the copies of what lies in stores, which are in the user's cache folder alone.
fn copies(command: &Cache, count: fn() -> Result<u64, Failure>) -> Result<u64, Failure> {
    if command.cache.is_some() { Ok(0) } else { count() }
}

#[cfg(feature = "stores")]
use crate::stores::{cleared as stores_cleared, size as stores_size};

#[cfg(not(feature = "stores"))]
fn stores_cleared() -> Result<u64, Failure> {
    Ok(0)
}

#[cfg(not(feature = "stores"))]
fn stores_size() -> Result<u64, Failure> {
    Ok(0)
}

/// Where features are kept: in memory, where the cache cannot be written to. It is a help, and no reason to stop.
pub(crate) fn caching(no_cache: bool, place: Option<&CachePlace>, limit: u64, console: &Console) -> Caching {
    if no_cache {
        return Caching::Nothing;
    }
    let folder = place.map(|place| place.folder.as_path());
    let origin = place.and_then(|place| place.origin.clone());
    match open(folder, limit).and_then(|cache| Ok(cache.check_writable().map(|()| cache)?)) {
        Ok(cache) => Caching::Disk(FeatureCache { origin, ..cache }),
        Err(error) => {
            console.warn(format_args!(
                "{error}\nthere is no feature cache: features are kept in memory, for this run alone"
            ));
            Caching::Memory(Caching::MEMORY)
        }
    }
}

/// [`caching`] of a command that always keeps features.
pub(crate) fn caching_in(folder: &CacheFolder, console: &Console) -> Caching {
    caching(false, folder.cache.as_ref(), folder.cache_limit, console)
}

/// The cache in `folder`, by default in the user's cache folder.
pub(crate) fn open(folder: Option<&Path>, limit: u64) -> Result<FeatureCache, Failure> {
    let folder = folder.map(Path::to_owned).or_else(FeatureCache::default_folder).ok_or(
        "this system names no folder for caches\nhelp: give one with --cache DIR, or train with --no-cache",
    )?;
    Ok(FeatureCache::new(folder, limit))
}

fn list(cache: &FeatureCache, console: &Console) -> Result<(), Failure> {
    let entries = cache.list()?;
    let mut rows =
        vec![["prefix", "model", "boundary", "vectors", "size", "last used"].map(str::to_owned).to_vec()];
    rows.extend(entries.iter().map(|entry| {
        vec![
            entry.name.chars().take(12).collect(),
            entry.model.clone(),
            entry.boundary.join(", "),
            entry.vectors.to_string(),
            bytes(entry.bytes),
            entry.used.elapsed().map_or_else(|_| "now".to_owned(), ago),
        ]
    }));
    if !entries.is_empty() {
        console.print(table(&rows, &[false, false, false, true, true, true]))?;
        console.print("")?;
    }
    let total = entries.iter().map(|entry| entry.bytes).sum();
    console.print(format_args!("{} in `{}`", bytes(total), cache.folder.display()))
}

/// `1.5 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

fn ago(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_their_units() {
        assert_eq!(bytes(1000), "1000 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(10 << 30), "10.0 GiB");
    }
}
