//! What `train` is told is what it does.

use crate::run::{Folder, demo_data, demo_model, fails, golden, json, works};
use serde_json::{Value, json as value};

fn train(folder: &Folder, run: &str, flags: &[&str]) -> Value {
    let (model, data, run) = (demo_model(), demo_data(), folder.text(run));
    json(&[&["train", &model, &data, "-o", &run, "--epochs", "2"], flags].concat())
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(Value::as_str).collect()
}

const BACKBONE: [&str; 9] =
    ["conv_1", "conv_2", "conv_3", "flatten", "hidden", "pool_1", "pool_2", "pool_3", "scale"];

#[test]
fn the_record_says_what_was_reused_frozen_and_scored() {
    let folder = Folder::new();
    let record = train(&folder, "run", &[]);
    assert_eq!(record["classes"], value!(["Sandal", "Shirt"]));
    assert_eq!(record["images"], value!([160, 40, 900]));
    assert_eq!(record["boundary"], value!(["hidden"]));
    assert_eq!(names(&record["frozen"]), BACKBONE);
    assert_eq!(record["certificate"]["equal"], value!(true));
    assert_eq!(record["certificate"]["before"].as_object().expect("hashes").len(), 8);
    for part in ["train", "val", "test"] {
        assert!(record[part]["loss"].is_number() && record[part]["accuracy"].is_number(), "{part}");
    }
    let saved: Value =
        serde_json::from_slice(&std::fs::read(folder.path("run/run.json")).expect("a record")).expect("JSON");
    assert_eq!(saved, record);
}

#[test]
fn a_recipe_file_does_what_its_flags_do() {
    let folder = Folder::new();
    let text = r#"
        keep = "pool_3"
        head = "gap dropout(0.2) dense(8,relu)"
        optimizer = "sgd(momentum=0.9)"
        schedule = "cosine"
        weight-decay = 0.01
        label-smoothing = 0.1
        class-weights = "balanced"
        clip-norm = 1.0
        batch = 16
        patience = 3
        [[stage]]
        name = "head"
        epochs = 2
        lr = 0.01
        [[stage]]
        name = "fine-tune"
        unfreeze = 2
        epochs = 1
        lr = 0.001
        warm-up = true
    "#;
    std::fs::write(folder.path("recipe.toml"), text).expect("written");
    let (model, data) = (demo_model(), demo_data());
    let (recipe, runs) = (folder.text("recipe.toml"), [folder.text("a"), folder.text("b")]);
    let by_file = json(&["train", &model, &data, "-o", &runs[0], "--recipe", &recipe]);
    #[rustfmt::skip]
    let by_flags = json(&[
        "train", &model, &data, "-o", &runs[1], "--keep", "pool_3", "--head", "gap dropout(0.2) dense(8,relu)",
        "--optimizer", "sgd(momentum=0.9)", "--schedule", "cosine", "--weight-decay", "0.01",
        "--label-smoothing", "0.1", "--class-weights", "balanced", "--clip-norm", "1", "--batch", "16",
        "--patience", "3", "--epochs", "2", "--lr", "0.01", "--unfreeze", "2", "--fine-tune-epochs", "1",
    ]);
    for key in ["recipe", "frozen", "boundary", "train", "val", "test", "certificate"] {
        assert_eq!(by_file[key], by_flags[key], "{key}");
    }
    let bytes = |run: &str| std::fs::read(folder.path(run).join("model.keras")).expect("a model");
    assert!(bytes("a") == bytes("b"), "the models differ");
}

#[test]
fn a_recipe_with_a_mistake_names_it() {
    let folder = Folder::new();
    let (model, data, run, recipe) =
        (demo_model(), demo_data(), folder.text("run"), folder.text("recipe.toml"));
    for (text, word) in [
        ("[[stage]]\nname = \"a\"\nepochs = 1\nlr = 0.1\nunfreez = 1", "unfreez"),
        ("optimizer = \"adan\"\n[[stage]]\nname = \"a\"\nepochs = 1\nlr = 0.1", "adan"),
        ("batch = 8", "no stage"),
        ("batch = ", "recipe.toml"),
    ] {
        std::fs::write(&recipe, text).expect("written");
        crate::run::fails(&["train", &model, &data, "-o", &run, "--recipe", &recipe], &[word, &recipe]);
    }
}

