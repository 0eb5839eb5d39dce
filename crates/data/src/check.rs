//! Finds the images that cannot be decoded before anything is trained.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::decode::{check, is_odd, odd};
use super::error::unread;
use super::{DataError, Dataset, Example, Split, Target};

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// It cannot be decoded.
    Damaged,
    /// It is not there.
    Absent,
    /// It is of a kind that is not read.
    Kind,
    /// The system does not let it be read.
    Unreadable,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Damaged, Self::Absent, Self::Kind, Self::Unreadable];

    /// What is wrong with an image by its error; none where that says nothing of the image.
    pub fn of(error: &DataError) -> Option<Self> {
        match error {
            DataError::Image { .. } => Some(Self::Damaged),
            DataError::Kind { .. } => Some(Self::Kind),
            DataError::Io { source, .. } if source.kind() == ErrorKind::NotFound => Some(Self::Absent),
            _ => None,
        }
    }

    /// How many there are of each: `2 are damaged and 1 are not found`. None of nothing.
    pub fn counts(faults: impl Iterator<Item = Self>) -> Option<String> {
        let faults: Vec<Self> = faults.collect();
        let count = |fault: &Self| faults.iter().filter(|other| *other == fault).count();
        let found: Vec<String> = Self::ALL
            .iter()
            .filter(|fault| count(fault) > 0)
            .map(|fault| format!("{} {}", count(fault), fault.words()))
            .collect();
        (!found.is_empty()).then(|| found.join(" and "))
    }

    /// What images with this fault are.
    fn words(self) -> &'static str {
        match self {
            Self::Damaged => "are damaged",
            Self::Absent => "are not found",
            Self::Kind => "are of a kind that is not read",
            Self::Unreadable => "may not be read",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Damaged => "replace the files with images that open in a viewer",
            Self::Absent => {
                "paths are relative to the list, or to the folder that is given for them: mend the list, or bring the files"
            }
            Self::Unreadable => "look at their permissions",
            Self::Kind => "convert them to JPEG or PNG: viewers and phones export photos so",
        }
    }
}

/// One example that is left out.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Skip {
    /// Where it was.
    #[serde(skip)]
    pub split: Split,
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub fault: Fault,
    /// Why, without the name.
    pub reason: String,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SkipReport {
    /// How many files were decoded, or tried.
    pub checked: usize,
    /// Those that failed, in the dataset's order.
    pub skipped: Vec<Skip>,
    /// Those that are read though something is odd about them, in the dataset's order.
    pub odd: Vec<String>,
}

/// Decodes every image file once, on all threads, and returns those that fail. `progress` is told the number that is
/// done, from any thread. Arrays are checked when they are read.
///
/// Errors: a file that is there cannot be read; every image of a class (or of a split) is bad.
pub fn check_all(dataset: &Dataset, progress: &(dyn Fn(usize) + Sync)) -> Result<SkipReport, DataError> {
    let files = files(dataset);
    let done = AtomicUsize::new(0);
    let check = |(_, example): &(Split, &Example)| {
        let found = checked(example);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
        found
    };
    let found = files.par_iter().map(check).collect::<Vec<_>>();
    let names = files.iter().zip(&found).filter(|(_, found)| matches!(found, Ok(true)));
    let odd = names.map(|((_, example), _)| example.name.clone()).collect();
    let report = SkipReport::new(dataset, &files, found.into_iter().map(Result::err).collect())?;
    Ok(SkipReport { odd, ..report })
}

/// The error of an example whose image file is damaged. What is in memory is not looked at.
pub fn check_example(example: &Example) -> Result<(), DataError> {
    checked(example).map(drop)
}

/// [`check_example`], and whether a sound file is odd.
fn checked(example: &Example) -> Result<bool, DataError> {
    let Some(file) = example.input.file(&example.name) else { return Ok(false) };
    let (bytes, name) = file?;
    check(&bytes, &name).map(|()| is_odd(&bytes))
}

