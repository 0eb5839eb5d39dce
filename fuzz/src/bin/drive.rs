//! Reads so many changed files of each format, and watches for what must not be: a panic, an abort, more than a second of work, more
//! memory than twice the file and 64 MB.
//!
//! usage: drive [FORMAT…] [--mutations 100000] [--seed 0] [--corpus corpus] [--found found]
//!        drive --replay FORMAT FILE…
//!
//! Each format is read in a process of its own, which is started again where it ends. What was found lies in `found/FORMAT/`, and the
//! last line for each format is JSON.

use cpu_time::ProcessTime;
use fastrand::Rng;
use frostline_fuzz::{FORMATS, Format, format, whole};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// So long reading a file may work, of all cores together.
const LONGEST: Duration = Duration::from_secs(1);
/// A picture's pixels take time besides: so many a second.
const PIXELS_A_SECOND: f64 = 4e6;
/// Memory besides twice the file.
const BESIDES: usize = 64 << 20;
/// A picture's pixels take memory besides: as they are decoded, turned, and handed on.
const PIXEL_BYTES: usize = 16;
/// A model that was read may work so long when it is looked at: what is run and written is no part of reading.
const WHOLE: Duration = Duration::from_secs(20);
/// After so long a process is ended from within.
const HANGS: Duration = Duration::from_secs(40);
/// As many inputs of a kind of fault are kept.
const KEPT: usize = 3;
/// A process may not take more, whatever it counts.
const ADDRESS_SPACE: &str = "--as=12884901888";
const HUNG: i32 = 99;

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

struct Settings {
    formats: Vec<String>,
    mutations: u64,
    seed: u64,
    corpus: PathBuf,
    found: PathBuf,
    /// In a process of its own: from this mutation on.
    from: Option<u64>,
    replay: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let settings = settings();
    match (settings.from, settings.replay.is_empty()) {
        (_, false) => replay(&settings),
        (Some(from), _) => child(&settings, from),
        (None, _) => parent(&settings),
    }
}

fn settings() -> Settings {
    let mut settings = Settings {
        formats: Vec::new(),
        mutations: 100_000,
        seed: 0,
        corpus: "corpus".into(),
        found: "found".into(),
        from: None,
        replay: Vec::new(),
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} wants a value"));
        match word.as_str() {
            "--mutations" => settings.mutations = value().parse().expect("a number"),
            "--seed" => settings.seed = value().parse().expect("a number"),
            "--corpus" => settings.corpus = value().into(),
            "--found" => settings.found = value().into(),
            "--from" => settings.from = Some(value().parse().expect("a number")),
            "--replay" => {
                settings.formats = vec![value()];
                settings.replay = words.by_ref().map(PathBuf::from).collect();
            }
            name => settings.formats.push(name.to_owned()),
        }
    }
    if settings.formats.is_empty() {
        settings.formats = FORMATS.iter().map(|format| format.name.to_owned()).collect();
    }
    settings
}

/// Where a process says what it is reading: in memory, where the system has such a place.
fn now(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("frostline-fuzz-{name}"))
}

/// What reading one file came to.
struct Read {
    /// What must not be, in a few words that are the same for the same fault.
    fault: Option<String>,
    is_model: bool,
    worked: Duration,
    memory: usize,
}

fn read(format: &Format, bytes: &[u8]) -> Read {
    let pixels = (format.declared)(bytes);
    MEMORY.reset_peak_usage();
    let (before, clock) = (MEMORY.current_usage(), ProcessTime::now());
    let found = catch_unwind(AssertUnwindSafe(|| (format.read)(bytes)));
    let worked = clock.elapsed();
    let memory = MEMORY.peak_usage().saturating_sub(before);
    let is_model = matches!(found, Ok(Some(_)));
    let most = LONGEST + Duration::from_secs_f64(pixels as f64 / PIXELS_A_SECOND);
    let fault = match found {
        Err(_) => Some(PANIC.with_borrow(Clone::clone)),
        Ok(_) if worked > most => Some("slow".to_owned()),
        Ok(_) if memory > 2 * bytes.len() + BESIDES + PIXEL_BYTES * pixels => Some("memory".to_owned()),
        Ok(Some(model)) => {
            let clock = ProcessTime::now();
            match catch_unwind(AssertUnwindSafe(|| whole::check(&model))) {
                Err(_) => Some(format!("later, {}", PANIC.with_borrow(Clone::clone))),
                Ok(()) if clock.elapsed() > WHOLE => Some("later, slow".to_owned()),
                Ok(()) => None,
            }
        }
        Ok(None) => None,
    };
    Read { fault, is_model, worked, memory }
}

