//! `frostline add-class` and `frostline remove-class`.

use crate::Failure;
use crate::args::{AddClass, RemoveClass, Rewritten};
use crate::cache::caching_in;
use crate::console::{Console, table};
use frostline::classes::{ChangedRun, ClassBefore, ClassChange, change_classes};
use std::path::{Path, PathBuf};

pub(crate) fn add(command: &AddClass, console: &Console) -> Result<(), Failure> {
    let name = command.folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let ending = format!("with-{}", name.unwrap_or_else(|| "another-class".to_owned()));
    run(&command.run, &ClassChange::Add(command.folder.clone()), &ending, &command.rewritten, console)
}

pub(crate) fn remove(command: &RemoveClass, console: &Console) -> Result<(), Failure> {
    let ending = format!("without-{}", command.class.replace(['/', '\\'], "_"));
    run(&command.run, &ClassChange::Remove(command.class.clone()), &ending, &command.rewritten, console)
}

fn run(
    run: &Path,
    change: &ClassChange,
    ending: &str,
    rewritten: &Rewritten,
    console: &Console,
) -> Result<(), Failure> {
    let output = rewritten.output.clone().unwrap_or_else(|| beside(run, ending));
    let caching = caching_in(&rewritten.cache, console);
    let show = |event: &frostline::fit::Event<'_>| console.show(event);
    let changed = change_classes(run, change, &output, rewritten.data.as_deref(), caching, &show)?;
    console.clear();
    changed.notes.iter().for_each(|note| console.warn(note));
    match rewritten.json {
        true => console.print(serde_json::to_string_pretty(&changed)?),
        false => tell(&changed, &output, console),
    }
}

/// A folder that is called as the run, with an ending.
fn beside(run: &Path, ending: &str) -> PathBuf {
    let name = run
        .components()
        .next_back()
        .map_or_else(String::new, |name| name.as_os_str().to_string_lossy().into_owned());
    run.with_file_name(format!("{name}-{ending}"))
}

fn tell(changed: &ChangedRun, output: &Path, console: &Console) -> Result<(), Failure> {
    let titles = ["class", "photos", "found before", "now", "right before", "now"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    let find = |all: &[ClassBefore], name: &str| all.iter().find(|class| class.name == name).cloned();
    let gone = changed.before.iter().filter(|class| find(&changed.after, &class.name).is_none());
    for class in changed.after.iter().chain(gone) {
        let (before, after) = (find(&changed.before, &class.name), find(&changed.after, &class.name));
        let share = |of: &Option<ClassBefore>, value: fn(&ClassBefore) -> f64| {
            of.as_ref().map_or_else(|| "-".to_owned(), |class| format!("{:.3}", value(class)))
        };
        rows.push(vec![
            class.name.clone(),
            class.images.to_string(),
            share(&before, |class| class.recall),
            share(&after, |class| class.recall),
            share(&before, |class| class.precision),
            share(&after, |class| class.precision),
        ]);
    }
    console.print(table(&rows, &[false, true, true, true, true, true]))?;
    console.print(format_args!(
        "\nof the training photos {:.1} % were right and {:.1} % are now, each predicted by a head that had not seen it",
        100.0 * changed.accuracy_before,
        100.0 * changed.accuracy_after
    ))?;
    let shape = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let heads: Vec<String> = changed
        .changed
        .iter()
        .map(|(path, [before, after])| format!("`{path}` ({} -> {})", shape(before), shape(after)))
        .collect();
    console.print(format_args!(
        "{} tensors hash the same in both models ({}); changed: {}",
        changed.unchanged,
        &changed.unchanged_hash[..16],
        heads.join(", ")
    ))?;
    console.print(format_args!("wrote  {} ({:.1} s)", output.display(), changed.seconds))
}
