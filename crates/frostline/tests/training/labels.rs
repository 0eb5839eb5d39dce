//! Settings that do not suit the labels are refused, not followed into a number that means nothing.

use crate::task::{backbone, bits, data_of, recipe, stage};
use frostline::PrefixDType;
use frostline::data::{self, Dataset, Target};
use frostline::fit::{
    Caching, Check, Event, Head, Loss, Metric, Prepared, TrainConfig, Validation, evaluate, prepare, silent,
};
use frostline::graph::Unfreeze;

/// The three classes, or a number an image.
fn dataset(classes: usize, numbers: bool) -> Dataset {
    let (_folder, path) = data_of(classes);
    let mut dataset = data::open(&path).expect("data");
    if numbers {
        dataset.classes.clear();
        for example in dataset.train.iter_mut().chain(dataset.val.iter_mut().flatten()) {
            if let Target::Class(class) = example.target {
                example.target = Target::Value(vec![class as f32 - 0.5]);
            }
        }
    }
    dataset
}

fn prepared(classes: usize, numbers: bool, recipe: TrainConfig) -> frostline::Result<Prepared> {
    let dataset = dataset(classes, numbers);
    prepare(
        Check::Decode,
        backbone().clone(),
        dataset,
        recipe,
        &Validation::Auto,
        0,
        Caching::default(),
        &silent,
    )
}

fn short() -> TrainConfig {
    recipe(vec![stage(Unfreeze::Nothing, 1, 0.1)])
}

fn refused(prepared: frostline::Result<Prepared>, word: &str) {
    let error = prepared.expect_err(word).to_string();
    assert!(error.contains(word) && error.contains("\nhelp: "), "{error}");
}

#[test]
fn a_classifier_scored_on_numbers_is_an_error_and_no_panic() {
    let prepared = prepared(3, false, short()).expect("a recipe");
    let numbers = dataset(3, true);
    let source = frostline::fit::Source { dataset: &numbers, pipeline: &prepared.pipeline };
    let (loss, metrics) = (prepared.setting.loss, [Metric::MeanSquaredError]);
    let error =
        evaluate(&PrefixDType::F32, &backbone(), source, &numbers.train, "train", &loss, &metrics, &silent)
            .expect_err("3 outputs, 1 number")
            .to_string();
    assert!(error.contains("[3]") && error.contains("numbers, one an image"), "{error}");
    assert!(error.contains("\nhelp: "), "{error}");
}

#[test]
fn numbers_have_no_accuracy() {
    let mut prepared = prepared(3, true, short()).expect("a recipe");
    let trained = prepared.train(&silent).expect("a training");
    for scores in [trained.train, trained.val] {
        let metrics: Vec<Metric> =
            scores.expect("scores").metrics.iter().map(|(metric, _)| *metric).collect();
        assert_eq!(metrics, [Metric::MeanSquaredError]);
    }
}

#[test]
fn what_is_of_classes_is_refused_for_numbers() {
    for metric in ["accuracy", "auc", "f1", "top2", "precision", "recall"] {
        let recipe = TrainConfig { metric: Some(metric.parse().expect("a metric")), ..short() };
        refused(prepared(3, true, recipe), metric);
    }
    for loss in [Loss::BinaryCrossentropy, Loss::CategoricalCrossentropy, Loss::SparseCategoricalCrossentropy]
    {
        refused(prepared(3, true, TrainConfig { loss: Some(loss), ..short() }), &loss.to_string());
    }
    let class_weights = Some("balanced".parse().expect("weights"));
    refused(prepared(3, true, TrainConfig { class_weights, ..short() }), "class weights");
    refused(prepared(3, true, TrainConfig { label_smoothing: 0.1, ..short() }), "label smoothing");
    let recipe = TrainConfig { metric: Some(Metric::MeanAbsoluteError), ..short() };
    prepared(3, true, TrainConfig { loss: Some(Loss::MeanAbsoluteError), ..recipe })
        .expect("a measure of numbers");
}