/// The examples of a dataset that are image files, alone or in a file with others.
pub fn files(dataset: &Dataset) -> Vec<(Split, &Example)> {
    let is_file = |(_, example): &(Split, &Example)| example.is_file();
    dataset.examples().filter(is_file).collect()
}

impl SkipReport {
    /// Of these files, by the error that each had, if any.
    ///
    /// Errors: a file that is there cannot be read, which says nothing about it; every image of a class (or of a split) is
    /// bad.
    pub fn new(
        dataset: &Dataset,
        files: &[(Split, &Example)],
        errors: Vec<Option<DataError>>,
    ) -> Result<Self, DataError> {
        let skip = |((split, example), error): (&(Split, &Example), Option<DataError>)| {
            let error = error?;
            let reason = match &error {
                DataError::Image { message, .. } => message.clone(),
                DataError::Kind { kind, .. } => unread(kind),
                _ => "is not found".to_owned(),
            };
            // of another file nothing is known: it may be as sound as the others
            let Some(fault) = Fault::of(&error) else { return Some(Err(error)) };
            Some(Ok(Skip { split: *split, name: example.name.clone(), fault, reason }))
        };
        let skipped = files.iter().zip(errors).filter_map(skip).collect::<Result<_, _>>()?;
        let report = Self { checked: files.len(), skipped, odd: Vec::new() };
        report.require_enough(dataset)?;
        Ok(report)
    }

    /// How many files have a fault.
    pub fn count(&self, fault: Fault) -> usize {
        self.skipped.iter().filter(|skip| skip.fault == fault).count()
    }

    /// What is told of images that are read though something is odd about them.
    pub fn odd_note(&self) -> Option<String> {
        odd::told(&self.odd)
    }

    /// How many images are left out, by the reason: `2 are damaged and 1 are not found`.
    pub fn counts(&self) -> Option<String> {
        Fault::counts(self.skipped.iter().map(|skip| skip.fault))
    }

    /// Names the images that are left out, the first few of them.
    pub fn note(&self) -> Option<String> {
        let shown: Vec<String> =
            self.skipped.iter().take(5).map(|skip| format!("`{}` {}", skip.name, skip.reason)).collect();
        let more = match self.skipped.len().saturating_sub(5) {
            0 => String::new(),
            more => format!("; and {more} more, listed in run.json"),
        };
        let counts = self.counts()?;
        let (count, rest) = counts.split_once(' ')?;
        Some(format!("{count} of {} images {rest} and left out: {}{more}", self.checked, shown.join("; ")))
    }

    fn require_enough(&self, dataset: &Dataset) -> Result<(), DataError> {
        let rest = dataset.without(self);
        let first = |split: Split| self.skipped.iter().find(|s| s.split == split);
        for split in Split::ALL {
            let (before, after) = (dataset.split(split), rest.split(split));
            let Some(example) = first(split) else { continue };
            let of_class = |class: Option<usize>, fault: Fault| match class
                .and_then(|c| dataset.classes.get(c))
            {
                Some(name) => format!("all images of class `{name}` in `{}` {}", split.name(), fault.words()),
                None => format!("all images in `{}` {}", split.name(), fault.words()),
            };
            let lost = match split {
                Split::Train if !dataset.is_regression() => {
                    let (old, new) = (dataset.class_counts(before), dataset.class_counts(after));
                    (0..old.len()).find(|&c| old[c] > 0 && new[c] == 0).map(Some)
                }
                _ => after.is_empty().then_some(None),
            };
            if let Some(class) = lost {
                let target_before =
                    |name: &str| before.iter().find(|e| e.name == name).map(|e| e.target.clone());
                let shown = self
                    .skipped
                    .iter()
                    .find(|s| class.is_some() && target_before(&s.name) == class.map(Target::Class))
                    .unwrap_or(example);
                return Err(DataError::source(
                    &dataset.source,
                    format!(
                        "{}; the first is `{}`: {}",
                        of_class(class, shown.fault),
                        shown.name,
                        shown.reason
                    ),
                    shown.fault.help(),
                ));
            }
        }
        Ok(())
    }
}
