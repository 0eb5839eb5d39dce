//! The flags of the commands, as the caller needs them: there is no other list of them.

use crate::args::Arguments;
use clap::{ArgAction, CommandFactory};

/// A flag of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// Its name, without `--`.
    pub name: String,
    /// Whether it is a word of its own, as `--gradual` is.
    pub is_switch: bool,
    /// Whether it may be given without a value, as `--scaled-decode`.
    pub value_is_optional: bool,
    /// Whether it is given again for each of several values; lists are else one value with commas.
    pub is_repeated: bool,
    /// What is said of it.
    pub help: String,
}

/// What the caller decides itself.
const NOT_SAID: [&str; 7] = ["help", "version", "json", "quiet", "output", "shard", "lost-after"];

/// The flags of a command; none where there is no such command.
pub fn flags(command: &str) -> Option<Vec<Flag>> {
    let mut all = Arguments::command();
    all.build();
    let command = all.find_subcommand(command)?;
    let flag = |arg: &clap::Arg| {
        let name = arg.get_long()?.to_owned();
        let is_switch = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let value_is_optional = arg.get_num_args().is_some_and(|values| values.min_values() == 0);
        let is_repeated =
            matches!(arg.get_action(), ArgAction::Append) && arg.get_value_delimiter().is_none();
        let found =
            Flag { name, is_switch, value_is_optional: value_is_optional && !is_switch, is_repeated, help };
        (!NOT_SAID.contains(&found.name.as_str())).then_some(found)
    };
    Some(command.get_arguments().filter_map(flag).collect())
}

#[cfg(test)]
mod tests {
    use super::flags;

    #[test]
    fn flags_are_those_of_the_command() {
        let train = flags("train").expect("there is a command `train`");
        let named = |name: &str| train.iter().find(|flag| flag.name == name);
        assert!(named("gradual").is_some_and(|flag| flag.is_switch));
        assert!(named("scaled-decode").is_some_and(|flag| flag.value_is_optional && !flag.is_switch));
        assert!(named("exclude").is_some_and(|flag| flag.is_repeated));
        assert!(named("classes").is_some_and(|flag| !flag.is_repeated));
        assert!(named("seed").is_some() && named("json").is_none() && named("output").is_none());
        assert!(flags("trane").is_none());
    }
}
