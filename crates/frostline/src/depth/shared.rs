//! A search that several processes share by a folder: each trains trials and writes their outcomes as lines of a file of its own, and
//! reads those of the others. Each decides by itself what is wanted next, and all decide the same, since that follows from the lines.
//!
//! A process tells in another file which trial it is training, and changes that file all the time: so a trial is trained once, and one
//! whose process is lost is taken over. Where two train the same trial, because a file system showed them old files, nothing is lost
//! but time: their lines are equal.

use super::{Exchange, Experiment, Outcome, Rounds, Search, SearchKey, SearchLog, Trial};
use crate::report::SHARDS;
use crate::shard::Shard;
use frostline_files::write_atomically;
use frostline_graph::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// The pauses between looks at what the others have done: the first, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(20), Duration::from_secs(2)];
/// Signs of life in the time after which a process counts as lost.
const BEATS: u32 = 8;

/// What must be the same for all: the first line of each file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SharedKey {
    #[serde(flatten)]
    key: SearchKey,
    #[serde(flatten)]
    rounds: Rounds,
    arms: Vec<String>,
}

impl SharedKey {
    /// How another search differs, in words.
    fn difference(&self, other: &Self) -> Option<String> {
        self.key.difference(&other.key).or_else(|| match () {
            () if self.rounds != other.rounds => Some("another number of repeats".to_owned()),
            () if self.arms != other.arms => Some("other arms".to_owned()),
            () => None,
        })
    }
}

/// What a process tells of itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Sign {
    /// When it began: tells two processes of one shard apart.
    since: u128,
    /// Grows as long as it lives.
    beat: u64,
    /// What it trains.
    trial: Option<Trial>,
}

/// The sign of this process, which goes with it.
struct OwnSign {
    path: PathBuf,
    sign: Mutex<Sign>,
    exchange: Arc<dyn Exchange>,
}

impl OwnSign {
    fn tell(&self, change: impl FnOnce(&mut Sign)) -> Result<()> {
        let mut sign = self.sign.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut sign);
        sign.beat += 1;
        let text = serde_json::to_vec(&*sign).map_err(|error| Error::io(&self.path, error.into()))?;
        write_atomically(&self.path, &text)?;
        self.exchange.upload()
    }
}

impl Drop for OwnSign {
    fn drop(&mut self) {
        // what stays is of a process that no longer gives signs
        let _ = std::fs::remove_file(&self.path);
        let _ = self.exchange.upload();
    }
}

/// Another process.
#[derive(Default)]
struct Peer {
    /// Bytes of its lines that were read.
    read: usize,
    /// Its sign, and since when it has not changed.
    sign: Option<(Sign, Instant)>,
}

/// What happens while a search is shared.
#[derive(Debug)]
pub enum SharedEvent<'a> {
    /// A trial was trained here. `missing`: how many are wanted now, of which some may be under way.
    Trained {
        /// What came of it.
        outcome: &'a Outcome,
        /// Trials that were wanted beside it.
        missing: usize,
    },
    /// All trials that are wanted now are under way elsewhere.
    Waiting {
        /// How many.
        trials: usize,
    },
    /// Another process gives no signs any more: what it was training is trained here.
    TakenOver {
        /// Which.
        shard: usize,
        /// The name of the arm.
        arm: &'a str,
    },
}

/// How sharing a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// There is nothing left to train.
    Whole,
    /// It was stopped from outside.
    Stopped,
}

/// Where processes share a search, and which of them this one is.
pub struct SharedPlace<'a> {
    /// The folder of the run.
    pub run: &'a Path,
    /// The number of this process.
    pub shard: Shard,
    /// How long another process may give no sign.
    pub lost_after: Duration,
    /// How the folder comes to all of them.
    pub exchange: Arc<dyn Exchange>,
}

/// One process of several that share a search.
pub struct SharedSearch {
    peers: Peers,
    log: SearchLog,
    own: OwnSign,
    /// No other process is this shard as long as this file is open.
    _lock: File,
}

