//! The library speaks of settings; here they are flags.

/// How the library writes a setting: "the setting `keep`", or "the setting `keep = -1`".
const BEGINS: &str = "the setting `";

/// The text with its settings as flags: `--keep`, `--keep -1`. JSON stays JSON: nothing that is put in wants escaping.
pub(crate) fn as_flags(text: &str) -> String {
    let mut parts = text.split(BEGINS);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('`').filter(|(setting, _)| is_setting(setting)) {
            Some((setting, rest)) => {
                told.push_str(&flag(setting));
                told.push_str(rest);
            }
            None => {
                told.push_str(BEGINS);
                told.push_str(part);
            }
        }
    }
    told
}

fn is_setting(text: &str) -> bool {
    let name = text.split(" = ").next().unwrap_or_default();
    !name.is_empty() && name.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-')
}

fn flag(setting: &str) -> String {
    match setting.split_once(" = ") {
        Some((name, value)) if value.contains(' ') => format!("--{name} '{value}'"),
        Some((name, value)) => format!("--{name} {value}"),
        None => format!("--{setting}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_told_as_flags() {
        let told =
            as_flags("help: keep less with the setting `keep = top/conv`, or leave the setting `head` out");
        assert_eq!(told, "help: keep less with --keep top/conv, or leave --head out");
        assert_eq!(as_flags("e.g. the setting `head = gap dense(3)`"), "e.g. --head 'gap dense(3)'");
        assert_eq!(as_flags("the setting `A b` is none"), "the setting `A b` is none");
    }
}
