//! `frostline doctor`: what this machine has, and whether frostline can work on it.

use crate::Failure;
use crate::args::Doctor;
use crate::cache::{bytes, open};
use crate::console::{Console, table};
use frostline::cache::FeatureCache;
use frostline::formats::KERAS_VERSION;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::Path;
use sysinfo::{Disks, MemoryRefreshKind, System};

/// Below so much free memory, photos and features of an ordinary training may not fit.
const LITTLE_MEMORY: u64 = 1 << 30;
/// Below so much free room on its disk, the cache keeps little.
const LITTLE_ROOM: u64 = 1 << 30;

/// What was found, in the order in which it is told.
struct Findings {
    rows: Vec<(&'static str, String)>,
    document: Value,
    /// What works worse than it could.
    notes: Vec<String>,
    /// What is broken, each with what helps.
    broken: Vec<String>,
}

pub(crate) fn run(command: &Doctor, console: &Console) -> Result<(), Failure> {
    let mut found = Findings { rows: Vec::new(), document: json!({}), notes: Vec::new(), broken: Vec::new() };
    versions(&mut found);
    processor(&mut found);
    memory(&mut found);
    cache(&mut found, command.cache.as_deref());
    terminal(&mut found);
    if command.json {
        found.document["notes"] = json!(found.notes);
        found.document["broken"] = json!(found.broken);
        console.print(serde_json::to_string_pretty(&found.document)?)?;
    } else {
        let rows: Vec<Vec<String>> =
            found.rows.iter().map(|(name, text)| vec![(*name).to_owned(), text.clone()]).collect();
        console.print(table(&rows, &[false, false]))?;
        found.notes.iter().try_for_each(|note| console.print(format_args!("\nnote: {note}")))?;
        if found.broken.is_empty() {
            console.print("\nNothing is broken.")?;
        }
    }
    match found.broken.is_empty() {
        true => Ok(()),
        false => Err(found.broken.join("\n").into()),
    }
}

fn versions(found: &mut Findings) {
    let version = env!("CARGO_PKG_VERSION");
    let target = target();
    found.rows.push(("frostline", format!("{version}, built for {target}")));
    found.rows.push(("files", format!("written as Keras {KERAS_VERSION} writes them")));
    found.document["version"] = json!(version);
    found.document["target"] = json!(target);
    found.document["keras"] = json!(KERAS_VERSION);
}

/// `x86_64-linux-gnu, static`.
fn target() -> String {
    let environment = match () {
        () if cfg!(target_env = "gnu") => "-gnu",
        () if cfg!(target_env = "musl") => "-musl",
        () if cfg!(target_env = "msvc") => "-msvc",
        () => "",
    };
    let linked = if cfg!(target_feature = "crt-static") { ", static" } else { "" };
    format!("{}-{}{environment}{linked}", std::env::consts::ARCH, std::env::consts::OS)
}

fn processor(found: &mut Findings) {
    let (floats, halves, bytes) =
        (frostline::instruction_set(), frostline::bf16_instruction_set(), frostline::int8_instruction_set());
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = rayon::current_num_threads();
    found.rows.push(("kernels", format!("{floats}; for bf16 {halves}; for int8 {bytes}")));
    found.rows.push(("cores", format!("{cores}; {threads} threads work")));
    found.document["kernels"] = json!({ "f32": floats, "bf16": halves, "int8": bytes });
    found.document["cores"] = json!(cores);
    found.document["threads"] = json!(threads);
    if floats == "portable" {
        found.notes.push(
            "this processor, or the virtual machine, has no AVX2 and no NEON: kernels are several times slower\n\
             help: on a virtual machine, let it have the processor's own features (in QEMU `-cpu host`)"
                .to_owned(),
        );
    }
}

fn memory(found: &mut Findings) {
    let untold = |found: &mut Findings| found.rows.push(("memory", "this system does not tell".to_owned()));
    let Ok(mut system) = System::new() else { return untold(found) };
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    // a container may have less than the machine
    let limits = system.cgroup_limits();
    let total = limits.as_ref().map_or(u64::MAX, |limits| limits.total_memory).min(system.total_memory());
    let free = limits.as_ref().map_or(u64::MAX, |limits| limits.free_memory).min(system.available_memory());
    if total == 0 {
        return untold(found);
    }
    found.rows.push(("memory", format!("{}, {} of it free", bytes(total), bytes(free))));
    found.document["memory"] = json!({ "total": total, "free": free });
    if free < LITTLE_MEMORY {
        found.notes.push(format!(
            "only {} of memory are free\nhelp: end other programs; `frostline plan` tells what a training will take",
            bytes(free)
        ));
    }
}

fn cache(found: &mut Findings, folder: Option<&Path>) {
    let cache = match open(folder, FeatureCache::LIMIT) {
        Ok(cache) => cache,
        Err(error) => {
            found.rows.push(("cache", "there is no folder for it".to_owned()));
            found.document["cache"] = Value::Null;
            found.broken.push(error.to_string());
            return;
        }
    };
    let folder = cache.folder.display().to_string();
    let writable = cache.check_writable();
    let used = cache.list().map(|entries| entries.iter().map(|entry| entry.bytes).sum::<u64>());
    let free = free_below(&cache.folder);
    let mut told = match &used {
        Ok(used) => format!("{} of at most {}, ", bytes(*used), bytes(cache.limit)),
        Err(_) => "cannot be read, ".to_owned(),
    };
    told.push_str(if writable.is_ok() { "can be written" } else { "CANNOT BE WRITTEN" });
    if let Some(free) = free {
        told.push_str(&format!("; {} free on its disk", bytes(free)));
    }
    found.rows.push(("cache", format!("`{folder}`")));
    found.rows.push(("", told));
    found.document["cache"] = json!({
        "folder": folder,
        "bytes": used.as_ref().ok(),
        "limit": cache.limit,
        "writable": writable.is_ok(),
        "free": free,
    });
    if let Err(error) = writable {
        let error = error.to_string();
        let said = error.lines().next().unwrap_or_default();
        found.broken.push(format!(
            "the feature cache cannot be written: {said}\nhelp: give another folder with --cache DIR, or train with --no-cache"
        ));
    }
    if let Some(free) = free.filter(|free| *free < LITTLE_ROOM) {
        found.notes.push(format!(
            "only {} are free on the disk of the feature cache\nhelp: `frostline cache clear`, or --cache DIR on another disk",
            bytes(free)
        ));
    }
}

/// The free room on the disk that a folder is on: that of the longest mount point above it.
fn free_below(folder: &Path) -> Option<u64> {
    let folder = folder.ancestors().find_map(|above| above.canonicalize().ok())?;
    let disks = Disks::new_with_refreshed_list().ok()?;
    let above = disks.iter().filter(|disk| folder.starts_with(disk.mount_point()));
    above.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(|disk| disk.available_space())
}

fn terminal(found: &mut Findings) {
    let [output, errors] = [std::io::stdout().is_terminal(), std::io::stderr().is_terminal()];
    let told = match (output, errors) {
        (true, true) => "yes",
        (false, true) => "of standard error alone: results go elsewhere",
        (true, false) => "of standard output alone: no bars are shown",
        (false, false) => "none: no bars are shown",
    };
    found.rows.push(("terminal", told.to_owned()));
    found.document["terminal"] = json!({ "stdout": output, "stderr": errors });
}
