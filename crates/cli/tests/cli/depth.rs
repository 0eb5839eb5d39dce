//! `depth`, and `--keep auto`.

use serde_json::Value;

use crate::run::{Folder, demo_data, demo_model, fails, json, works};

#[test]
fn depth_scores_every_cut_and_recommends_one_of_them() {
    let (model, data) = (demo_model(), demo_data());
    let found = json(&["depth", &model, &data]);
    let scores = found["scores"].as_array().expect("scores");
    let cuts: Vec<&str> = scores.iter().filter_map(|score| score["cut"].as_str()).collect();
    assert_eq!(cuts, ["pool_1", "pool_2", "flatten", "hidden"]);
    assert!(cuts.contains(&found["recommended"].as_str().expect("a cut")));
    // two classes that the features of the first block tell apart already
    assert!(scores.iter().all(|score| score["probe"].as_f64().expect("a share") > 0.8), "{scores:?}");
    let table = works(&["depth", &model, &data]).stdout;
    assert!(cuts.iter().all(|cut| table.contains(cut)) && table.contains("<- keep"), "{table}");
    assert_eq!(found, json(&["depth", &model, &data]), "another run scores otherwise");

    let freezes = found["freezes"].as_array().expect("scores");
    let frozen: Vec<u64> = freezes.iter().filter_map(|score| score["frozen"].as_u64()).collect();
    assert!(frozen.is_sorted_by(|higher, lower| higher > lower) && frozen.last() == Some(&0), "{frozen:?}");
    // with the head alone the kernel is that of the probe
    let kept = scores.iter().find(|score| score["cut"] == found["recommended"]).expect("the cut");
    let [kernel, probe] = [&freezes[0], kept].map(|score| score["probe_error"].as_f64().expect("an error"));
    assert!(freezes[0]["from"].is_null() && (kernel - probe).abs() < 1e-9, "{kernel} for {probe}");
    assert!(freezes.iter().any(|score| score["from"] == found["unfreeze"]));
    // eight classes of clothes say much of two others
    let (leep, nce) = (found["head"]["leep"].as_f64(), found["head"]["nce"].as_f64());
    assert!(leep.is_some_and(|leep| leep > 0.5_f64.ln()) && nce.is_some_and(|nce| nce > 0.5_f64.ln()));
}

#[test]
fn cuts_are_those_that_are_named() {
    let (model, data) = (demo_model(), demo_data());
    let found = json(&["depth", &model, &data, "--cuts", "flatten,conv_2"]);
    let scores = found["scores"].as_array().expect("scores");
    let cuts: Vec<&str> = scores.iter().filter_map(|score| score["cut"].as_str()).collect();
    assert_eq!(cuts, ["conv_2", "flatten"]);
    let all = json(&["depth", &model, &data]);
    assert_eq!(scores[1], all["scores"][2], "the same cut scores otherwise beside others");
    fails(&["depth", &model, &data, "--cuts", "conv_9"], &["conv_9", "help:"]);
}

#[test]
fn train_says_what_it_keeps_of_its_own_accord() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let out = folder.text("run");
    let ran = works(&["train", &model, &data, "-o", &out, "--keep", "auto", "--epochs", "1"]);
    let recommended = json(&["depth", &model, &data])["recommended"].as_str().expect("a cut").to_owned();
    assert!(ran.stderr.contains(&format!("up to `{recommended}`")), "{}", ran.stderr);

    let auto = ["--keep", "auto", "--unfreeze", "auto", "--epochs", "1", "--fine-tune-epochs", "1"];
    let lower = folder.text("lower");
    let record = json(&[&["train", &model, &data, "-o", &lower], &auto[..]].concat());
    let from = &json(&["depth", &model, &data])["unfreeze"];
    let stages = record["recipe"]["stage"].as_array().expect("stages");
    assert_eq!(stages.get(1).map_or(&Value::Null, |stage| &stage["unfreeze"]), from);
    fails(
        &["train", &model, &data, "-o", &folder.text("other"), "--keep", "auto", "--head", "keep"],
        &["--head keep"],
    );
    for (flag, value) in [("--head", "keep"), ("--weights", "reinit")] {
        let other = folder.text("other");
        let arguments = ["train", &model, &data, "-o", &other, "--unfreeze", "auto", flag, value];
        fails(&arguments, &["--unfreeze auto", &format!("{flag} {value}"), "help:"]);
    }
}

