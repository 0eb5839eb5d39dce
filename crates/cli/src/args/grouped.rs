//! `frostline --help`: the commands in groups.

use super::Arguments;
use clap::{Command, CommandFactory};

/// What the commands are for, in the order in which one meets them. A test asks that each command is in one group.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Look at the data", &["check", "suggest", "similar", "embed"]),
    ("Train and search", &["plan", "train", "depth", "evaluate", "add-class", "remove-class", "merge"]),
    ("Use", &["predict", "explain", "serve"]),
    ("Files", &["models", "pull", "inspect", "convert", "verify"]),
    ("Look after", &["doctor", "cache", "completions", "man", "demo"]),
];

/// The width of the page.
pub(super) const COLUMNS: usize = 80;
/// Where what a command does begins.
const INDENT: usize = 16;

const EXAMPLES: &str = "\
Examples:
  frostline check photos/
  frostline train model.keras photos/ -o run
  frostline predict run picture.jpg

`frostline COMMAND --help` tells more, with examples.";

/// All arguments, with the help in groups.
pub(crate) fn command() -> Command {
    let command = Arguments::command().after_help(EXAMPLES);
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{heading}Options:{heading:#}\n{{options}}{{after-help}}",
        groups(&command),
        heading = clap::builder::Styles::styled().get_header(),
    );
    command.help_template(template)
}

/// The groups with a line or two for each command.
fn groups(command: &Command) -> String {
    let styles = clap::builder::Styles::styled();
    let (heading, literal) = (styles.get_header(), styles.get_literal());
    let mut text = String::new();
    for (group, names) in GROUPS {
        text.push_str(&format!("{heading}{group}:{heading:#}\n"));
        // what was left out of this build is not told
        for found in names.iter().filter_map(|name| command.find_subcommand(name)) {
            let (name, about) =
                (found.get_name(), found.get_about().map(ToString::to_string).unwrap_or_default());
            text.push_str(&format!("  {literal}{name:<width$}{literal:#}", width = INDENT - 2));
            text.push_str(&wrapped(&about));
        }
        text.push('\n');
    }
    text
}

/// Words in lines that begin at the indent.
fn wrapped(words: &str) -> String {
    let (mut text, mut column) = (String::new(), INDENT);
    for word in words.split_whitespace() {
        let width = word.chars().count();
        if column > INDENT && column + 1 + width > COLUMNS {
            text.push_str(&format!("\n{:INDENT$}", ""));
            column = INDENT;
        } else if column > INDENT {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    /// All pages, as they are shown.
    fn pages() -> Vec<Command> {
        let mut all = command().disable_help_subcommand(true);
        all.build();
        let commands: Vec<Command> = all.get_subcommands().cloned().collect();
        std::iter::once(all).chain(commands).collect()
    }

    /// All commands of this build by their names.
    fn names() -> Vec<String> {
        let all = command();
        all.get_subcommands().map(|found| found.get_name().to_owned()).collect()
    }

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        command().debug_assert();
    }

    #[test]
    fn each_command_is_in_one_group() {
        for name in names() {
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&name.as_str()));
            assert_eq!(groups.count(), 1, "{name}");
        }
    }

    #[test]
    fn every_page_of_help_fits_eighty_columns() {
        for mut page in pages() {
            // an example that does not fit would be broken in two
            let examples = page.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in examples.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.chars().count() <= COLUMNS, "{}: {line}", page.get_name());
            }
            let text = page.render_long_help().to_string();
            for line in text.lines() {
                assert!(line.chars().count() <= COLUMNS, "{}: {line}", page.get_name());
            }
        }
    }

    /// The examples of a page: what stands behind `frostline` in lines that are indented by two, and the groups of the shell that
    /// are no part of them left out.
    fn examples(page: &Command) -> Vec<Vec<String>> {
        let text = page.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("  "))
            .filter(|line| line.contains("frostline "));
        let call = |line: &str| {
            let line = line.replace("<(", " ").replace(')', " ");
            let words =
                shlex::split(line.split("    #").next().unwrap_or_default()).expect("words of a shell");
            let call = words.into_iter().skip_while(|word| word != "frostline");
            call.take_while(|word| !["|", ">", "&&"].contains(&word.as_str())).collect::<Vec<_>>()
        };
        lines.map(call).filter(|call| call.len() > 1).collect()
    }

    #[test]
    fn every_example_is_understood() {
        for page in pages() {
            let examples = examples(&page);
            assert!((2..=4).contains(&examples.len()), "{}: {examples:?}", page.get_name());
            for example in examples {
                let parsed = Arguments::try_parse_from(&example);
                assert!(
                    parsed.is_ok(),
                    "{example:?}: {}",
                    parsed.err().map(|error| error.to_string()).unwrap_or_default()
                );
                assert!(page.get_name() == "frostline" || example[1] == page.get_name(), "{example:?}");
            }
        }
    }
}