fn seeds(settings: &Settings, name: &str) -> Vec<Vec<u8>> {
    let folder = settings.corpus.join(name);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}: make_seeds.py makes it", folder.display()))
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

fn note_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map_or_else(String::new, |at| format!("{}:{}", at.file(), at.line()));
        // where it was built is no part of what went wrong
        let at = at.rsplit_once("/src/").map_or(at.clone(), |(before, file)| {
            format!("{}/{file}", before.rsplit('/').next().unwrap_or_default())
        });
        PANIC.set(format!("panic at {at}"));
    }));
}

/// Which mutation is under way, and since when in milliseconds of the process's work.
static AT: AtomicU64 = AtomicU64::new(0);
static SINCE: AtomicU64 = AtomicU64::new(0);

fn child(settings: &Settings, from: u64) -> ExitCode {
    note_panics();
    let name = settings.formats.first().expect("a format");
    let format = format(name).unwrap_or_else(|| panic!("there is no format `{name}`"));
    let seeds = seeds(settings, name);
    assert!(!seeds.is_empty(), "no seeds of {name}");
    let start = ProcessTime::now();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = start.elapsed().as_millis() as u64;
            if now.saturating_sub(SINCE.load(Ordering::Relaxed)) > HANGS.as_millis() as u64 {
                std::process::exit(HUNG);
            }
        }
    });
    let folder = settings.found.join(name);
    let current = now(name).join("current");
    let at = now(name).join("at");
    let mut faults: BTreeMap<String, u64> = BTreeMap::new();
    let (mut models, mut slowest, mut most) = (0u64, Duration::ZERO, 0);
    let (clock, mut told) = (Instant::now(), Instant::now());
    let state = |done: u64, models: u64, faults: &BTreeMap<String, u64>, slowest: Duration, most: usize| json!({ "done": done, "models": models, "faults": faults, "slowest": slowest.as_secs_f64(), "most_memory": most });
    for mutation in from..settings.mutations {
        AT.store(mutation, Ordering::Relaxed);
        let mut rng = Rng::with_seed(settings.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (mutation << 8));
        let seed = &seeds[rng.usize(..seeds.len())];
        let bytes = (format.mutate)(&mut rng, seed, &seeds);
        std::fs::write(&current, &bytes).expect("the current input");
        std::fs::write(&at, mutation.to_string()).expect("its number");
        SINCE.store(start.elapsed().as_millis() as u64, Ordering::Relaxed);
        let mut found = read(format, &bytes);
        if found.fault.as_deref().is_some_and(|fault| fault.ends_with("slow")) {
            // another process may have been in its way
            found = read(format, &bytes);
        }
        models += u64::from(found.is_model);
        slowest = slowest.max(found.worked);
        most = most.max(found.memory);
        if let Some(fault) = found.fault {
            let seen = faults.entry(fault.clone()).or_default();
            *seen += 1;
            if *seen <= KEPT as u64 {
                let file = format!(
                    "{}-{mutation}",
                    fault.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
                );
                std::fs::write(folder.join(file), &bytes).expect("what was found");
            }
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            let rate = (mutation - from) as f64 / clock.elapsed().as_secs_f64();
            eprintln!("{name}: {mutation} of {}, {rate:.0} a second, {faults:?}", settings.mutations);
            drop(std::fs::write(
                folder.join("state"),
                state(mutation + 1, models, &faults, slowest, most).to_string(),
            ));
        }
    }
    let done = state(settings.mutations, models, &faults, slowest, most);
    std::fs::write(folder.join("state"), done.to_string()).expect("the state");
    ExitCode::SUCCESS
}