#[test]
fn cuts_are_not_scored_by_numbers() {
    let folder = Folder::new();
    let list = folder.text("list.csv");
    std::fs::write(&list, "path,label\na.png,1.5\nb.png,2.5\n").expect("written");
    std::fs::write(folder.text("a.png"), b"x").expect("written");
    fails(&["depth", &demo_model(), &list], &["are numbers", "--keep LAYER"]);
}

/// All of a search but what a clock says.
pub(crate) fn table(mut document: Value) -> Value {
    let drop_cost = |arm: &mut Value| drop(arm.as_object_mut().expect("an arm").remove("cost"));
    document["arms"].as_array_mut().expect("arms").iter_mut().for_each(drop_cost);
    document["controls"].as_object_mut().expect("controls").values_mut().for_each(drop_cost);
    drop_cost(&mut document["verdict"]["recommended"]);
    document
}

#[test]
fn a_search_is_the_same_each_time_and_goes_on_where_it_was_ended() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let (one, other) = (folder.text("one"), folder.text("other"));
    let cache = folder.text("cache");
    let search = |out: &str, repeats: &str| {
        table(json(&["depth", &model, &data, "-o", out, "--repeats", repeats, "--cache", &cache]))
    };
    let found = search(&one, "2");
    for baseline in ["solved", "scratch", "probe", "full", "gradual"] {
        let scores = found["controls"][baseline]["scores"].as_array().expect("scores");
        assert_eq!(scores.len(), 2, "{baseline}");
    }
    let recommended = &found["verdict"]["recommended"];
    let layers = |key: &str| recommended[key].as_u64().unwrap_or_else(|| panic!("no {key} in {recommended}"));
    assert!(layers("frozen") <= layers("kept_layers"), "{recommended}");
    // a solved head has no epochs
    assert!(folder.path("one").join("metrics.jsonl").exists());
    // whether reuse helps is what the interval of the gain says, no more
    let low = found["verdict"]["over_scratch"]["ci"][0].as_f64().expect("a bound");
    assert_eq!(found["verdict"]["reuse_helps"].as_bool(), Some(low > 0.0));
    assert!(json(&["evaluate", &one, &data])["accuracy"].as_f64().expect("a share") > 0.8);
    let points = found["learning"]["curves"][0]["points"].as_array().expect("points");
    let images: Vec<u64> = points.iter().filter_map(|point| point["images"].as_u64()).collect();
    assert!(images.len() == 3 && images.is_sorted(), "{images:?}");

    // the page is whole, and loads nothing
    let page = std::fs::read_to_string(folder.path("one").join("report.html")).expect("a page");
    // six of the search, and two of the model that was written
    assert!(page.ends_with("</html>") && page.matches("<svg").count() == 8, "{page}");
    assert!(["http://", "https://", "<script", "url("].iter().all(|link| !page.contains(link)));
    assert_eq!(page.matches("src=\"").count(), page.matches("src=\"data:image/").count());
    assert!(page.contains("The model that was written") && page.contains("The worst mistakes"), "{page}");
    let name = recommended["name"].as_str().expect("a name");
    assert!(page.contains(name) && page.contains("reuse"), "{name}");
    let splits = std::fs::read(folder.path("one").join("splits.json")).expect("splits");
    let splits: Vec<Vec<String>> = serde_json::from_slice(&splits).expect("names");
    assert!(splits.len() == 2 && splits[0] != splits[1] && splits[0].len() == splits[1].len());

    // a search that a budget ended, and that was killed in the middle of a line when it went on
    json(&["depth", &model, &data, "-o", &other, "--repeats", "2", "--budget", "9", "--cache", &cache]);
    let path = folder.path("other").join("search.jsonl");
    let log = std::fs::read(&path).expect("a log");
    std::fs::write(&path, &log[..log.len() - 9]).expect("written");
    let seed = ["depth", &model, &data, "-o", &other, "--seed", "1", "--cache", &cache];
    fails(&seed, &["search.jsonl", "another folder with --output"]);
    assert_eq!(
        search(&other, "2"),
        found,
        "a search that goes on, and trains half anew, finds something else"
    );
    let again = ["depth", &model, &data, "-o", &other, "--cache", &cache];
    fails(&again, &["holds a finished run"]);
    // what a search has left is no place for another run
    std::fs::remove_file(folder.path("other").join("run.json")).expect("a record");
    fails(&["train", &model, &data, "-o", &other], &["holds other files"]);
}

