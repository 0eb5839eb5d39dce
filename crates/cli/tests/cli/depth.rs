//! `depth`, and `--keep auto`.

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
}

#[test]
fn train_says_what_it_keeps_of_its_own_accord() {
    let (folder, model, data) = (Folder::new(), demo_model(), demo_data());
    let out = folder.text("run");
    let ran = works(&["train", &model, &data, "-o", &out, "--keep", "auto", "--epochs", "1"]);
    let recommended = json(&["depth", &model, &data])["recommended"].as_str().expect("a cut").to_owned();
    assert!(ran.stderr.contains(&format!("up to `{recommended}`")), "{}", ran.stderr);
    fails(
        &["train", &model, &data, "-o", &folder.text("other"), "--keep", "auto", "--head", "keep"],
        &["--head keep"],
    );
}

#[test]
fn cuts_are_not_scored_by_numbers() {
    let folder = Folder::new();
    let list = folder.text("list.csv");
    std::fs::write(&list, "path,label\na.png,1.5\nb.png,2.5\n").expect("written");
    fails(&["depth", &demo_model(), &list], &["are numbers", "--keep LAYER"]);
}
