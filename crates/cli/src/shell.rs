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
    let help = of.get_after_help().map(ToString::to_string).unwrap_or_default();
    let has_commands = of.has_subcommands();
    let man = clap_mangen::Man::new(of.version(env!("CARGO_PKG_VERSION")));
    let mut roff = Vec::new();
    man.render_title(&mut roff)?;
    man.render_name_section(&mut roff)?;
    man.render_synopsis_section(&mut roff)?;
    man.render_description_section(&mut roff)?;
    man.render_options_section(&mut roff)?;
    if has_commands {
        man.render_subcommands_section(&mut roff)?;
    }
    roff.extend_from_slice(examples(&help).as_bytes());
    man.render_version_section(&mut roff)?;
    Ok(roff)
}

/// The end of `--help` as a section: examples line by line, what is said below them as text.
fn examples(help: &str) -> String {
    let (examples, below) = help.split_once("\n\n").unwrap_or((help, ""));
    let lines = examples.lines().filter_map(|line| line.strip_prefix("  ")).map(|line| plain(line) + "\n");
    let mut section = format!(".SH EXAMPLES\n.nf\n{}.fi\n", lines.collect::<String>());
    for line in below.lines() {
        section.push_str(&match line.is_empty() {
            true => ".PP\n".to_owned(),
            false => plain(line) + "\n",
        });
    }
    section
}

/// Text in which nothing is a command of roff.
fn plain(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq").replace('`', "\\(ga");
    match escaped.starts_with('.') {
        true => format!("\\&{escaped}"),
        false => escaped,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_stay_lines_and_nothing_in_them_steers_roff() {
        let section = examples("Examples:\n  frostline man -o 'a b'\n\n.hidden \\ line");
        assert_eq!(
            section,
            ".SH EXAMPLES\n.nf\nfrostline man \\-o \\(aqa b\\(aq\n.fi\n\\&.hidden \\e line\n"
        );
    }
}