#[test]
fn a_search_in_the_outcomes_of_the_whole_grid_is_as_if_it_had_trained() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let cache = folder.text("cache");
    let search = |out: &str, more: &[&str]| {
        let out = folder.text(out);
        let cuts = "pool_2,flatten,hidden";
        let arguments =
            ["depth", &model, &data, "-o", &out, "--repeats", "3", "--cuts", cuts, "--cache", &cache];
        table(json(&[&arguments[..], more].concat()))
    };
    let whole = search("grid", &["--exhaustive"]);
    let (found, arms) = (search("search", &[]), whole["arms"].as_array().expect("arms"));
    assert!(arms.iter().all(|arm| arm["scores"].as_array().is_some_and(|scores| scores.len() == 3)));
    let tried = found["arms"].as_array().expect("arms");
    assert!(tried.iter().any(|arm| arm["scores"].as_array().is_some_and(|scores| scores.len() == 2)));
    assert!(tried.iter().all(|arm| arms.iter().any(|other| other["name"] == arm["name"])));
    // two splits of training from scratch say here that reuse helps
    assert_eq!(found["controls"]["scratch"]["scores"].as_array().map(Vec::len), Some(2));

    std::fs::create_dir(folder.path("replay")).expect("a folder");
    std::fs::write(folder.path("replay").join("metrics.jsonl"), "").expect("written");
    let log = ["grid", "replay"].map(|name| folder.path(name).join("search.jsonl"));
    std::fs::copy(&log[0], &log[1]).expect("copied");
    assert_eq!(search("replay", &[]), found, "what the search would not have trained changes what it finds");
}

#[test]
fn a_search_without_time_says_that_it_knows_nothing() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let out = folder.text("run");
    let cache = folder.text("cache");
    let found =
        json(&["depth", &model, &data, "-o", &out, "--budget", "0s", "--cuts", "pool_1", "--cache", &cache]);
    assert!(found["verdict"]["reuse_helps"].is_null(), "{}", found["verdict"]);
    let text = found["verdict"]["text"].as_str().expect("words");
    assert!(text.contains("too few trainings") && text.contains("ended early"), "{text}");
    // what is compared with is the whole backbone, whatever is cut
    assert_eq!(found["scores"].as_array().map(Vec::len), Some(1));
    assert!(found["controls"]["probe"]["kept_layers"].as_u64() > found["scores"][0]["kept"].as_u64());
}

#[test]
fn a_budget_may_be_a_number_of_trainings() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let (out, cache) = (folder.text("run"), folder.text("cache"));
    let search = |budget: &str| {
        let ran = works(&["depth", &model, &data, "-o", &out, "--budget", budget, "--cache", &cache]);
        assert!(folder.path("run").join("run.json").exists());
        let log = std::fs::read_to_string(folder.path("run").join("search.jsonl")).expect("a log");
        assert!(ran.stdout.contains("ended early"), "{}", ran.stdout);
        let told = ran.stderr.lines().filter(|line| line.contains("] split 1: `")).count();
        [told, log.lines().count() - 1]
    };
    assert_eq!(search("3"), [3, 3]);
    assert_eq!(search("2"), [2, 5], "it goes on, and what was trained before is no part of the budget");
    fails(&["depth", &model, &data, "-o", &out, "--seed", "1", "--cache", &cache], &["search.jsonl"]);
    assert!(folder.path("run").join("run.json").exists(), "another search takes back what was found");
}
