//! `frostline suggest`.

use crate::Failure;
use crate::args::Suggest;
use crate::console::{Console, table};
use crate::images::{load, pipeline};
use frostline::data::{Fault, path_text, pictures_in};
use frostline::fit::{Viewed, worth_labelling};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) fn run(command: &Suggest, console: &Console) -> Result<(), Failure> {
    let (model, _) = load(&command.model, console)?;
    let Some(viewed) = Viewed::of(&model, None)? else {
        return Err(format!(
            "`{}` does not end in a dense layer on one vector\nhelp: give a run of `frostline train`",
            command.model.path.display()
        )
        .into());
    };
    let (paths, left_out) = pictures_in(&command.folder, &command.excluded.patterns())?;
    left_out.iter().for_each(|warning| console.warn(warning));
    let pipeline = pipeline(&model, &command.images, None, console)?;
    let numbers = command.storage.precision.unwrap_or_default().try_into()?;
    let mut pass = viewed.pass(&numbers, &pipeline)?;
    let done = AtomicUsize::new(0);
    let told = || console.count("looking at images", done.fetch_add(1, Ordering::Relaxed) + 1, paths.len());
    let (mut names, mut seen, mut bad) = (Vec::new(), Vec::new(), Vec::new());
    for (path, found) in paths.iter().zip(viewed.predict(&mut pass, paths.as_slice(), &told)?) {
        match found {
            Ok(found) => {
                names.push(path_text(path));
                seen.push(found);
            }
            Err(error) => {
                bad.push(Fault::of(&error).unwrap_or(Fault::Unreadable));
                console.warn(error);
            }
        }
    }
    if let Some(counts) = Fault::counts(bad.into_iter()) {
        console.warn(format_args!("of {} photos {counts}: they are left out", paths.len()));
    }
    pipeline.told().iter().for_each(|note| console.warn(note));
    console.clear();
    let class = |index: usize| model.info.class_name(index);
    let chosen = worth_labelling(&seen, command.count, model.info.several_labels);
    let rows = chosen.iter().map(|worth| {
        let name = &names[worth.index];
        let [(first, one), (second, other)] = worth.likeliest;
        (name, (class(first), one), (class(second), other))
    });
    if command.json {
        for (name, (first, one), (second, other)) in rows {
            console.print(json!({ "image": name, "likeliest": [[first, one], [second, other]] }))?;
        }
        return Ok(());
    }
    let rows: Vec<Vec<String>> = rows
        .map(|(name, (first, one), (second, other))| {
            vec![format!("`{name}`"), format!("{first} {one:.2}"), format!("{second} {other:.2}")]
        })
        .collect();
    console.print(format_args!(
        "of {} photos these {} are worth labelling next: the model is least sure of them, and they differ from one another",
        names.len(),
        rows.len()
    ))?;
    console.print(table(&rows, &[false]))
}
