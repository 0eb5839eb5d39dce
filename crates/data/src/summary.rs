//! What was read, in a line: how many examples of which classes.

use super::{Dataset, Example, Input, LabelKind, Split, Target};

/// So many classes are all named; of more, the largest and the smallest.
const NAMED: usize = 12;
const LARGEST: usize = 3;

impl Dataset {
    /// What there is to train on by its classes or the range of its numbers, and how much to validate and to test on:
    /// `27 photos in 2 classes: cat 14, dog 13; validation 6; test 9`.
    pub fn summary(&self) -> String {
        let mut text = self.summary_of(&self.train);
        for (split, name) in [(Split::Val, "validation"), (Split::Test, "test")] {
            if !self.split(split).is_empty() {
                text.push_str(&format!("; {name} {}", self.split(split).len()));
            }
        }
        text
    }

    /// The same of some examples.
    pub fn summary_of(&self, examples: &[Example]) -> String {
        let what = match (examples.first().map(|example| &example.input), examples.len()) {
            (Some(Input::Row { .. }), 1) => "row",
            (Some(Input::Row { .. }), _) => "rows",
            (_, 1) => "photo",
            (_, _) => "photos",
        };
        let of = match self.is_regression() {
            true => numbers(examples),
            false => self.classes_of(examples),
        };
        format!("{} {what} {of}", examples.len())
    }

    fn classes_of(&self, examples: &[Example]) -> String {
        let counts = self.class_counts(examples);
        let class = |class: &usize| format!("{} {}", self.classes[*class], counts[*class]);
        let listed = |classes: &[usize]| classes.iter().map(class).collect::<Vec<_>>().join(", ");
        let mut order: Vec<usize> = (0..counts.len()).collect();
        let named = match order.len() {
            0..=NAMED => listed(&order),
            all => {
                order.sort_by_key(|class| std::cmp::Reverse(counts[*class]));
                format!("{}, …, {}", listed(&order[..LARGEST]), listed(&order[all - LARGEST..]))
            }
        };
        if self.kind() == LabelKind::Labels {
            let has_none = |example: &&Example| example.target == Target::Labels(Vec::new());
            let none = match examples.iter().filter(has_none).count() {
                0 => String::new(),
                none => format!("; {none} with none of them"),
            };
            return format!("with {} labels: {named}{none}", counts.len());
        }
        format!("in {} classes: {named}", counts.len())
    }
}

/// The range of the labels.
fn numbers(examples: &[Example]) -> String {
    let values = || {
        examples.iter().flat_map(|example| match &example.target {
            Target::Value(values) => values.as_slice(),
            Target::Class(_) | Target::Labels(_) => &[],
        })
    };
    let width = match examples.first().map(|example| &example.target) {
        Some(Target::Value(values)) if values.len() > 1 => format!("{} numbers", values.len()),
        _ => "a number".to_owned(),
    };
    let (least, largest) =
        values().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), value| (a.min(*value), b.max(*value)));
    format!("with {width} each, from {least} to {largest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(counts: &[usize]) -> Dataset {
        let labels = counts.iter().enumerate().flat_map(|(class, &n)| vec![class; n]);
        let example = |(index, class): (usize, usize)| Example {
            input: Input::File(index.to_string().into()),
            target: Target::Class(class),
            name: index.to_string(),
        };
        Dataset {
            classes: (0..counts.len()).map(|class| format!("c{class}")).collect(),
            train: labels.enumerate().map(example).collect(),
            ..Dataset::default()
        }
    }

    #[test]
    fn classes_are_counted_and_of_many_the_ends_are_named() {
        let mut few = dataset(&[3, 2]);
        assert_eq!(few.summary(), "5 photos in 2 classes: c0 3, c1 2");
        few.val = Some(few.train[..1].to_vec());
        few.test = Some(few.train[..2].to_vec());
        assert_eq!(few.summary(), "5 photos in 2 classes: c0 3, c1 2; validation 1; test 2");
        let many = dataset(&(1..=20).collect::<Vec<_>>());
        assert_eq!(many.summary(), "210 photos in 20 classes: c19 20, c18 19, c17 18, …, c2 3, c1 2, c0 1");
    }

    #[test]
    fn numbers_are_told_by_their_range() {
        let mut numbers = dataset(&[3]);
        numbers.classes.clear();
        for (index, example) in numbers.train.iter_mut().enumerate() {
            example.target = Target::Value(vec![index as f32 - 0.5]);
        }
        assert_eq!(numbers.summary(), "3 photos with a number each, from -0.5 to 1.5");
    }
}
