//! A part of the examples that stands for all of them.

use std::borrow::Borrow;
use std::collections::HashMap;

use super::strata_of;
use crate::Example;

/// The indices of about `count` examples, ascending: those of each class from all over their list, as many as its share of all, but
/// `fewest` at least, or all that there are. In which order the classes come makes no difference, so a list in which they take turns
/// gives all of them.
pub fn spread<E: Borrow<Example>>(examples: &[E], count: usize, fewest: usize) -> Vec<usize> {
    let count = count.min(examples.len());
    let strata = strata_of(examples);
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|index| strata[*index]);
    let mut is_taken = vec![false; examples.len()];
    let mut taken: HashMap<Option<usize>, usize> = HashMap::new();
    for index in (0..count).map(|number| order[number * examples.len() / count]) {
        is_taken[index] = true;
        *taken.entry(strata[index]).or_default() += 1;
    }
    for index in order {
        let own = taken.entry(strata[index]).or_default();
        if *own < fewest && !is_taken[index] {
            is_taken[index] = true;
            *own += 1;
        }
    }
    (0..examples.len()).filter(|index| is_taken[*index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Split, Target};

    fn examples(classes: impl Iterator<Item = usize>) -> Vec<Example> {
        let example = |(row, class)| Example {
            input: Input::Row { split: Split::Train, row },
            target: Target::Class(class),
            name: String::new(),
        };
        classes.enumerate().map(example).collect()
    }

    fn counts(examples: &[Example], taken: &[usize], classes: usize) -> Vec<usize> {
        let of = |class: usize| move |index: &&usize| examples[**index].target == Target::Class(class);
        (0..classes).map(|class| taken.iter().filter(of(class)).count()).collect()
    }

    #[test]
    fn classes_that_take_turns_are_all_there_in_their_shares() {
        let all = examples((0..8000).map(|index| index % 4));
        let taken = spread(&all, 400, 2);
        assert_eq!(counts(&all, &taken, 4), [100; 4]);
        assert!(taken.is_sorted() && taken[0] < 40 && taken[399] > 7900, "from all over the list");
    }

    #[test]
    fn classes_one_after_the_other_give_every_so_manieth_example() {
        let all = examples((0..1000).map(|index| index / 100));
        assert_eq!(spread(&all, 100, 1), (0..1000).step_by(10).collect::<Vec<_>>());
        assert_eq!(spread(&all, 5000, 1).len(), 1000);
        assert_eq!(spread(&all[..0], 5, 1).len(), 0);
    }

    #[test]
    fn a_rare_class_gives_what_it_must() {
        let all = examples((0..1000).map(|index| if index % 400 == 399 { 1 + index / 400 } else { 0 }));
        assert_eq!(counts(&all, &spread(&all, 50, 2), 3), [50, 1, 1]);
        assert_eq!(counts(&all, &spread(&all, 50, 0), 3), [50, 0, 0]);
        let many = examples((0..3000).map(|index| index % 1000));
        assert_eq!(counts(&many, &spread(&many, 400, 2), 1000), vec![2; 1000]);
    }
}
