//! One file: what interrupted downloads have left goes on, the checksum is compared, the file appears whole or not at all.

use super::checksum::{Checksum, Hasher};
use super::hub::{Answer, Hub, Refusal};
use crate::Failure;
use crate::console::Console;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::Method;

/// So often in a row nothing may come before it is told.
const TRIES: u32 = 5;
/// The wait after the first try; it doubles.
const WAIT: Duration = Duration::from_millis(200);
const BLOCK: usize = 1 << 17;

/// A file of a repository.
pub(super) struct Source<'a> {
    pub(super) hub: &'a Hub,
    pub(super) repository: &'a str,
    pub(super) commit: &'a str,
    pub(super) file: &'a str,
}

/// A file that is there now.
pub(super) struct Pulled {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) checksum: Checksum,
    /// The hub has named the checksum, and it is this.
    pub(super) is_verified: bool,
    /// It was there before.
    pub(super) was_there: bool,
}

/// What becomes of a file that is there and is another.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// It is damaged: nobody else writes there.
    Replace,
    /// It may be someone's.
    Keep,
}

/// What the hub says of a file before it sends it.
struct Expected {
    bytes: Option<u64>,
    checksum: Option<Checksum>,
}

impl Source<'_> {
    /// Puts the file at `path`.
    pub(super) fn pull(&self, path: &Path, others: Others, console: &Console) -> Result<Pulled, Failure> {
        let expected = self.expected()?;
        let is_verified = expected.checksum.is_some();
        if expected.checksum.is_none() {
            console.warn(format_args!(
                "the hub names no checksum of `{}`: its length alone is compared",
                self.file
            ));
        }
        if path.exists() {
            let there = summed(path, expected.checksum.as_ref())?;
            if expected.is_met_by(&there) {
                let (bytes, checksum) = there;
                return Ok(Pulled { path: path.to_owned(), bytes, checksum, is_verified, was_there: true });
            }
            if others == Others::Keep {
                return Err(format!(
                    "`{}` is there, and is another file than `{}`\nhelp: give another folder with -o",
                    path.display(),
                    self.file
                )
                .into());
            }
            console.warn(format_args!("`{}` is damaged: it is downloaded again", path.display()));
        }
        let folder = path.parent().unwrap_or(Path::new("."));
        let failed = |error: std::io::Error| {
            Failure::from(format!(
                "`{}`: {error}\nhelp: check the folder and the disk; -o names another folder",
                path.display()
            ))
        };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let part = self.part_of(path, &expected);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&part)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(
                    format!("another frostline is downloading `{}`\nhelp: wait for it", self.file).into()
                );
            }
        }
        let (bytes, checksum) = self.fill(&mut file, &expected, console)?;
        if !expected.is_met_by(&(bytes, checksum.clone())) {
            drop(std::fs::remove_file(&part));
            let said = expected.checksum.map_or_else(|| "another length".to_owned(), |said| said.to_string());
            return Err(format!(
                "`{}` came with {checksum}, and the hub says {said}: nothing of it was kept\nhelp: try again; if it is the same, the hub or what is between (a proxy, a mirror) is broken",
                self.file
            )
            .into());
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&part, path).map_err(failed)?;
        if let Ok(folder) = File::open(folder) {
            // where folders cannot be synced the system does it by itself
            drop(folder.sync_all());
        }
        Ok(Pulled { path: path.to_owned(), bytes, checksum, is_verified, was_there: false })
    }

    fn address(&self) -> String {
        self.hub.file(self.repository, self.commit, self.file)
    }

    /// What an interrupted download leaves: by its checksum, so that what goes on is the same file.
    fn part_of(&self, path: &Path, expected: &Expected) -> PathBuf {
        let hash = expected.checksum.as_ref().map_or(self.commit, Checksum::hash);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!(".{name}.{}.part", &hash[..12]))
    }

    /// Length and checksum. The first answer that names them is the hub's own; where it sends us is not asked.
    fn expected(&self) -> Result<Expected, Failure> {
        let mut tries = Tries::default();
        loop {
            match self.ask_expected() {
                Ok(expected) => return Ok(expected),
                Err(Refusal::Silence(_)) if tries.once_more() => {}
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    fn ask_expected(&self) -> Result<Expected, Refusal> {
        let enough = |headers: &ureq::http::HeaderMap| headers.contains_key("x-linked-etag");
        let answer = self.hub.ask(&Method::HEAD, &self.address(), 0, enough)?;
        let answer = match (300..400).contains(&answer.status) {
            true => answer,
            false => self.hub.accepted(answer, self.repository, &format!("file `{}`", self.file))?,
        };
        let length = answer.said("x-linked-size").or_else(|| match answer.status {
            200 => answer.header("content-length"),
            _ => None,
        });
        let bytes = length.and_then(|length| length.parse().ok());
        Ok(Expected { bytes, checksum: Checksum::said(&answer) })
    }

    /// Downloads what is missing of the file. Returns length and checksum of all of it.
    fn fill(
        &self,
        file: &mut File,
        expected: &Expected,
        console: &Console,
    ) -> Result<(u64, Checksum), Failure> {
        let mut filling = Filling::new(file, expected)?;
        let (mut tries, mut most) = (Tries::default(), filling.done);
        if filling.done > 0 {
            console.progress(format_args!(
                "goes on with `{}` after {}",
                self.file,
                crate::cache::bytes(filling.done)
            ));
        }
        while !filling.is_whole() {
            let refusal = match self.go_on(&mut filling, console) {
                Ok(()) => None,
                Err(Refusal::Silence(text)) => Some(text),
                Err(Refusal::Final(failure)) => return Err(failure),
            };
            if filling.is_whole() || (refusal.is_none() && filling.bytes.is_none()) {
                break;
            }
            if filling.done > most {
                (tries, most) = (Tries::default(), filling.done);
            }
            if !tries.once_more() {
                let why = refusal.unwrap_or_else(|| "the connection ends too early".to_owned());
                let why = why.lines().next().unwrap_or_default();
                return Err(format!(
                    "the download of `{}` broke off after {}: {why}\nhelp: run the same command again: it goes on there",
                    self.file,
                    crate::cache::bytes(filling.done)
                )
                .into());
            }
        }
        console.clear();
        Ok((filling.done, filling.hasher.finish()))
    }

    /// One connection, from where the file ends.
    fn go_on(&self, filling: &mut Filling<'_>, console: &Console) -> Result<(), Refusal> {
        let answer = self.hub.ask(&Method::GET, &self.address(), filling.done, |_| false)?;
        if answer.status == 416 {
            // there is more of it here than there: it is no beginning of that file
            return filling.begin_again();
        }
        let answer = self.hub.accepted(answer, self.repository, &format!("file `{}`", self.file))?;
        if filling.done > 0 && begins(&answer) != Some(filling.done) {
            filling.begin_again()?;
            if answer.status == 206 {
                return Err(Refusal::Silence(
                    "the hub sends another part of the file than it was asked for".to_owned(),
                ));
            }
        }
        filling.take(answer.into_reader(), |done, bytes| console.count_bytes(self.file, done, bytes))
    }
}

impl Expected {
    fn is_met_by(&self, (bytes, checksum): &(u64, Checksum)) -> bool {
        self.bytes.is_none_or(|expected| expected == *bytes)
            && self.checksum.as_ref().is_none_or(|expected| expected == checksum)
    }
}

/// Where the bytes of an answer begin in the file: `content-range: bytes 100-199/200`.
fn begins(answer: &Answer) -> Option<u64> {
    let range = answer.header("content-range").filter(|_| answer.status == 206)?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// How often in a row nothing came.
#[derive(Default)]
struct Tries(u32);

impl Tries {
    /// Waits, and says whether it is worth another try.
    fn once_more(&mut self) -> bool {
        self.0 += 1;
        if self.0 < TRIES {
            std::thread::sleep(WAIT * 2u32.pow(self.0 - 1));
        }
        self.0 < TRIES
    }
}

/// A file that is being filled.
struct Filling<'a> {
    file: &'a mut File,
    done: u64,
    /// Of the whole file, where it is known.
    bytes: Option<u64>,
    checksum: Option<Checksum>,
    hasher: Hasher,
}

impl<'a> Filling<'a> {
    /// What is there already is summed up.
    fn new(file: &'a mut File, expected: &Expected) -> Result<Self, Failure> {
        let hasher = Hasher::new(expected.checksum.as_ref(), expected.bytes.unwrap_or(0));
        let (bytes, checksum) = (expected.bytes, expected.checksum.clone());
        let mut filling = Self { file, done: 0, bytes, checksum, hasher };
        let there = filling.file.metadata()?.len();
        // without length and checksum no one can say that it is the beginning of the same file
        let may_go_on = filling.checksum.is_some() && bytes.is_some_and(|bytes| there <= bytes);
        if !may_go_on {
            filling.file.set_len(0)?;
            return Ok(filling);
        }
        let mut block = vec![0; BLOCK];
        filling.file.seek(SeekFrom::Start(0))?;
        loop {
            let read = filling.file.read(&mut block)?;
            if read == 0 {
                return Ok(filling);
            }
            filling.hasher.update(&block[..read]);
            filling.done += read as u64;
        }
    }

    fn is_whole(&self) -> bool {
        self.bytes == Some(self.done)
    }

    fn begin_again(&mut self) -> Result<(), Refusal> {
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| Refusal::Final(error.into()))?;
        self.done = 0;
        self.hasher = Hasher::new(self.checksum.as_ref(), self.bytes.unwrap_or(0));
        Ok(())
    }

    /// Writes what comes, up to the file's length.
    fn take(&mut self, from: impl Read, tell: impl Fn(u64, Option<u64>)) -> Result<(), Refusal> {
        let mut from = from.take(self.bytes.map_or(u64::MAX, |bytes| bytes - self.done));
        let mut block = vec![0; BLOCK];
        loop {
            let read = from.read(&mut block).map_err(|error| Refusal::Silence(error.to_string()))?;
            if read == 0 {
                return Ok(());
            }
            let written =
                self.file.seek(SeekFrom::Start(self.done)).and_then(|_| self.file.write_all(&block[..read]));
            written.map_err(|error| {
                Refusal::Final(format!("the file cannot be written: {error}\nhelp: make room on the disk, or give another folder with -o").into())
            })?;
            self.hasher.update(&block[..read]);
            self.done += read as u64;
            tell(self.done, self.bytes);
        }
    }
}

/// Length and checksum of a file that is there.
fn summed(path: &Path, kind: Option<&Checksum>) -> Result<(u64, Checksum), Failure> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let mut hasher = Hasher::new(kind, bytes);
    let mut block = vec![0; BLOCK];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok((bytes, hasher.finish()));
        }
        hasher.update(&block[..read]);
    }
}
