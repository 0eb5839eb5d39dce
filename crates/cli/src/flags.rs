//! The library speaks of settings; here they are flags.

/// How the library writes a setting: "the setting `keep`", or "the setting `keep = -1`".
const BEGINS: &str = "the setting `";

/// The text with its settings as flags: `--keep`, `--keep -1`. JSON stays JSON: nothing that is put in wants escaping.
pub(crate) fn as_flags(text: &str) -> String {
    with_settings(text, flag)
}

/// The text with its settings, and with what it has as flags, as the keyword arguments of a call: `keep`, `keep=-1`.
pub fn as_keywords(text: &str) -> String {
    let text = with_settings(text, keyword);
    let mut parts = text.split("--");
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end =
            part.find(|letter: char| !letter.is_ascii_lowercase() && letter != '-').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        // a flag has a name, and nothing of a word before it
        let begins = !told.ends_with(|letter: char| letter.is_alphanumeric() || letter == '-');
        match begins && name.len() > 1 && !name.starts_with('-') {
            true => told.push_str(&name.replace('-', "_")),
            false => told.push_str(&format!("--{name}")),
        }
        told.push_str(rest);
    }
    told
}

fn with_settings(text: &str, written: impl Fn(&str) -> String) -> String {
    let mut parts = text.split(BEGINS);
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('`').filter(|(setting, _)| is_setting(setting)) {
            Some((setting, rest)) => {
                told.push_str(&written(setting));
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

fn keyword(setting: &str) -> String {
    let Some((name, value)) = setting.split_once(" = ") else {
        return format!("`{}`", setting.replace('-', "_"));
    };
    let name = name.replace('-', "_");
    match value.parse::<f64>() {
        Ok(_) => format!("`{name}={value}`"),
        Err(_) if value == "true" => format!("`{name}=True`"),
        Err(_) => format!("`{name}={value:?}`"),
    }
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

    #[test]
    fn settings_and_flags_are_told_as_keywords() {
        let told = as_keywords(
            "give the setting `keep = top/conv`, the setting `val = 0` or `--batch-norm train`; -- or --x",
        );
        assert_eq!(told, "give `keep=\"top/conv\"`, `val=0` or `batch_norm train`; -- or --x");
        assert_eq!(
            as_keywords("leave the setting `backbone-lr-factor` out"),
            "leave `backbone_lr_factor` out"
        );
        assert_eq!(as_keywords("a-well--known thing"), "a-well--known thing");
    }
}
