//! What pictures in tar and Parquet files are labelled: numbers of classes, names, several names, numbers to learn.

use std::collections::{BTreeMap, BTreeSet};

use crate::{DataError, Dataset, LabelKind, Reading, Target};

/// More classes than this are a mistake.
const MOST: i64 = 1 << 20;

/// What a file says of one picture.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Label {
    /// The number of a class.
    Index(i64),
    /// The name of a class.
    Name(String),
    /// A number that is no whole one.
    Number(f32),
    /// Several names, or none.
    Several(Vec<String>),
    /// Several numbers of classes, or none.
    Indices(Vec<i64>),
}

impl Label {
    /// From a text, as a member `.cls` holds it.
    pub(super) fn of_text(text: &str) -> Self {
        let text = text.trim();
        match (text.parse(), text.parse::<f32>()) {
            (Ok(index), _) => Self::Index(index),
            (_, Ok(number)) if number.is_finite() => Self::Number(number),
            _ => Self::Name(text.to_owned()),
        }
    }

    /// Whether it says that the label is not known, as Hugging Face's -1 does.
    pub(super) fn is_unknown(&self) -> bool {
        *self == Self::Index(-1)
    }

    /// Its names, or the numbers of its classes as texts.
    fn texts(&self, names: Option<&[String]>) -> Vec<String> {
        let named = |index: &i64| {
            let name = usize::try_from(*index).ok().and_then(|index| names?.get(index));
            name.cloned().unwrap_or_else(|| index.to_string())
        };
        match self {
            Self::Index(index) => vec![named(index)],
            Self::Indices(indices) => indices.iter().map(named).collect(),
            Self::Name(name) => vec![name.clone()],
            Self::Number(number) => vec![number.to_string()],
            Self::Several(names) => names.clone(),
        }
    }

