//! Which images are scored, and what their model has seen of them.

use crate::Failure;
use crate::console::Console;
use frostline::data::{Dataset, Example, Split};
use frostline::report::RunImages;
use std::path::Path;

/// The images that are scored.
pub(super) struct Chosen {
    pub(super) examples: Vec<Example>,
    /// What they are, for people: `` `test` ``.
    pub(super) what: String,
    /// Whether they are the run's own part, as it recorded it: they were asked for though it has seen them.
    is_own_part: bool,
}

impl Chosen {
    /// A part of the data: the one that is `wanted`, else the test part where there is one, else all. A part that the data
    /// do not name is the run's own, found by contents.
    pub(super) fn new(
        dataset: &mut Dataset,
        wanted: Option<Split>,
        run: Option<(&Path, &RunImages)>,
        console: &Console,
    ) -> Result<Self, Failure> {
        let has = |dataset: &Dataset, split| dataset.has_parts && !dataset.split(split).is_empty();
        let part = |dataset: &Dataset, split: Split| Self {
            examples: dataset.split(split).to_vec(),
            what: format!("`{}`", split.name()),
            is_own_part: false,
        };
        let all = |dataset: &Dataset| {
            let source = dataset.source.file_name().unwrap_or(dataset.source.as_os_str());
            Self { what: format!("`{}`", source.display()), ..part(dataset, Split::Train) }
        };
        let found = match (wanted, run) {
            (Some(split), _) if has(dataset, split) => part(dataset, split),
            (Some(split), Some((path, images))) => Self::own_part(dataset, split, path, images, console)?,
            (None, _) if has(dataset, Split::Test) => part(dataset, Split::Test),
            (None, _) if dataset.has_parts => part(dataset, Split::Train),
            (None | Some(Split::Train), _) if !dataset.has_parts => all(dataset),
            (Some(split), None) => part(dataset, split),
            (None, _) => all(dataset),
        };
        match found.examples.is_empty() {
            false => Ok(found),
            true => Err(format!(
                "`{}` has no {} part\nhelp: leave --split out to take what there is",
                dataset.source.display(),
                found.what
            )
            .into()),
        }
    }

    /// What a run has recorded as a part of its own.
    fn own_part(
        dataset: &mut Dataset,
        split: Split,
        run: &Path,
        images: &RunImages,
        console: &Console,
    ) -> Result<Self, Failure> {
        dataset.know_contents()?;
        let is_in_part =
            |example: &&Example| dataset.content(example).is_some_and(|content| images.has(split, &content));
        let examples: Vec<Example> =
            dataset.examples().map(|(_, example)| example).filter(is_in_part).cloned().collect();
        let (found, recorded, run) = (examples.len(), images.count(split), run.display());
        let name = split.name();
        if found == 0 {
            let why = match recorded {
                0 => format!("`{run}` had none"),
                _ => format!("none of its images is one of the {recorded} of `{run}`"),
            };
            return Err(format!(
                "`{}` has no `{name}` part, and {why}\nhelp: leave --split out to take what there is",
                dataset.source.display()
            )
            .into());
        }
        if found != recorded {
            console.warn(format_args!(
                "the `{name}` part of `{run}` had {recorded} images, of which `{}` holds {found}",
                dataset.source.display()
            ));
        }
        Ok(Self { examples, what: format!("the run's own `{name}`"), is_own_part: true })
    }

    /// The images that were trained on, those that only chose epochs, and those that are new to a run. All are new where it
    /// is not known, or where a part that it has seen was asked for.
    pub(super) fn by_what_was_seen(
        &self,
        dataset: &mut Dataset,
        run: Option<&RunImages>,
    ) -> Result<[Vec<Example>; 3], Failure> {
        let mut groups: [Vec<Example>; 3] = Default::default();
        let Some(images) = run.filter(|_| !self.is_own_part) else {
            groups[2].clone_from(&self.examples);
            return Ok(groups);
        };
        dataset.know_contents()?;
        for example in &self.examples {
            let has = |split| dataset.content(example).is_some_and(|content| images.has(split, &content));
            let group = [Split::Train, Split::Val].into_iter().position(has).unwrap_or(2);
            groups[group].push(example.clone());
        }
        Ok(groups)
    }
}
