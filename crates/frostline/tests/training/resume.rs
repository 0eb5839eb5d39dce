//! A training that was stopped, at every step or after every epoch, ends with the bits of one that was not.

use crate::task::{backbone, bits, data_of, images, recipe, stage, write_npz};
use frostline::cache::FeatureCache;
use frostline::data;
use frostline::fit::{
    Caching, Check, Checkpoints, ClassWeights, Event, Every, GradualConfig, Head, Journal, LearningRates,
    OptimizerKind, ReusedStatistics, Schedule, SolveConfig, StageReport, Stop, TrainConfig, Trained,
    Validation, prepare,
};
use frostline::graph::{Model, Unfreeze};
use frostline::{Error, ErrorKind};
use std::path::Path;
use std::sync::Mutex;

/// What a training ends with; times are left out.
#[derive(Debug, PartialEq)]
struct End {
    weights: Vec<(String, Vec<u32>)>,
    epochs: Vec<String>,
    stages: Vec<StageReport>,
    trained: String,
}

/// Where a training is asked to stop.
#[derive(Clone, Copy, PartialEq)]
enum StopAt {
    Nowhere,
    Steps,
    Epochs,
}

struct Given<'a> {
    model: &'a Model,
    data: &'a Path,
    recipe: &'a TrainConfig,
    validation: &'a Validation,
    caching: Caching,
}

impl Given<'_> {
    /// Trains for as long as it is not stopped. Tells the epochs to `told`.
    fn once(&self, folder: &Path, at: StopAt, told: &Mutex<Vec<String>>) -> Result<(Model, Trained), Error> {
        let (recipe, caching) = (self.recipe.clone(), self.caching.clone());
        let dataset = data::open(self.data)?;
        let silent = |_: &Event<'_>| {};
        let mut prepared = prepare(
            Check::Decode,
            self.model.clone(),
            dataset,
            recipe,
            self.validation,
            3,
            caching,
            &silent,
        )?;
        let stop = Stop::default();
        let checkpoints = Checkpoints::new(folder).every(Every::Steps(1)).until(stop.clone());
        let journal = Journal::open(checkpoints, &prepared)?;
        assert_eq!(journal.notes(), [""; 0]);
        told.lock().expect("epochs").truncate(journal.resumed().map_or(0, |resumed| resumed.told));
        let trained = prepared.train_with(&journal, &|event| {
            match event {
                Event::Step { .. } if at == StopAt::Steps => stop.ask(),
                Event::Epoch(record) => {
                    let mut record = (*record).clone();
                    record.seconds = 0.0;
                    told.lock().expect("epochs").push(format!("{record:?}"));
                    if at == StopAt::Epochs {
                        stop.ask();
                    }
                }
                _ => {}
            }
            let files = std::fs::read_dir(folder).map_or(0, Iterator::count);
            assert!(files <= 2, "{files} checkpoints");
        })?;
        Ok((prepared.model, trained))
    }

    /// Trains to the end, however often that takes. Returns how often it was stopped, too.
    fn train(&self, at: StopAt) -> (End, usize) {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("checkpoint");
        let told = Mutex::new(Vec::new());
        for stopped in 0.. {
            match self.once(&folder, at, &told) {
                Ok((model, trained)) => {
                    // features in memory go with the process: what is kept of them is a cost, as time is
                    let is_on_disk = matches!(self.caching, Caching::Disk(_));
                    let without_times = |report: &StageReport| StageReport {
                        seconds: 0.0,
                        feature_bytes: if is_on_disk { report.feature_bytes } else { 0 },
                        ..report.clone()
                    };
                    let mut all = trained.clone();
                    let stages: Vec<StageReport> = trained.stages.iter().map(without_times).collect();
                    all.stages = stages.clone();
                    if let Some(head) = &mut all.solved {
                        head.seconds = 0.0;
                    }
                    if let Some(unfreezing) = &mut all.unfreezing {
                        unfreezing.seconds = 0.0;
                    }
                    let epochs = told.into_inner().expect("epochs");
                    let trained = format!("{all:?}");
                    return (End { weights: bits(&model), epochs, stages, trained }, stopped);
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Stopped, "{error}"),
            }
        }
        unreachable!("it ends")
    }

    /// Stopped after each step and after each epoch, it ends with what it ends with when it is not stopped.
    fn is_the_same_when_stopped(&self, what: &str) -> End {
        let (whole, never) = self.train(StopAt::Nowhere);
        assert_eq!(never, 0);
        for at in [StopAt::Steps, StopAt::Epochs] {
            let (parts, stopped) = self.train(at);
            let least = whole.epochs.iter().filter(|epoch| !epoch.contains("epoch: 0,")).count();
            assert!(stopped >= least, "{what}: stopped {stopped} times in {least} epochs");
            assert!(whole.weights == parts.weights, "{what}: the weights differ");
            assert_eq!(whole, parts, "{what}");
        }
        whole
    }
}