    /// As a number to learn.
    fn number(&self) -> Option<f32> {
        match self {
            Self::Index(index) => Some(*index as f32),
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }
}

/// What each picture is to be mapped to; names the classes of the dataset. `names`: those of the classes that labels are numbers
/// of.
pub(super) fn targets(
    dataset: &mut Dataset,
    said: &[Label],
    names: Option<Vec<String>>,
    reading: &Reading,
) -> Result<Vec<Target>, DataError> {
    let source = dataset.source.clone();
    let refuse = |message: &str, help: &str| DataError::source(&source, message, help);
    let any = |is: fn(&Label) -> bool| said.iter().any(is);
    let several = any(|label| matches!(label, Label::Several(_) | Label::Indices(_)));
    if several && matches!(reading.task, Some(LabelKind::Classes | LabelKind::Numbers)) {
        return Err(refuse(
            "has pictures with several labels",
            "leave the setting `task` out, or give the setting `task = labels`",
        ));
    }
    let numbers: Option<Vec<f32>> = said.iter().map(Label::number).collect();
    let fractions = any(|label| matches!(label, Label::Number(_)));
    if reading.task == Some(LabelKind::Numbers) || (reading.task.is_none() && fractions) {
        if let Some(numbers) = numbers {
            if reading.task.is_none() {
                dataset.warnings.push("the labels are numbers with fractions, so that a number is learned, not a class; the setting `task = classes` learns classes".to_owned());
            }
            return Ok(numbers.into_iter().map(|number| Target::Value(vec![number])).collect());
        }
        if reading.task.is_some() {
            return Err(refuse("has labels that are no numbers", "leave the setting `task` out"));
        }
    }
    let is_numbered = said.iter().all(|label| matches!(label, Label::Index(_) | Label::Indices(_)));
    let names = names.as_deref().filter(|_| is_numbered);
    if is_numbered {
        let most = names.map_or(MOST, |names| names.len() as i64);
        let indices = said.iter().flat_map(|label| match label {
            Label::Index(index) => std::slice::from_ref(index),
            Label::Indices(indices) => indices,
            _ => &[],
        });
        if let Some(wrong) = indices.clone().find(|index| !(0..most).contains(*index)) {
            return Err(match names {
                Some(names) => refuse(
                    &format!("has the label {wrong}, where {} classes are named, from 0 on", names.len()),
                    "name every class, or mend the labels",
                ),
                None => refuse(
                    &format!("has the label {wrong}, which is no number of a class"),
                    "number classes from 0, or give their names; the setting `task = numbers` learns numbers",
                ),
            });
        }
        let count = indices.max().map_or(0, |most| *most as usize + 1);
        dataset.classes =
            names.map_or_else(|| (0..count).map(|class| class.to_string()).collect(), <[String]>::to_vec);
        dataset.class_names_known = names.is_some();
    } else {
        let found: BTreeSet<String> = said.iter().flat_map(|label| label.texts(None)).collect();
        dataset.classes = found.into_iter().collect();
        if dataset.classes.iter().all(|name| name.parse::<u64>().is_ok()) {
            dataset.classes.sort_by_key(|name| name.parse::<u64>().unwrap_or_default());
        }
        dataset.class_names_known = true;
    }
    let index: BTreeMap<&str, usize> =
        dataset.classes.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
    let numbered = |label: &Label| -> Vec<usize> {
        let own = label.texts(names);
        own.iter()
            .filter_map(|text| index.get(text.as_str()).copied())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    };
    let target = |label: &Label| match (several, numbered(label)) {
        (true, labels) => Target::Labels(labels),
        (false, classes) => Target::Class(classes.first().copied().unwrap_or_default()),
    };
    Ok(said.iter().map(target).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(said: &[Label], names: Option<&[&str]>) -> (Dataset, Vec<Target>) {
        let mut dataset = Dataset::default();
        let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
        let targets = targets(&mut dataset, said, names, &Reading::default()).expect("labels");
        (dataset, targets)
    }

    #[test]
    fn labels_are_what_their_texts_say() {
        for (text, label) in [
            ("3\n", Label::Index(3)),
            ("-1", Label::Index(-1)),
            ("0.5", Label::Number(0.5)),
            ("nan", Label::Name("nan".to_owned())),
            (" tabby cat ", Label::Name("tabby cat".to_owned())),
        ] {
            assert_eq!(Label::of_text(text), label, "{text}");
        }
    }

    #[test]
    fn numbers_of_classes_take_the_names_that_are_there() {
        let said = [Label::Index(1), Label::Index(0)];
        let (dataset, targets) = of(&said, Some(&["cat", "dog"]));
        assert_eq!(dataset.classes, ["cat", "dog"]);
        assert_eq!(targets, [Target::Class(1), Target::Class(0)]);
        let (dataset, _) = of(&said, None);
        assert_eq!(
            (dataset.classes, dataset.class_names_known),
            (vec!["0".to_owned(), "1".to_owned()], false)
        );
        let error = super::targets(
            &mut Dataset::default(),
            &[Label::Index(2)],
            Some(vec!["a".to_owned()]),
            &Reading::default(),
        );
        assert!(error.expect_err("too large").to_string().contains("has the label 2, where 1 classes"));
    }

    #[test]
    fn names_fractions_and_lists_are_kept_apart() {
        let name = |text: &str| Label::Name(text.to_owned());
        let (dataset, targets) = of(&[name("dog"), name("cat"), Label::Index(7)], None);
        assert_eq!(dataset.classes, ["7", "cat", "dog"]);
        assert_eq!(targets, [Target::Class(2), Target::Class(1), Target::Class(0)]);
        let (dataset, targets) = of(&[Label::Number(0.5), Label::Index(2)], None);
        assert!(dataset.classes.is_empty());
        assert_eq!(targets, [Target::Value(vec![0.5]), Target::Value(vec![2.0])]);
        let (dataset, targets) =
            of(&[Label::Indices(vec![1, 0]), Label::Indices(Vec::new())], Some(&["a", "b"]));
        assert_eq!(dataset.classes, ["a", "b"]);
        assert_eq!(targets, [Target::Labels(vec![0, 1]), Target::Labels(Vec::new())]);
    }
}
