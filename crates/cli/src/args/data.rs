//! What is said of the data.

use crate::Failure;
use clap::Args;
use frostline::data::{Channels, Exclude, InMemory, LabelKind, Pattern, Reading, Source};
use frostline::graph::Model;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is said of the data beside their path.
#[derive(Args)]
pub(crate) struct Labels {
    /// What the labels are: `classes`, `labels` (an image may have several, as `cat|dog` or in columns of zeros and ones) or
    /// `numbers` [default: by their values; what is not clear is asked].
    #[arg(long, value_name = "KIND", help_heading = "Data")]
    pub(crate) task: Option<LabelKind>,
    /// The folder that the paths of a CSV are relative to [default: that of the CSV].
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub(crate) root: Option<PathBuf>,
    /// Just these classes or labels, in this order, separated by commas [default: all].
    #[arg(long, value_name = "A,B", value_delimiter = ',', help_heading = "Data")]
    pub(crate) classes: Option<Vec<String>>,
    #[command(flatten)]
    pub(crate) excluded: Excluded,
    #[command(flatten)]
    pub(crate) arrays: Arrays,
    /// The data themselves, where they are in memory.
    #[arg(skip)]
    pub(crate) held: Option<Arc<InMemory>>,
}

impl Labels {
    /// Where the examples are: at a path, or in memory.
    pub(crate) fn source<'a>(&'a self, path: &'a Path) -> Source<'a> {
        self.held.as_deref().map_or(Source::Path(path), Source::Memory)
    }

    /// The same for a model that says what its labels are.
    pub(crate) fn reading_for(&self, model: &Model) -> Result<Reading, Failure> {
        let mut reading = self.reading();
        let own = if model.info.several_labels { LabelKind::Labels } else { LabelKind::Classes };
        match reading.task.replace(own) {
            Some(said) if said != own => Err(format!(
                "the model was trained on {}\nhelp: leave --task out",
                match own {
                    LabelKind::Labels => "labels of which an image may have several (--task labels)",
                    _ => "classes (--task classes)",
                }
            )
            .into()),
            _ => Ok(reading),
        }
    }
}

/// What is left out of folders and lists.
#[derive(Args)]
pub(crate) struct Excluded {
    /// Leave out what a pattern matches, as `unsorted`, `*.gif` or `train/cat/IMG_00*`: without a `/` any folder, file or class
    /// of that name, with one a path below DATA. May be given several times.
    #[arg(long, value_name = "PATTERN", help_heading = "Data")]
    pub(crate) exclude: Vec<Pattern>,
}

impl Excluded {
    pub(crate) fn patterns(&self) -> Exclude {
        Exclude::new(self.exclude.clone())
    }
}

/// How arrays of images lie.
#[derive(Args)]
pub(crate) struct Arrays {
    /// Where the channels of arrays of images are: `last`, or `first` as PyTorch has them.
    #[arg(
        long,
        value_name = "PLACE",
        default_value = "last",
        hide_default_value = true,
        help_heading = "Data"
    )]
    pub(crate) channels: Channels,
}

impl Labels {
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            task: self.task,
            root: self.root.clone(),
            classes: self.classes.clone(),
            exclude: self.excluded.patterns(),
            channels: self.arrays.channels,
        }
    }
}