fn two_stages() -> TrainConfig {
    let second = frostline::fit::StageConfig { warm_up: true, ..stage(Unfreeze::Highest(3), 2, 0.01) };
    let head = Head::Layers("dropout(0.3) dense(4,relu)".to_owned());
    TrainConfig { head, ..recipe(vec![stage(Unfreeze::Nothing, 3, 0.02), second]) }
}

fn check(what: &str, recipe: &TrainConfig, validation: &Validation, caching: Caching) -> End {
    let (_folder, path) = data_of(3);
    Given { model: &backbone(), data: &path, recipe, validation, caching }.is_the_same_when_stopped(what)
}

fn held_out() -> Validation {
    Validation::Fraction(0.25)
}

#[test]
fn every_optimizer_and_every_schedule_goes_on_to_the_bit() {
    for optimizer in ["sgd", "sgd(momentum=0.9,nesterov=true)", "rmsprop", "adagrad", "adam", "adamw"] {
        for schedule in Schedule::EXAMPLES {
            let recipe = TrainConfig {
                optimizer: optimizer.parse::<OptimizerKind>().expect("known"),
                schedule: schedule.parse::<Schedule>().expect("known"),
                ..two_stages()
            };
            check(&format!("{optimizer} {schedule}"), &recipe, &held_out(), Caching::default());
        }
    }
}

#[test]
fn every_other_setting_goes_on_to_the_bit() {
    let base = two_stages();
    let settings = [
        (
            "augmented",
            TrainConfig { augment: "flip rotate(15)".parse().expect("known"), views: 2, ..base.clone() },
        ),
        (
            "patience",
            TrainConfig {
                patience: Some(1),
                schedule: "plateau(0.5,1)".parse().expect("known"),
                ..base.clone()
            },
        ),
        (
            "weights",
            TrainConfig {
                class_weights: Some("0=1.0,1=2.5".parse::<ClassWeights>().expect("known")),
                ..base.clone()
            },
        ),
        (
            "clipped",
            TrainConfig { clip_norm: Some(0.1), weight_decay: 0.01, label_smoothing: 0.1, ..base.clone() },
        ),
        ("rate", TrainConfig { learning_rates: LearningRates::Auto, ..base.clone() }),
        ("in order", TrainConfig { shuffle: false, batch: 5, ..base.clone() }),
        ("statistics", TrainConfig { batch_norm: Some(ReusedStatistics::Train), ..base.clone() }),
        ("scratch", TrainConfig { weights: frostline::fit::PretrainedWeights::Reinit, ..base.clone() }),
    ];
    for (what, recipe) in &settings {
        check(what, recipe, &held_out(), Caching::default());
        check(what, recipe, &Validation::Fraction(0.0), Caching::default());
        check(what, recipe, &held_out(), Caching::Nothing);
    }
}

#[test]
fn from_the_cache_on_disk_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = FeatureCache::new(folder.path(), 1 << 30);
    let augmented = TrainConfig { augment: "flip".parse().expect("known"), views: 3, ..two_stages() };
    for recipe in [two_stages(), augmented] {
        check("on disk", &recipe, &held_out(), Caching::Disk(cache.clone()));
    }
}

#[test]
fn on_one_thread_and_on_two() {
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| check("threads", &two_stages(), &held_out(), Caching::default()))
    };
    assert_eq!(on(1), on(2));
}

#[test]
fn gradual_unfreezing_goes_on_and_steps_back_to_the_same_weights() {
    let mut stepped_back = 0;
    for learning_rate in [1e-5, 0.01, 0.3] {
        let gradual = Some(GradualConfig { epochs: 2, learning_rate, backbone_lr_factor: 1.0 });
        let recipe = TrainConfig { gradual, ..recipe(vec![stage(Unfreeze::Nothing, 2, 0.02)]) };
        let end = check("gradual", &recipe, &held_out(), Caching::default());
        assert!(end.stages.len() > 1);
        stepped_back += end.stages.iter().filter(|stage| !stage.kept).count();
    }
    assert!(stepped_back > 0, "nothing was stepped back: the test says nothing of it");
}

/// 660 images: so many that `train` tries by itself whether training the highest block helps, also where a fifth is held out.
fn many() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("data.npz");
    let (pixels, mut labels) = images(660, 3, 1);
    // some labels are wrong, so that there is something to gain
    labels.iter_mut().step_by(7).for_each(|label| *label = (*label + 1) % 3);
    write_npz(&path, &[("x_train", &[660, 6, 6, 3][..], pixels)], &[("y_train", labels)]);
    (folder, path)
}

#[test]
fn a_solved_head_and_the_unfreezing_that_is_tried_go_on_to_the_bit() {
    let (_folder, path) = many();
    let solve = Some(SolveConfig { unfreeze: true, ..SolveConfig::default() });
    let gradual = Some(GradualConfig { epochs: 1, learning_rate: 0.01, backbone_lr_factor: 1.0 });
    let recipes = [
        ("tried", TrainConfig { solve: solve.clone(), batch: 64, ..recipe(Vec::new()) }),
        (
            "then a stage",
            TrainConfig {
                solve: solve.clone(),
                batch: 64,
                ..recipe(vec![stage(Unfreeze::Highest(3), 2, 0.01)])
            },
        ),
        ("then block by block", TrainConfig { solve, gradual, batch: 64, ..recipe(Vec::new()) }),
    ];
    let mut tried = 0;
    for (what, recipe) in &recipes {
        let model = backbone();
        let given = Given {
            model: &model,
            data: &path,
            recipe,
            validation: &Validation::Auto,
            caching: Caching::default(),
        };
        let end = given.is_the_same_when_stopped(what);
        tried += usize::from(end.trained.contains("unfreezing: Some"));
    }
    assert_eq!(tried, 2, "the unfreezing was not tried");
}

