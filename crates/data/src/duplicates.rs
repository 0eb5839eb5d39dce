//! Examples of one content: a photo that is trained on and tested on, one under two labels, one that is there twice.

use std::collections::HashMap;

use super::{Dataset, Example, Split, Target};

/// So many are named.
const NAMED: usize = 3;

impl Dataset {
    /// The examples that hold the same, to the byte, a list for each content that is there more than once. Empty where contents are
    /// not known; see [`Dataset::know_contents`].
    pub fn copies(&self) -> Vec<Vec<(Split, &Example)>> {
        let mut order: Vec<Vec<(Split, &Example)>> = Vec::new();
        let mut known: HashMap<blake3::Hash, usize> = HashMap::new();
        for (split, example) in self.examples() {
            let Some(content) = self.content(example) else { continue };
            let at = *known.entry(content).or_insert(order.len());
            match order.get_mut(at) {
                Some(group) => group.push((split, example)),
                None => order.push(vec![(split, example)]),
            }
        }
        order.retain(|group| group.len() > 1);
        order
    }

    /// Warnings of examples that hold the same, to the byte: across parts, under several labels, within a part. Empty where
    /// contents are not known; see [`Dataset::know_contents`].
    pub fn duplicates(&self) -> Vec<String> {
        let groups = self.copies();
        let mut warnings = Vec::new();
        for (seen, scored, so) in [
            (Split::Train, Split::Test, "the test score counts what was trained on"),
            (Split::Train, Split::Val, "the validation score counts what is trained on"),
            (Split::Val, Split::Test, "the test score counts what epochs are chosen by"),
        ] {
            let mut found = Vec::new();
            for group in &groups {
                if let Some((_, first)) = group.iter().find(|(split, _)| *split == seen) {
                    let others = group.iter().filter(|(split, _)| *split == scored);
                    found.extend(others.map(|(_, other)| same(&other.name, &first.name)));
                }
            }
            let (scored, seen) = (scored.name(), seen.name());
            warnings.extend(line(&found, &format!(" of {scored}"), &format!("in {seen} too, so that {so}")));
        }
        let (mut labels, mut copies) = (Vec::new(), Vec::new());
        for group in &groups {
            let (part, first) = group[0];
            for (split, other) in &group[1..] {
                if other.target != first.target {
                    let [own, firsts] = [other, first].map(|example| self.label(example));
                    labels
                        .push(format!("`{}` ({own}) is the same as `{}` ({firsts})", other.name, first.name));
                } else if *split == part {
                    copies.push(same(&other.name, &first.name));
                }
            }
        }
        warnings.extend(line(&labels, "", "under two labels, of which one is wrong"));
        warnings.extend(line(&copies, "", "in one part twice or more, and counted as often"));
        warnings
    }

    /// The label of an example, for people.
    pub fn label(&self, example: &Example) -> String {
        match &example.target {
            Target::Class(class) => self.classes.get(*class).cloned().unwrap_or_else(|| class.to_string()),
            Target::Labels(labels) => {
                let names = labels.iter().filter_map(|label| self.classes.get(*label).cloned());
                names.collect::<Vec<_>>().join(" and ")
            }
            Target::Value(values) => values.iter().map(f32::to_string).collect::<Vec<_>>().join(", "),
        }
    }
}

fn same(one: &str, other: &str) -> String {
    match one == other {
        true => format!("`{one}` is listed twice"),
        false => format!("`{one}` is the same as `{other}`"),
    }
}

/// `2 examples of test are in train too …: `a` is the same as `b`; …`.
fn line(found: &[String], of: &str, where_else: &str) -> Option<String> {
    let more = match found.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    let shown = &found[..found.len().min(NAMED)];
    let (noun, verb) = if found.len() == 1 { ("example", "is") } else { ("examples", "are") };
    (!found.is_empty())
        .then(|| format!("{} {noun}{of} {verb} {where_else}: {}{more}", found.len(), shown.join("; ")))
}

#[cfg(test)]
mod tests {
    use crate as data;

    #[test]
    fn what_is_there_more_than_once_is_told_by_where_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str, content: &str| {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        for (file, content) in [
            ("train/a/1.png", "one"),
            ("train/a/2.png", "two"),
            ("train/b/3.png", "three"),
            ("test/a/4.png", "four"),
            ("val/b/5.png", "five"),
        ] {
            put(file, content);
        }
        let open = || {
            let mut dataset = data::open(folder.path()).unwrap();
            dataset.know_contents().unwrap();
            dataset.duplicates()
        };
        assert!(open().is_empty());
        put("test/a/again.png", "one");
        put("train/b/other.png", "two");
        put("val/b/val.png", "three");
        put("train/b/copy.png", "three");
        let told = open();
        for (words, named) in [
            ("1 example of test is in train too", "`test/a/again.png` is the same as `train/a/1.png`"),
            ("1 example of val is in train too", "`val/b/val.png` is the same as `train/b/3.png`"),
            ("1 example is under two labels", "`train/b/other.png` (b) is the same as `train/a/2.png` (a)"),
            ("1 example is in one part twice or more", "`train/b/copy.png` is the same as `train/b/3.png`"),
        ] {
            assert!(
                told.iter().any(|line| line.contains(words) && line.contains(named)),
                "{words}: {told:?}"
            );
        }
        assert_eq!(told.len(), 4);
    }
}