impl SharedSearch {
    /// Goes to work in the folder of a run, where outcomes that this shard left before are told to the search.
    ///
    /// # Errors
    ///
    /// A folder that cannot be written to, or with another search; another process that is this shard.
    pub fn open(
        place: SharedPlace<'_>,
        key: &SearchKey,
        rounds: Rounds,
        search: &mut Search,
    ) -> Result<Self> {
        let SharedPlace { run, shard, lost_after, exchange } = place;
        let folder = run.join(SHARDS);
        std::fs::create_dir_all(&folder).map_err(|source| Error::io(&folder, source))?;
        let lines = folder.join(format!("{}.jsonl", shard.index()));
        let arms = search.arms().into_iter().map(str::to_owned).collect();
        let key = SharedKey { key: key.clone(), rounds, arms };
        // a process of another search leaves nothing that would stop the others
        let mut peers =
            Peers { shard, folder, key, lost_after, exchange: exchange.clone(), peers: BTreeMap::new() };
        peers.look(search)?;
        let lock = locked(&lines, shard)?;
        let (log, known) = SearchLog::open(&lines, &peers.key, SharedKey::difference)?;
        known.into_iter().for_each(|outcome| search.tell(outcome));
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let sign = Mutex::new(Sign { since: since.as_nanos(), ..Sign::default() });
        let own = OwnSign { path: lines.with_extension("json"), sign, exchange };
        own.tell(|_| {})?;
        Ok(Self { peers, log, own, _lock: lock })
    }

    /// Trains what is wanted and no other process is training, until nothing is wanted any more. `stop`: ends it behind the trial that
    /// is under way.
    ///
    /// # Errors
    ///
    /// A training that fails; a folder that cannot be read or written, or with lines of another search.
    pub fn run(
        self,
        experiment: &Experiment,
        search: &mut Search,
        stop: &AtomicBool,
        tell: &dyn Fn(&SharedEvent<'_>),
    ) -> Result<Ended> {
        let Self { mut peers, log, own, _lock } = self;
        let (quit, ticks) = channel::<()>();
        let beat = peers.lost_after / BEATS;
        std::thread::scope(|scope| {
            let sign = &own;
            scope.spawn(move || {
                while ticks.recv_timeout(beat) == Err(RecvTimeoutError::Timeout) {
                    // where it cannot be written others take this process for lost, which costs time alone
                    let _ = sign.tell(|_| {});
                }
            });
            let ended = work(&mut peers, (experiment, search), (&log, &own), stop, tell);
            drop(quit);
            ended
        })
    }
}

/// The lock of a shard.
fn locked(lines: &Path, shard: Shard) -> Result<File> {
    let lock = OpenOptions::new().create(true).append(true).open(lines);
    let lock = lock.map_err(|source| Error::io(lines, source))?;
    // some file systems have no locks
    if let Err(TryLockError::WouldBlock) = lock.try_lock() {
        return Err(Error::setting(format!(
            "another process is the shard {shard} of this search\nhelp: give each process another number, or wait for that one to end"
        )));
    }
    Ok(lock)
}

fn work(
    peers: &mut Peers,
    (experiment, search): (&Experiment, &mut Search),
    (log, own): (&SearchLog, &OwnSign),
    stop: &AtomicBool,
    tell: &dyn Fn(&SharedEvent<'_>),
) -> Result<Ended> {
    let [first, longest] = PAUSES;
    let (mut pause, mut waits) = (first, false);
    loop {
        peers.look(search)?;
        let wanted = search.ask();
        if wanted.is_empty() {
            return Ok(Ended::Whole);
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(Ended::Stopped);
        }
        let Some(trial) = peers.free(&wanted) else {
            if !waits {
                tell(&SharedEvent::Waiting { trials: wanted.len() });
            }
            waits = true;
            std::thread::sleep(pause);
            pause = longest.min(2 * pause);
            continue;
        };
        own.tell(|sign| sign.trial = Some(trial.clone()))?;
        std::thread::sleep(peers.exchange.delay());
        // another may have claimed it at the same moment, or finished it
        peers.look(search)?;
        if !peers.yield_to_lower(trial) && search.ask().contains(trial) {
            if let Some(shard) = peers.lost_with(trial) {
                tell(&SharedEvent::TakenOver { shard, arm: &trial.arm.name });
            }
            let outcome = experiment.run(trial)?;
            log.append(&outcome)?;
            tell(&SharedEvent::Trained { outcome: &outcome, missing: wanted.len() - 1 });
            search.tell(outcome);
            (pause, waits) = (first, false);
        }
        own.tell(|sign| sign.trial = None)?;
    }
}

/// The other processes, as their files show them.
struct Peers {
    shard: Shard,
    folder: PathBuf,
    key: SharedKey,
    lost_after: Duration,
    exchange: Arc<dyn Exchange>,
    peers: BTreeMap<usize, Peer>,
}

impl Peers {
    /// Reads what the others have written since the last look.
    fn look(&mut self, search: &mut Search) -> Result<()> {
        self.exchange.fetch()?;
        let files = std::fs::read_dir(&self.folder).map_err(|source| Error::io(&self.folder, source))?;
        for path in files.filter_map(|entry| Some(entry.ok()?.path())) {
            let index = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let is_lines = path.extension().is_some_and(|ending| ending == "jsonl");
            if let Some(index) = index.filter(|index| is_lines && *index != self.shard.index()) {
                let peer = self.peers.entry(index).or_default();
                peer.lines(&path, &self.key)?.into_iter().for_each(|outcome| search.tell(outcome));
                peer.look_at_sign(&path.with_extension("json"));
            }
        }
        Ok(())
    }

    fn is_alive(&self, peer: &Peer) -> bool {
        peer.sign.as_ref().is_some_and(|(_, since)| since.elapsed() < self.lost_after)
    }

    /// The others that live, with what they train.
    fn alive(&self) -> impl Iterator<Item = (usize, Option<&Trial>)> {
        let alive = self.peers.iter().filter(|(_, peer)| self.is_alive(peer));
        alive.map(|(index, peer)| (*index, peer.sign.as_ref().and_then(|(sign, _)| sign.trial.as_ref())))
    }

    /// A trial that nobody is training. What takes longest begins first; processes that look at the same moment find different ones.
    fn free<'t>(&self, wanted: &'t [Trial]) -> Option<&'t Trial> {
        let is_free = |trial: &&Trial| self.alive().all(|(_, other)| other != Some(*trial));
        let mut free: Vec<&Trial> = wanted.iter().filter(is_free).collect();
        free.sort_by_key(|trial| !trial.arm.trains_all());
        let before = self.alive().filter(|(index, other)| *index < self.shard.index() && other.is_none());
        let place = before.count() % free.len().max(1);
        free.get(place).copied()
    }