#[test]
fn keeping_by_path_by_count_and_from_the_top_is_the_same() {
    let folder = Folder::new();
    let of = |run: &str, keep: &str| {
        let record = train(&folder, run, &["--keep", keep]);
        (record["frozen"].clone(), record["certificate"].clone(), record["test"].clone())
    };
    let by_path = of("a", "pool_2");
    assert_eq!(names(&by_path.0), ["conv_1", "conv_2", "pool_1", "pool_2", "scale"]);
    assert_eq!(by_path, of("b", "5"));
    assert_eq!(by_path, of("c", "-5"));
}

#[test]
fn exactly_the_layers_of_the_list_are_frozen() {
    let folder = Folder::new();
    let record = train(&folder, "run", &["--freeze", "conv_1, conv_3"]);
    assert_eq!(names(&record["frozen"]), ["conv_1", "conv_3"]);
    assert_eq!(record["certificate"]["equal"], value!(true));
    // conv_3 is frozen above conv_2, which trains: it is no part of the frozen prefix
    assert_eq!(record["boundary"], value!(["pool_1"]));
    let record = train(&folder, "none", &["--freeze", "none"]);
    assert_eq!(record["frozen"], value!([]));
    assert_eq!(record["stages"][0]["trained_parameters"], value!(22472 - 328 + 41));
}

#[test]
fn unfreezing_and_gradual_unfreezing_run_their_stages() {
    let folder = Folder::new();
    let record = train(&folder, "a", &["--unfreeze", "hidden", "--fine-tune-epochs", "1"]);
    let stages = record["stages"].as_array().expect("stages");
    assert_eq!(stages.len(), 2);
    assert_eq!(stages[1]["trained_parameters"], value!(11560 + 41));
    let record = train(&folder, "b", &["--gradual", "--fine-tune-epochs", "1"]);
    let stages = record["stages"].as_array().expect("stages");
    assert!(stages.len() >= 2 && stages[1]["name"] == "from hidden", "{stages:?}");
    // all but the last block that was tried were kept
    assert!(stages[..stages.len() - 1].iter().all(|stage| stage["kept"] == true), "{stages:?}");
}

