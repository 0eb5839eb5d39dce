//! The one thing that is worth trying after a training. Each rule is a function with its reason; the first that applies is told.

use super::RunRecord;
use crate::fit::{Metric, Prepared, Scores, StageConfig, predicted_class};
use frostline_data::{Dataset, LabelKind};
use frostline_graph::Unfreeze;
use std::path::Path;

/// Of so large a share of the training images labels look wrong: more than is left over where nothing is wrong.
const SUSPECTS: f64 = 0.01;
/// With fewer photos of a class a head has seen too little of it.
const FEW: usize = 20;
/// So many mistakes between two classes, and so large a share of all, are no accident.
const CONFUSED: (usize, f64) = (5, 1.0 / 3.0);
/// With fewer training images scores of cut points differ by chance.
const ENOUGH: usize = 60;
/// A model that is more often right has little to win by another depth.
const GOOD: f64 = 0.97;

/// What is worth trying next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// Why, in a sentence.
    pub reason: String,
    /// The command, word by word.
    pub command: Vec<String>,
}

/// What the rules look at.
#[derive(Default)]
struct Facts {
    /// Training images.
    images: usize,
    classes: usize,
    one_class_each: bool,
    /// Images whose labels look wrong.
    suspects: usize,
    /// The class with the fewest training images.
    smallest: Option<(String, usize)>,
    /// The last stage that made it worse.
    reverted: Option<String>,
    /// Whether anything tells how good the model is on new images.
    has_score: bool,
    /// The share of new images that is expected to be right.
    accuracy: Option<f64>,
    /// The two classes that are most often taken for one another, how often, and the number of all mistakes.
    confused: Option<([String; 2], usize, usize)>,
    /// Reused layers were trained, or it was tried.
    tuned: bool,
    // what commands are put together from
    model: String,
    arch: Vec<String>,
    data: String,
    run: String,
}

type Rule = fn(&Facts) -> Option<NextStep>;

/// In the order of what costs most: data first, then settings.
const RULES: [Rule; 6] = [wrong_labels, no_score, few_photos, made_worse, confused_classes, another_depth];

impl NextStep {
    /// What a training that was written to `run` asks for.
    pub fn after(record: &RunRecord, prepared: &Prepared, run: &Path) -> Self {
        let facts = Facts::of(record, &prepared.dataset, run);
        RULES.iter().find_map(|rule| rule(&facts)).unwrap_or_else(|| predict(&facts))
    }
}

/// Wrong labels cost more than any setting gains, and they are found in minutes.
fn wrong_labels(facts: &Facts) -> Option<NextStep> {
    let is_worth_it = facts.suspects >= 2 && facts.suspects as f64 >= SUSPECTS * facts.images as f64;
    is_worth_it.then(|| NextStep {
        reason: format!(
            "{} labels look wrong: look at them first, for wrong labels cost more than settings gain",
            facts.suspects
        ),
        command: facts.check(&[]),
    })
}

/// Without a score of photos that the model has not seen nobody knows what any change is worth.
fn no_score(facts: &Facts) -> Option<NextStep> {
    (!facts.has_score).then(|| NextStep {
        reason: "nothing tells how good the model is on new photos: score it on some that it has not seen"
            .to_owned(),
        command: words(&["evaluate", &facts.run, "test_photos/"]),
    })
}

/// The accuracy of a head grows with the photos of its smallest class, up to some dozens, faster than with anything else.
fn few_photos(facts: &Facts) -> Option<NextStep> {
    let (class, photos) = facts.smallest.as_ref().filter(|(_, photos)| *photos < FEW)?;
    let reason = format!(
        "`{class}` has {photos} training photo{}: more of them gain most; this names those worth labelling among unlabelled ones",
        if *photos == 1 { "" } else { "s" }
    );
    Some(NextStep { reason, command: words(&["suggest", &facts.run, "unlabelled/"]) })
}

/// A stage that was stepped back had too many layers or too high a rate for these photos: the search finds how many.
fn made_worse(facts: &Facts) -> Option<NextStep> {
    let stage = facts.reverted.as_ref().filter(|_| facts.one_class_each)?;
    Some(NextStep {
        reason: format!(
            "the stage `{stage}` made it worse and was stepped back: see how far down training pays"
        ),
        command: facts.depth(),
    })
}