#[test]
fn a_loss_over_two_classes_gets_two_outputs_and_trains() {
    for loss in [Loss::SparseCategoricalCrossentropy, Loss::CategoricalCrossentropy] {
        let mut prepared = prepared(2, false, TrainConfig { loss: Some(loss), ..short() }).expect("a recipe");
        let head = |model: &frostline::graph::Model| {
            bits(model)
                .into_iter()
                .filter(|(path, _)| path.starts_with("dense") && path.ends_with("/kernel"))
                .collect::<Vec<_>>()
        };
        let before = head(&prepared.model);
        assert_eq!(before[0].1.len(), 10, "5 features, 2 outputs");
        let trained = prepared.train(&silent).expect("a training");
        assert!(trained.train.expect("scores").loss > 0.0);
        assert_ne!(before, head(&prepared.model));
    }
}

#[test]
fn a_loss_that_does_not_suit_the_outputs_is_refused() {
    let with = |head, loss| TrainConfig { head, loss: Some(loss), ..short() };
    refused(prepared(3, false, with(Head::Output, Loss::BinaryCrossentropy)), "softmax");
    refused(prepared(3, false, with(Head::Keep, Loss::BinaryCrossentropy)), "softmax");
    let model = prepared(2, false, short()).expect("a recipe").model;
    let recipe = with(Head::Keep, Loss::SparseCategoricalCrossentropy);
    let one = prepare(
        Check::Decode,
        model.clone(),
        dataset(2, false),
        recipe,
        &Validation::Auto,
        0,
        Caching::default(),
        &silent,
    );
    refused(one, "an output for each class");
}

#[test]
fn a_head_that_pools_what_is_flat_already_is_trained_without_the_pooling() {
    for word in ["gap", "gmp", "flatten"] {
        let head: Head = format!("{word} dropout(0.2) dense(4,relu)").parse().expect("a head");
        let prepared = prepared(3, false, TrainConfig { head, ..short() }).expect("a recipe");
        let note = format!("`{word}` is left out");
        assert!(prepared.notes.iter().any(|n| n.contains(&note)), "{:?}", prepared.notes);
    }
    // where the kept output is spatial the words stay
    let head: Head = "gmp dense(4,relu)".parse().expect("a head");
    let keep = Some("batch_normalization_1".parse().expect("a cut"));
    let prepared = prepared(3, false, TrainConfig { head, keep, ..short() }).expect("a recipe");
    assert!(!prepared.notes.iter().any(|note| note.contains("left out")), "{:?}", prepared.notes);
    assert!(prepared.model.graph.counted_paths().iter().any(|path| path.contains("max_pooling")));
}

#[test]
fn a_class_weight_of_no_class_is_refused_before_the_training() {
    let with = |spec: &str| TrainConfig { class_weights: Some(spec.parse().expect("weights")), ..short() };
    refused(prepared(3, false, with("9=3")), "`9` is no class");
    prepared(3, false, with("2=3")).expect("a class");
}

#[test]
fn classes_of_files_that_are_matched_by_order_are_said() {
    let folder = tempfile::tempdir().expect("a folder");
    for class in ["ant", "bee"] {
        std::fs::create_dir(folder.path().join(class)).expect("a folder");
        for index in 0..6u8 {
            let picture = image::RgbImage::from_pixel(6, 6, image::Rgb([index * 20; 3]));
            picture.save(folder.path().join(format!("{class}/{index}.png"))).expect("a picture");
        }
    }
    let open = || data::open(folder.path()).expect("data");
    let with = |head| {
        let recipe = TrainConfig { head, ..short() };
        prepare(
            Check::Decode,
            backbone().clone(),
            open(),
            recipe,
            &Validation::Auto,
            0,
            Caching::default(),
            &silent,
        )
        .expect("a recipe")
    };
    let said = |note: &str| note.contains("3 outputs") && note.contains("alphabetical order");
    let kept = with(Head::Keep);
    assert!(kept.notes.iter().any(|note| said(note)), "{:?}", kept.notes);
    assert!(!with(Head::Output).notes.iter().any(|note| said(note)));
    let told = std::sync::Mutex::new(Vec::new());
    let observe = |event: &Event<'_>| {
        if let Event::Note(note) = event {
            told.lock().expect("notes").push((*note).to_owned());
        }
    };
    let (dataset, loss) = (open(), kept.setting.loss);
    let source = frostline::fit::Source { dataset: &dataset, pipeline: &kept.pipeline };
    evaluate(
        &PrefixDType::F32,
        &backbone(),
        source,
        &dataset.train,
        "train",
        &loss,
        &[Metric::Accuracy],
        &observe,
    )
    .expect("scores");
    assert!(told.lock().expect("notes").iter().any(|note| said(note)));
}