fn parent(settings: &Settings) -> ExitCode {
    let mut failed = false;
    for name in &settings.formats {
        let clock = Instant::now();
        let folder = settings.found.join(name);
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).expect("a folder for what is found");
        std::fs::create_dir_all(now(name)).expect("a folder for what is under way");
        let (mut from, mut deaths) = (0, 0u64);
        let mut sum = json!({ "models": 0, "faults": {}, "slowest": 0.0, "most_memory": 0 });
        while from < settings.mutations {
            let own = std::env::current_exe().expect("this program");
            let ended = Command::new("prlimit")
                .arg(ADDRESS_SPACE)
                .arg(own)
                .arg(name)
                .args(["--from", &from.to_string(), "--mutations", &settings.mutations.to_string()])
                .args(["--seed", &settings.seed.to_string(), "--corpus"])
                .arg(&settings.corpus)
                .arg("--found")
                .arg(&settings.found)
                .status()
                .expect("a process of its own");
            let state: Value = std::fs::read(folder.join("state"))
                .ok()
                .and_then(|text| serde_json::from_slice(&text).ok())
                .unwrap_or_else(|| json!({}));
            add(&mut sum, &state);
            drop(std::fs::remove_file(folder.join("state")));
            if ended.success() {
                break;
            }
            let Some(at) =
                std::fs::read_to_string(now(name).join("at")).ok().and_then(|at| at.parse::<u64>().ok())
            else {
                eprintln!("{name}: the process ended before it began: {ended}");
                return ExitCode::FAILURE;
            };
            let what = if ended.code() == Some(HUNG) { "hang" } else { "abort" };
            deaths += 1;
            if deaths <= KEPT as u64 * 4 {
                drop(std::fs::copy(now(name).join("current"), folder.join(format!("{what}-{at}"))));
            }
            eprintln!("{name}: {what} at {at}: {ended}");
            let seen = sum["faults"][what].as_u64().unwrap_or(0) + 1;
            sum["faults"][what] = json!(seen);
            from = at + 1;
        }
        drop(std::fs::remove_dir_all(now(name)));
        sum["format"] = json!(name);
        sum["mutations"] = json!(settings.mutations);
        sum["seeds"] = json!(seeds(settings, name).len());
        sum["seconds"] = json!(clock.elapsed().as_secs());
        failed |= sum["faults"].as_object().is_some_and(|faults| !faults.is_empty());
        println!("{sum}");
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Adds what one process has found to what others have.
fn add(sum: &mut Value, state: &Value) {
    sum["models"] = json!(sum["models"].as_u64().unwrap_or(0) + state["models"].as_u64().unwrap_or(0));
    for key in ["slowest", "most_memory"] {
        if state[key].as_f64() > sum[key].as_f64() {
            sum[key] = state[key].clone();
        }
    }
    for (fault, count) in state["faults"].as_object().into_iter().flatten() {
        let seen = sum["faults"][fault].as_u64().unwrap_or(0);
        sum["faults"][fault] = json!(seen + count.as_u64().unwrap_or(0));
    }
}

fn replay(settings: &Settings) -> ExitCode {
    note_panics();
    let name = settings.formats.first().expect("a format");
    let format = format(name).unwrap_or_else(|| panic!("there is no format `{name}`"));
    let files = settings.replay.iter().flat_map(|path| inside(path));
    let mut failed = false;
    for path in files {
        let bytes = std::fs::read(&path).expect("a file");
        let found = read(format, &bytes);
        println!(
            "{}: {}, {:.3} s, {} KB, {}",
            path.display(),
            found.fault.as_deref().unwrap_or("nothing wrong"),
            found.worked.as_secs_f64(),
            found.memory >> 10,
            if found.is_model { "a model" } else { "no model" }
        );
        failed |= found.fault.is_some();
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn inside(path: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(path) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(_) => vec![path.to_owned()],
    }
}