/// Two classes that take the most mistakes may be one, or have photos of the other among them.
fn confused_classes(facts: &Facts) -> Option<NextStep> {
    let ([one, other], times, all) = facts.confused.as_ref()?;
    let is_most = *times >= CONFUSED.0 && *times as f64 >= CONFUSED.1 * *all as f64;
    // of two classes all mistakes are between them
    (is_most && facts.classes > 2).then(|| NextStep {
        reason: format!(
            "`{one}` and `{other}` take {times} of the {all} mistakes: see whether their photos can be told apart"
        ),
        command: facts.check(&["--classes", &format!("{one},{other}")]),
    })
}

/// Where it is unknown which layers are worth training, their scores tell it without a training.
fn another_depth(facts: &Facts) -> Option<NextStep> {
    let may_gain = facts.accuracy.is_some_and(|accuracy| accuracy < GOOD);
    (may_gain && facts.one_class_each && !facts.tuned && facts.images >= ENOUGH).then(|| NextStep {
        reason: "no reused layer was trained: see how well the classes can be read at each depth".to_owned(),
        command: facts.depth(),
    })
}

/// Where nothing is worth trying, the model is put to use.
fn predict(facts: &Facts) -> NextStep {
    NextStep {
        reason: "try it on photos that it has not seen".to_owned(),
        command: words(&["predict", &facts.run, "new_photos/"]),
    }
}

impl Facts {
    fn of(record: &RunRecord, dataset: &Dataset, run: &Path) -> Self {
        let one_class_each = dataset.kind() == LabelKind::Classes;
        let counts = if one_class_each { dataset.class_counts(&dataset.train) } else { Vec::new() };
        let smallest = counts.iter().enumerate().min_by_key(|(_, count)| **count);
        let accuracy_of = |scores: &Scores| scores.get(Metric::Accuracy);
        let estimate = record.estimate.as_ref();
        let trains = |stage: &StageConfig| stage.freeze.is_some() || stage.unfreeze != Unfreeze::Nothing;
        let recipe = &record.recipe;
        let arch = record.source.arch.iter().flat_map(|arch| ["--arch".to_owned(), arch.clone()]);
        let path = |path: &Path| path.display().to_string();
        Self {
            images: record.images[0],
            classes: dataset.classes.len(),
            one_class_each,
            suspects: record.findings.as_ref().map_or(0, |findings| findings.mislabelled.len()),
            smallest: smallest.map(|(class, count)| (dataset.classes[class].clone(), *count)),
            reverted: record.stages.iter().rev().find(|stage| !stage.kept).map(|stage| stage.name.clone()),
            has_score: record.test.is_some() || record.val.is_some() || estimate.is_some(),
            accuracy: record
                .test
                .as_ref()
                .and_then(|test| accuracy_of(&test.scores))
                .or_else(|| estimate.and_then(|estimate| estimate.accuracy))
                .or_else(|| record.val.as_ref().and_then(accuracy_of)),
            confused: confused(&confusion(record, dataset.classes.len()), &dataset.classes),
            tuned: record.unfreezing.is_some() || recipe.gradual.is_some() || recipe.stage.iter().any(trains),
            model: path(&record.source.model),
            arch: arch.collect(),
            data: path(&record.source.data),
            run: path(run),
        }
    }

    /// `frostline check DATA --model MODEL`.
    fn check(&self, more: &[&str]) -> Vec<String> {
        let more = more.iter().map(|word| (*word).to_owned());
        let begin = words(&["check", &self.data, "--model", &self.model]).into_iter();
        begin.chain(self.arch.iter().cloned()).chain(more).collect()
    }

    /// `frostline depth MODEL DATA`.
    fn depth(&self) -> Vec<String> {
        words(&["depth", &self.model, &self.data]).into_iter().chain(self.arch.iter().cloned()).collect()
    }
}

