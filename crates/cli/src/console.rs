//! What the user sees: results on standard output, progress and warnings on standard error, bars on a terminal alone.

use crate::Failure;
use crate::flags::as_flags;
use frostline::fit::{EpochRecord, Event, Scores, Stop};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How a bar of images looks.
const COUNT: &str = "{msg:28} {bar:32} {pos}/{len}  {eta} left";
/// How the live line of a stage looks; what does not fit is cut off.
const STAGE: &str = "{wide_msg} {bar:10} {eta} left";
#[cfg(feature = "pull")]
const BYTES: &str = "{msg:28} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";

/// Whom a process tells that calls a command, and how it ends one. Called from any thread.
pub trait Listener: Send + Sync {
    /// A line of the result.
    fn print(&self, line: &str);
    /// A line of progress.
    fn progress(&self, line: &str);
    /// A line that the user should read.
    fn warn(&self, line: &str);
    /// `done` of `total` of `what` are done.
    fn count(&self, what: &str, done: usize, total: usize);
    /// What ends the command: a training after its next step, with a checkpoint; all else at the next image.
    fn stop(&self) -> Stop;
}

/// What a command unwinds with that its [`Listener`] has stopped.
#[derive(Clone, Copy, Debug)]
pub struct Stopped;

/// Both streams, or a listener.
pub(crate) struct Console {
    listener: Option<Arc<dyn Listener>>,
    quiet: bool,
    bars: bool,
    bar: Mutex<Option<Bar>>,
    /// The stage that is under way.
    stage: Mutex<Option<Stage>>,
    /// What was warned of so far.
    warned: Mutex<Vec<String>>,
    /// Paths that people know by another name.
    names: Mutex<Vec<(String, String)>>,
}

struct Bar {
    what: String,
    bar: ProgressBar,
}

/// What the live line of a stage is made of.
struct Stage {
    name: String,
    epochs: usize,
    /// The validation score of the last epoch.
    val: String,
}

impl Stage {
    /// `head 3/10  loss 0.3210  val accuracy 0.9000  rate 1.0e-3`, the epoch behind the name.
    fn line(&self, epoch: usize, loss: f64, learning_rate: f32) -> String {
        format!("{} {epoch}/{}  loss {loss:.4}{}  rate {learning_rate:.1e}", self.name, self.epochs, self.val)
    }
}

