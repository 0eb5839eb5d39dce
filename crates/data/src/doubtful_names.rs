//! Names of classes that look as if they were not meant: two that differ in capitals or spaces alone, and words for a label that is missing.

use crate::file_name::composed;
use std::collections::BTreeMap;

/// What programs write where there is nothing.
const MISSING: &[&str] = &["#n/a", "?", "n/a", "nan", "null", "undefined"];

/// What is to be told of the names.
pub(crate) fn told(classes: &[String]) -> Vec<String> {
    let mut alike: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in classes {
        // a sign may be all that tells numbers apart
        let is_space = |c: &char| c.is_whitespace() || matches!(c, '-' | '_');
        let letters: String = composed(name).to_lowercase().chars().filter(|c| !is_space(c)).collect();
        if letters.chars().any(char::is_alphabetic) {
            alike.entry(letters).or_default().push(name);
        }
    }
    let quoted = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        names.join(" and ")
    };
    let one = |names: &Vec<&str>| {
        format!(
            "the classes {} differ in capitals or spaces alone: name them alike if they are one",
            quoted(names)
        )
    };
    let missing: Vec<&str> = classes
        .iter()
        .map(String::as_str)
        .filter(|name| MISSING.contains(&name.to_lowercase().as_str()))
        .collect();
    let missing = (!missing.is_empty()).then(|| {
        format!(
            "{} is learned as a class: remove what has no label, if that is what it says",
            quoted(&missing)
        )
    });
    alike.values().filter(|names| names.len() > 1).map(one).chain(missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_nearly_one_and_missing_ones_are_told() {
        let told = |names: &[&str]| told(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert!(told(&["cat", "dog", "-1", "1", "a1", "a2", "none", "c", "c++"]).is_empty());
        let found = told(&["Cat", "cat", "hot dog", "hot_dog", "owl"]);
        assert_eq!(found.len(), 2);
        assert!(
            found[0].contains("`Cat` and `cat`") && found[1].contains("`hot dog` and `hot_dog`"),
            "{found:?}"
        );
        assert!(told(&["cat", "NaN"])[0].contains("`NaN`"));
    }
}