/// Trains until so many steps are done, and leaves checkpoints.
fn stopped_after(given: &Given<'_>, folder: &Path, steps: usize) {
    let told = Mutex::new(Vec::new());
    for _ in 0..steps {
        let error = given.once(folder, StopAt::Steps, &told).expect_err("stopped");
        assert_eq!(error.kind(), ErrorKind::Stopped);
    }
}

#[test]
fn a_damaged_checkpoint_is_noticed_and_the_one_before_is_used() {
    let ((_data, path), recipe) = (data_of(3), two_stages());
    let (model, validation) = (backbone(), held_out());
    let given = Given {
        model: &model,
        data: &path,
        recipe: &recipe,
        validation: &validation,
        caching: Caching::default(),
    };
    let (whole, _) = given.train(StopAt::Nowhere);
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("checkpoint");
    stopped_after(&given, &folder, 4);
    let newest = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        paths
    };
    let files = newest(&folder);
    assert_eq!(files.len(), 2);
    let mut bytes = std::fs::read(&files[1]).expect("a checkpoint");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(&files[1], &bytes).expect("written");
    let open = || {
        let dataset = data::open(&path).expect("data");
        let silent = |_: &Event<'_>| {};
        prepare(
            Check::Decode,
            model.clone(),
            dataset,
            recipe.clone(),
            &validation,
            3,
            Caching::default(),
            &silent,
        )
        .expect("a recipe")
    };
    let mut prepared = open();
    let journal = Journal::open(Checkpoints::new(&folder), &prepared).expect("the one before");
    let [note] = journal.notes() else { panic!("{:?}", journal.notes()) };
    assert!(note.contains("checksum") && note.contains("the checkpoint before it is used"), "{note}");
    prepared.train_with(&journal, &|_| {}).expect("trained");
    assert!(bits(&prepared.model) == whole.weights, "the weights differ");

    // where both are damaged, that is an error
    Checkpoints::remove(&folder).expect("removed");
    stopped_after(&given, &folder, 3);
    newest(&folder).iter().for_each(|file| std::fs::write(file, b"nothing").expect("written"));
    let error = Journal::open(Checkpoints::new(&folder), &open()).expect_err("damaged").to_string();
    assert!(error.contains("no checkpoint in it is whole") && error.contains("help: remove"), "{error}");
}

#[test]
fn a_checkpoint_of_another_training_is_refused_by_what_differs() {
    let ((_data, path), recipe) = (data_of(3), two_stages());
    let (model, validation) = (backbone(), held_out());
    let given = |recipe, data, validation, model| Given {
        model,
        data,
        recipe,
        validation,
        caching: Caching::default(),
    };
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("checkpoint");
    stopped_after(&given(&recipe, &path, &validation, &model), &folder, 4);
    let refused = |given: &Given<'_>, words: &[&str]| {
        let error = given.once(&folder, StopAt::Steps, &Mutex::default()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Setting);
        let text = error.to_string();
        assert!(text.contains("is of another training") && text.contains("help: "), "{text}");
        words.iter().for_each(|word| assert!(text.contains(word), "no {word} in {text}"));
    };
    let mut other = recipe.clone();
    other.stage[1].learning_rate = 0.005;
    other.batch = 4;
    let words = ["`lr` of `stage` 2 is 0.005, it was 0.01", "`batch` is 4, it was 8"];
    refused(&given(&other, &path, &validation, &model), &words);
    refused(&given(&recipe, &path, &Validation::Fraction(0.5), &model), &["the setting `val`"]);
    let changed = backbone();
    let (path_of, handle) = changed.weights.iter().next().expect("weights");
    let mut values = handle.get().data;
    values[0] += 1e-6;
    changed.weights.get(path_of).expect("there").set(&values);
    refused(&given(&recipe, &path, &validation, &changed), &["the model is another"]);
    let (_other, other_data) = data_of(3);
    let ((x, mut y), (x_val, y_val)) = (images(24, 3, 1), images(12, 3, 2));
    y.swap(0, 1);
    let inputs = [("x_train", &[24, 6, 6, 3][..], x), ("x_val", &[12, 6, 6, 3][..], x_val)];
    write_npz(&other_data, &inputs, &[("y_train", y), ("y_val", y_val)]);
    refused(&given(&recipe, &other_data, &validation, &model), &["the images or their labels"]);
    // what was begun goes on
    let told = Mutex::default();
    assert!(given(&recipe, &path, &validation, &model).once(&folder, StopAt::Nowhere, &told).is_ok());
}