impl Console {
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            listener: None,
            quiet,
            bars: !quiet && io::stderr().is_terminal(),
            bar: Mutex::new(None),
            stage: Mutex::new(None),
            warned: Mutex::default(),
            names: Mutex::default(),
        }
    }

    /// Of a process that calls a command.
    pub(crate) fn to(listener: Arc<dyn Listener>) -> Self {
        Self { listener: Some(listener), bars: false, ..Self::new(false) }
    }

    /// Whether a process called the command, not a shell.
    pub(crate) fn is_in_process(&self) -> bool {
        self.listener.is_some()
    }

    /// Has people read an address where the path of its copy stands.
    #[cfg(feature = "stores")]
    pub(crate) fn name_place(&self, path: &std::path::Path, address: &str) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.push((frostline::data::path_text(path), address.to_owned()));
        // a path in another one is found after it
        names.sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
    }

    /// A text with the names that people know.
    pub(crate) fn named(&self, mut text: String) -> String {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.iter().for_each(|(path, name)| text = text.replace(path, name));
        text
    }

    /// What that process ends the command by.
    pub(crate) fn stop(&self) -> Option<Stop> {
        self.listener.as_ref().map(|listener| listener.stop())
    }

    /// Unwinds where the command was stopped: nothing of it is of any use then.
    fn end_where_stopped(&self) {
        if self.stop().is_some_and(|stop| stop.is_asked()) {
            resume_unwind(Box::new(Stopped));
        }
    }

    /// A line of the result. A reader that has gone away is no error of ours.
    pub(crate) fn print(&self, line: impl Display) -> Result<(), Failure> {
        if let Some(listener) = &self.listener {
            listener.print(&visible(&self.named(line.to_string())));
            return Ok(());
        }
        self.clear();
        match writeln!(io::stdout(), "{}", visible(&as_flags(&self.named(line.to_string())))) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            done => Ok(done?),
        }
    }

    /// Bytes of the result as they are: what a program reads.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), Failure> {
        let mut output = io::stdout().lock();
        match output.write_all(bytes).and_then(|()| output.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            done => Ok(done?),
        }
    }

    /// A line of progress, left out by `--quiet`.
    pub(crate) fn progress(&self, line: impl Display) {
        match &self.listener {
            Some(listener) => listener.progress(&visible(&self.named(line.to_string()))),
            None if !self.quiet => self.say(line),
            None => {}
        }
    }

    /// What says a line of progress from a handler of signals, whatever bar is there.
    pub(crate) fn in_handler(&self, line: &'static str) -> impl Fn() + Send + use<> {
        let quiet = self.quiet;
        move || {
            if !quiet {
                drop(writeln!(io::stderr(), "\n{line}"));
            }
        }
    }

    /// What warns from other threads.
    #[cfg(feature = "stores")]
    pub(crate) fn in_threads(&self) -> impl Fn(String) + Send + Sync + use<> {
        let listener = self.listener.clone();
        move |line| match &listener {
            Some(listener) => listener.warn(&visible(&line)),
            None => drop(writeln!(io::stderr(), "warning: {}", visible(&as_flags(&line)))),
        }
    }

    /// What a handler of signals says before it ends the process, whatever bar is there. It is said to who wants no progress, too.
    pub(crate) fn last_words(words: impl Display) {
        drop(writeln!(io::stderr(), "\n{words}"));
    }

    /// A line that the user should read.
    pub(crate) fn warn(&self, line: impl Display) {
        let line = self.named(line.to_string());
        match &self.listener {
            Some(listener) => listener.warn(&visible(&line)),
            None => self.say(format_args!("warning: {line}")),
        }
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// What was warned of so far.
    pub(crate) fn warned(&self) -> Vec<String> {
        self.warned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what went wrong.
    pub(crate) fn fail(&self, error: &Failure) -> ExitCode {
        self.clear();
        self.say(format_args!("error: {error}"));
        ExitCode::FAILURE
    }

    /// Standard error that cannot be written to is nothing that could be told to anyone.
    fn say(&self, line: impl Display) {
        let line = as_flags(&self.named(line.to_string()));
        let line = visible(&line);
        let write = || drop(writeln!(io::stderr(), "{line}"));
        match &*self.lock() {
            Some(bar) => bar.bar.suspend(write),
            None => write(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Bar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        if let Some(bar) = self.lock().take() {
            bar.bar.finish_and_clear();
        }
    }

    /// Moves the bar for `what` to `done` of `total`, with the time that is left.
    pub(crate) fn count(&self, what: &str, done: usize, total: usize) {
        if let Some(listener) = &self.listener {
            self.end_where_stopped();
            return listener.count(what, done, total);
        }
        self.advance(COUNT, what, what, done as u64, total as u64);
    }

    /// The same for bytes.
    #[cfg(feature = "pull")]
    pub(crate) fn count_bytes(&self, what: &str, done: u64, total: Option<u64>) {
        self.advance(BYTES, what, what, done, total.unwrap_or(0));
    }

    /// Moves the bar for `what`, which says `message`, to `done` of `total`.
    fn advance(&self, template: &str, what: &str, message: &str, done: u64, total: u64) {
        if !self.bars {
            return;
        }
        let mut held = self.lock();
        if held.as_ref().is_none_or(|bar| bar.what != what) {
            if let Some(bar) = held.take() {
                bar.bar.finish_and_clear();
            }
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template(template);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            // one that goes on, after another was shown, has not come this far in no time
            bar.set_position(done);
            bar.reset_eta();
            *held = Some(Bar { what: what.to_owned(), bar });
        }
        if let Some(bar) = &*held {
            bar.bar.set_message(message.to_owned());
            bar.bar.set_position(done);
        }
        if done >= total
            && let Some(bar) = held.take()
        {
            bar.bar.finish_and_clear();
        }
    }

    /// Shows an event of a training.
    pub(crate) fn show(&self, event: &Event<'_>) {
        match event {
            Event::Checking { done, images } => self.count("checking images", *done, *images),
            Event::Features { part, done, images } => self.count(&format!("{part} images"), *done, *images),
            // the training itself ends after this step, and leaves a checkpoint
            Event::Step { epoch, step, steps, .. } if self.listener.is_some() => {
                if let Some(listener) = &self.listener {
                    listener.count(&format!("epoch {epoch}"), *step, *steps);
                }
            }
            Event::Step { epoch, step, steps, loss, learning_rate } => {
                let stage = self.stage.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(stage) = &*stage {
                    let done = (epoch.saturating_sub(1) * steps + step) as u64;
                    let message = stage.line(*epoch, *loss, *learning_rate);
                    self.advance(STAGE, "a stage", &message, done, (stage.epochs * steps) as u64);
                }
            }
            Event::StageBegins { name, epochs, boundary, trained, steps } => {
                self.clear();
                let stage = Stage { name: (*name).to_owned(), epochs: *epochs, val: String::new() };
                *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(stage);
                let boundary = boundary.join("`, `");
                self.progress(format_args!(
                    "stage `{name}`: {trained} parameters above `{boundary}`, up to {epochs} epochs of {steps} steps"
                ));
            }
            Event::Resumes { epochs, steps, .. } => {
                self.clear();
                let steps = match steps {
                    0 => String::new(),
                    steps => format!(" and {steps} steps of the next"),
                };
                self.progress(format_args!("  goes on after epoch {epochs}{steps}"));
            }
            Event::Epoch(record) => {
                if let Some(stage) = &mut *self.stage.lock().unwrap_or_else(PoisonError::into_inner) {
                    stage.val = record.val.as_ref().map(score_text).unwrap_or_default();
                }
                // the live line stays below
                self.progress(epoch_line(record));
            }
            Event::StageEnds(report) => {
                self.clear();
                let kept = match report.best_epoch {
                    0 => "no epoch was better than before the stage: stepped back".to_owned(),
                    epoch => format!("kept epoch {epoch} of {}", report.epochs),
                };
                self.progress(format_args!("  {kept} ({:.1} s)", report.seconds));
            }
            Event::Begins(what) => self.progress(what),
            Event::Note(note) => self.warn(note),
        }
    }
}

/// Text in which nothing steers a terminal or turns the direction of writing: names come from files. The form of the escapes is
/// JSON's, so that a document stays one.
fn visible(text: &str) -> Cow<'_, str> {
    let steers = |c: char| (c.is_control() && c != '\n') || is_format(c);
    match text.contains(steers) {
        false => Cow::Borrowed(text),
        true => Cow::Owned(text.chars().fold(String::with_capacity(text.len() + 8), |mut all, c| {
            match steers(c) {
                true => all.push_str(&format!("\\u{:04x}", u32::from(c))),
                false => all.push(c),
            }
            all
        })),
    }
}

/// Marks that no one sees and that change how what follows is written; line and paragraph separators.
fn is_format(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Words as a shell takes them in one line.
pub(crate) fn shell_line(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@:,=%".contains(c);
    let quoted = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

/// A name in one line, whatever it holds.
pub(crate) fn one_line(name: &str) -> Cow<'_, str> {
    match name.contains('\n') {
        false => Cow::Borrowed(name),
        true => Cow::Owned(name.replace('\n', "\\u000a")),
    }
}

fn epoch_line(record: &EpochRecord) -> String {
    let mut line = match record.epoch {
        0 => "  before  ".to_owned(),
        epoch => format!("  epoch {epoch:<3}"),
    };
    for (part, scores) in [("train", &record.train), ("val", &record.val)] {
        if let Some(scores) = scores {
            line.push_str(&format!(" {part} {}", scores_text(scores)));
        }
    }
    line
}

/// `  val accuracy 0.9200`, or the loss where there is no other.
fn score_text(val: &Scores) -> String {
    match val.metrics.first() {
        Some((metric, value)) => format!("  val {metric} {value:.4}"),
        None => format!("  val loss {:.4}", val.loss),
    }
}

/// `loss 0.3210 accuracy 0.9200`.
pub(crate) fn scores_text(scores: &Scores) -> String {
    let metrics = scores.metrics.iter().map(|(metric, value)| format!(" {metric} {value:.4}"));
    format!("loss {:.4}{}", scores.loss, metrics.collect::<String>())
}

/// Columns of text, each as wide as its widest cell, the first to the left and the others as `right` says.
pub(crate) fn table(rows: &[Vec<String>], right: &[bool]) -> String {
    let cells = |row: &Vec<String>| row.iter().map(|cell| one_line(&visible(cell)).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(cells).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(column, cell): (usize, &String)| match right.get(column) {
            Some(true) => format!("{cell:>width$}", width = widths[column]),
            _ => format!("{cell:<width$}", width = widths[column]),
        };
        row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_can_be_copied_into_a_shell() {
        let words = ["frostline", "check", "my photos", "it's", "", "--keep=-1"].map(str::to_owned);
        assert_eq!(shell_line(&words), r"frostline check 'my photos' 'it'\''s' '' --keep=-1");
        let words = ["--head=gap", "gap dense(3)"].map(str::to_owned);
        assert_eq!(shell_line(&words), "--head=gap 'gap dense(3)'");
    }

    #[test]
    fn names_do_not_steer_the_terminal() {
        assert_eq!(visible("a plain name\nand a line"), "a plain name\nand a line");
        assert_eq!(visible("\u{1b}[31mred\u{7}\r"), "\\u001b[31mred\\u0007\\u000d");
        assert_eq!(visible("\u{202e}gnp.exe \u{9b}"), "\\u202egnp.exe \\u009b");
        let rows = [vec!["a\nb".to_owned(), "1".to_owned()], vec!["c".to_owned(), "10".to_owned()]];
        assert_eq!(table(&rows, &[false, true]), "a\\u000ab   1\nc         10");
        let document: serde_json::Value = serde_json::from_str(&visible("[\"\u{9b}\"]")).expect("JSON");
        assert_eq!(document[0], "\u{9b}");
    }
}