/// `[true class][predicted class]` images that the model has not seen: of the test part, else each by a head without it.
fn confusion(record: &RunRecord, classes: usize) -> Vec<Vec<usize>> {
    if let Some(test) = &record.test {
        return test.confusion.clone();
    }
    let mut table = vec![vec![0; classes]; classes];
    for one in record.solved.iter().flat_map(|head| &head.left_out) {
        let cell = table.get_mut(one.label).and_then(|row| row.get_mut(predicted_class(&one.probabilities)));
        *cell.unwrap_or(&mut 0) += 1;
    }
    table
}

/// The two classes that are most often taken for one another.
fn confused(table: &[Vec<usize>], classes: &[String]) -> Option<([String; 2], usize, usize)> {
    let at = |row: usize, column: usize| table.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0);
    let pairs = || (0..table.len()).flat_map(|one| (one + 1..table.len()).map(move |other| (one, other)));
    let both = |&(one, other): &(usize, usize)| at(one, other) + at(other, one);
    let all: usize = pairs().map(|pair| both(&pair)).sum();
    // the first of equals
    let (one, other) = pairs().min_by_key(|pair| std::cmp::Reverse(both(pair)))?;
    let times = both(&(one, other));
    let names = [classes.get(one)?.clone(), classes.get(other)?.clone()];
    (times > 0).then_some((names, times, all))
}

fn words(words: &[&str]) -> Vec<String> {
    std::iter::once("frostline").chain(words.iter().copied()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A good model of three classes with many photos, whose layers were trained.
    fn good() -> Facts {
        Facts {
            images: 900,
            classes: 3,
            one_class_each: true,
            smallest: Some(("cat".to_owned(), 250)),
            has_score: true,
            accuracy: Some(0.99),
            tuned: true,
            model: "m.keras".to_owned(),
            data: "photos".to_owned(),
            run: "run".to_owned(),
            ..Facts::default()
        }
    }

    fn next(facts: &Facts) -> String {
        let next = RULES.iter().find_map(|rule| rule(facts)).unwrap_or_else(|| predict(facts));
        format!("{}: {}", next.reason, next.command.join(" "))
    }

    #[test]
    fn each_rule_has_its_case_and_the_most_costly_comes_first() {
        let asks = |facts: Facts, command: &str| {
            let next = next(&facts);
            assert!(next.ends_with(command), "{next}");
        };
        asks(good(), ": frostline predict run new_photos/");
        asks(Facts { tuned: false, ..good() }, ": frostline predict run new_photos/");
        asks(Facts { tuned: false, accuracy: Some(0.9), ..good() }, ": frostline depth m.keras photos");
        let pair = ["cat".to_owned(), "lynx".to_owned()];
        let confused = Facts { confused: Some((pair.clone(), 9, 20)), ..good() };
        asks(confused, ": frostline check photos --model m.keras --classes cat,lynx");
        asks(Facts { confused: Some((pair.clone(), 4, 8)), ..good() }, "predict run new_photos/");
        asks(Facts { confused: Some((pair, 9, 9)), classes: 2, ..good() }, "predict run new_photos/");
        asks(Facts { reverted: Some("fine-tune".to_owned()), ..good() }, ": frostline depth m.keras photos");
        let few =
            || Facts { smallest: Some(("cat".to_owned(), 7)), reverted: Some("top".to_owned()), ..good() };
        asks(few(), ": frostline suggest run unlabelled/");
        asks(Facts { has_score: false, accuracy: None, ..few() }, ": frostline evaluate run test_photos/");
        let wrong =
            Facts { suspects: 12, has_score: false, arch: vec!["--arch".into(), "resnet18".into()], ..few() };
        asks(wrong, ": frostline check photos --model m.keras --arch resnet18");
        // a handful of a thousand is what is left over anyway
        asks(Facts { suspects: 5, ..good() }, "predict run new_photos/");
    }

    #[test]
    fn classes_that_are_taken_for_one_another_are_counted_both_ways() {
        let table = [vec![50, 3, 1], vec![4, 40, 0], vec![0, 2, 30]];
        let classes = ["a", "b", "c"].map(str::to_owned);
        let expected = (["a".to_owned(), "b".to_owned()], 7, 10);
        assert_eq!(confused(&table, &classes), Some(expected));
        assert_eq!(confused(&[vec![5, 0], vec![0, 5]], &classes), None);
        assert_eq!(confused(&[], &classes), None);
    }
}
