//! `frostline completions` and `frostline man`: what a shell and `man` are told, made from the arguments themselves.

use crate::Failure;
use crate::args::{Completions, Man, command};
use crate::console::Console;
use std::path::Path;

const NAME: &str = "frostline";

pub(crate) fn completions(wanted: &Completions, console: &Console) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut command(), NAME, &mut script);
    console.write(&script)
}

pub(crate) fn man(wanted: &Man, console: &Console) -> Result<(), Failure> {
    let mut all = command().disable_help_subcommand(true);
    // global flags become the commands' own, and each page gets its name
    all.build();
    match (&wanted.output, &wanted.page) {
        (Some(folder), _) => pages(all, folder, console),
        (None, None) => console.write(&page(all)?),
        (None, Some(name)) => {
            let found = all.get_subcommands().find(|found| found.get_name() == name);
            let found = found.ok_or_else(|| {
                let names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
                format!("`{name}` is no command\nhelp: the commands are {}", names.join(", "))
            })?;
            console.write(&page(found.clone())?)
        }
    }
}

fn page(of: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut roff = Vec::new();
    clap_mangen::Man::new(of.version(env!("CARGO_PKG_VERSION"))).render(&mut roff)?;
    Ok(roff)
}

fn pages(all: clap::Command, folder: &Path, console: &Console) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| {
        format!("`{}`: {error}\nhelp: give a folder that can be written", folder.display())
    })?;
    let commands: Vec<clap::Command> = all.get_subcommands().cloned().collect();
    let count = commands.len() + 1;
    for of in std::iter::once(all).chain(commands) {
        let file = folder.join(format!("{}.1", of.get_display_name().unwrap_or(NAME)));
        frostline::write_atomically(&file, &page(of)?).map_err(frostline::Error::from)?;
    }
    console.print(format_args!("{count} pages in `{}`", folder.display()))
}