#[test]
fn the_models_own_head_can_be_kept_and_trained_on() {
    let folder = Folder::new();
    let (first, second) = (folder.text("first"), folder.text("second"));
    works(&["train", &demo_model(), &demo_data(), "-o", &first, "--epochs", "2"]);
    let record = json(&["train", &first, &demo_data(), "-o", &second, "--head", "keep", "--epochs", "2"]);
    assert_eq!(record["classes"], value!(["Sandal", "Shirt"]));
    let paths = |run: &str| {
        let found = json(&["inspect", run]);
        found["layers"]
            .as_array()
            .expect("layers")
            .iter()
            .map(|layer| layer["path"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(paths(&first), paths(&second));
    // a head for eight classes is no head for two that are numbered otherwise: the labels index its own outputs
    let record = json(&[
        "train",
        &demo_model(),
        &demo_data(),
        "-o",
        &folder.text("third"),
        "--head",
        "keep",
        "--epochs",
        "1",
    ]);
    assert_eq!(record["recipe"]["head"], value!("keep"));
}

#[test]
fn one_seed_gives_one_result_whatever_the_threads_and_the_cache() {
    let folder = Folder::new();
    let with = |run: &str, flags: &[&str]| {
        let path = folder.text(run);
        let (model, data) = (demo_model(), demo_data());
        let fixed = [
            "train",
            &model,
            &data,
            "-o",
            &path,
            "--epochs",
            "1",
            "--unfreeze",
            "2",
            "--fine-tune-epochs",
            "1",
        ];
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_frostline"));
        let done = command
            .args(fixed)
            .args(flags)
            .env("XDG_CACHE_HOME", folder.path(run))
            .output()
            .expect("a process");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(folder.path(run).join("model.keras")).expect("a model")
    };
    let one = with("a", &["--threads", "1"]);
    assert!(one == with("b", &["--threads", "2"]), "two threads give another model");
    assert!(one == with("c", &["--threads", "3", "--no-cache"]), "without the cache the model is another");
    assert!(one == with("d", &["--cache-limit", "100kB"]), "with half a cache the model is another");
    assert!(one != with("e", &["--seed", "1"]), "the seed decides nothing");
}

#[test]
fn training_from_scratch_shares_no_weight_with_the_original() {
    let folder = Folder::new();
    let record = train(&folder, "run", &["--weights", "reinit"]);
    assert_eq!((&record["frozen"], &record["stages"][0]["name"]), (&value!([]), &value!("from scratch")));
}

#[test]
fn another_models_inputs_are_refused_with_both_shapes() {
    let folder = Folder::new();
    let run = folder.text("run");
    let ran = crate::run::frostline(&[
        "train",
        &golden("keras/dense.keras"),
        &demo_data(),
        "-o",
        &run,
        "--epochs",
        "1",
    ]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("784") && ran.stderr.contains("[11]"), "{}", ran.stderr);
}

#[test]
fn the_recipe_of_the_book_and_that_of_a_run_can_be_used() {
    let folder = Folder::new();
    let page =
        std::fs::read_to_string(crate::run::repository("docs/recipes.md")).expect("the page of recipes");
    let block = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a recipe");
    std::fs::write(folder.path("recipe.toml"), block).expect("written");
    let (model, data) = (demo_model(), demo_data());
    let train = |run: &str, recipe: &str| {
        let (run, recipe) = (folder.text(run), folder.text(recipe));
        json(&["train", &model, &data, "-o", &run, "--recipe", &recipe])
    };
    let first = train("first", "recipe.toml");
    assert_eq!(first["recipe"]["stage"][1]["lr"], value!(0.0001));
    assert_eq!(first["recipe"]["stage"][1]["unfreeze"], value!("2"));
    let again = train("again", "first/run.json");
    assert_eq!((&first["recipe"], &first["val"]), (&again["recipe"], &again["val"]));
}

#[test]
fn fewer_bits_are_scored_as_they_are_and_in_f32() {
    let folder = Folder::new();
    let record = train(&folder, "f32", &[]);
    assert_eq!(record["recipe"]["precision"], value!("f32"));
    assert_eq!(record["test_f32"], Value::Null);
    for precision in ["bf16", "int8"] {
        let record = train(&folder, precision, &["--precision", precision]);
        assert_eq!(record["recipe"]["precision"], value!(precision));
        let (rounded, exact) = (&record["test"]["loss"], &record["test_f32"]["loss"]);
        assert_ne!(rounded, exact);
        let evaluated = json(&["evaluate", &folder.text(precision), &demo_data()]);
        assert_eq!(&evaluated["loss"], exact, "the saved model is in f32");
    }
}

#[test]
fn int8_is_for_training_alone() {
    let (model, data) = (demo_model(), demo_data());
    fails(&["evaluate", &model, &data, "--precision", "int8"], &["training alone"]);
}

#[test]
fn a_rate_that_is_looked_for_is_told_with_its_curve() {
    let folder = Folder::new();
    let (model, data, run) = (demo_model(), demo_data(), folder.text("run"));
    // no flag but this says that the head is trained by steps
    let ran = works(&["train", &model, &data, "-o", &run, "--lr", "auto"]);
    assert!(ran.stdout.contains("rate   ") && ran.stderr.contains("the learning rate is"), "{}", ran.stdout);
    let record: Value =
        serde_json::from_slice(&std::fs::read(folder.path("run/run.json")).expect("a record")).expect("JSON");
    assert_eq!(record["recipe"]["lr"], value!("auto"));
    assert_eq!(record["stages"][0]["name"], value!("head"));
    let search = &record["lr_search"];
    let count = |key: &str| search[key].as_array().expect("a list").len();
    assert!(count("rates") > 20 && count("rates") == count("losses"));
    assert_eq!(search["rule"], value!("where the smoothed loss falls most steeply"));
    let metrics = std::fs::read_to_string(folder.path("run/metrics.jsonl")).expect("metrics");
    let first: Value = serde_json::from_str(metrics.lines().next().expect("an epoch")).expect("JSON");
    assert_eq!(first["learning_rate"], search["chosen"]);
    let recipe = folder.text("solved.toml");
    std::fs::write(&recipe, "solve = true\nlr = \"auto\"\n").expect("written");
    let other = folder.text("other");
    fails(&["train", &model, &data, "-o", &other, "--recipe", &recipe], &["has no learning rate"]);
}