    /// Whether a process with a lower number has claimed the same trial.
    fn yield_to_lower(&self, trial: &Trial) -> bool {
        self.alive().any(|(index, other)| index < self.shard.index() && other == Some(trial))
    }

    /// The lost process that was training a trial.
    fn lost_with(&self, trial: &Trial) -> Option<usize> {
        let had =
            |peer: &Peer| peer.sign.as_ref().is_some_and(|(sign, _)| sign.trial.as_ref() == Some(trial));
        self.peers.iter().find(|(_, peer)| had(peer) && !self.is_alive(peer)).map(|(index, _)| *index)
    }
}

impl Peer {
    /// The outcomes that were added to its lines.
    fn lines(&mut self, path: &Path, key: &SharedKey) -> Result<Vec<Outcome>> {
        let len = std::fs::metadata(path).map_or(0, |about| about.len() as usize);
        if len == self.read {
            return Ok(Vec::new());
        }
        let text = std::fs::read(path).map_err(|source| Error::io(path, source))?;
        let new = text.get(self.read..).unwrap_or(&text);
        // a line that is being written is read the next time
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(&new[..0], |end| &new[..=end]);
        let (is_new, mut lines) = (self.read == 0, whole.split(|byte| *byte == b'\n'));
        if is_new && !whole.is_empty() {
            let found = lines.next().and_then(|line| serde_json::from_slice(line).ok());
            super::log::check_key(path, found.as_ref(), key, SharedKey::difference)?;
        }
        self.read = text.len() - new.len() + whole.len();
        Ok(lines.filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    fn look_at_sign(&mut self, path: &Path) {
        let found: Option<Sign> =
            std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        match (found, &self.sign) {
            (None, _) => self.sign = None,
            (Some(found), Some((known, _))) if *known == found => {}
            (Some(found), _) => self.sign = Some((found, Instant::now())),
        }
    }
}

/// The outcomes that the processes which share a search have left in the folder of its run.
///
/// # Errors
///
/// A file that cannot be read, or of another search.
pub(crate) fn outcomes_of_shards(run: &Path, key: &SearchKey) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(run.join(SHARDS))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|source| Error::io(&path, source))?;
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = whole.lines();
        let Some(first) = lines.next() else { continue };
        let found: Option<SharedKey> = serde_json::from_str(first).ok();
        super::log::check_key(&path, found.map(|found| found.key).as_ref(), key, SearchKey::difference)?;
        outcomes.extend(lines.filter_map(|line| serde_json::from_str::<Outcome>(line).ok()));
    }
    Ok(outcomes)
}
