//! `pull`, with a hub of our own: what comes is whole and what the hub said, or it is not there.

#[path = "pull/hub.rs"]
mod hub;

use crate::run::{Folder, Ran, command, demo_data, demo_model, works};
use hub::{COMMIT, Hub, Mood, Repository, hex};
use serde_json::Value;
use std::path::PathBuf;

const TOKEN: &str = "hf_secret_of_mine";

/// Runs `pull` against a hub; its models go to `folder`.
fn pull(endpoint: &str, folder: &Folder, arguments: &[&str]) -> Ran {
    let mut command = command(&[&["pull"], arguments].concat());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name);
    }
    command.env("HF_ENDPOINT", endpoint).env("HF_TOKEN", TOKEN).env("XDG_DATA_HOME", folder.path("data"));
    let output = command.output().expect("a process");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    let ran = Ran { status: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) };
    assert!(!ran.stdout.contains(TOKEN) && !ran.stderr.contains(TOKEN), "the token is told");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

fn pulls(endpoint: &str, folder: &Folder, arguments: &[&str]) -> Ran {
    let ran = pull(endpoint, folder, arguments);
    assert_eq!(ran.status, Some(0), "{}{}", ran.stdout, ran.stderr);
    ran
}

/// Fails with status 1, these words and what helps.
fn refuses(endpoint: &str, folder: &Folder, arguments: &[&str], words: &[&str]) {
    let ran = pull(endpoint, folder, arguments);
    assert_eq!((ran.status, &*ran.stdout), (Some(1), ""), "{}", ran.stderr);
    for word in words.iter().chain(&["\nhelp: "]) {
        assert!(ran.stderr.contains(word), "no {word} in:\n{}", ran.stderr);
    }
}

/// The textbook's model A.
fn model() -> Vec<u8> {
    std::fs::read(demo_model()).expect("model A")
}

fn repository() -> Repository {
    Repository::of(vec![("README.md", b"# A".to_vec()), ("model.h5", model())])
}

fn place(folder: &Folder, repository: &str) -> PathBuf {
    folder.path("data").join("frostline/models").join(repository).join(&COMMIT[..12])
}

/// All files below a folder, by name.
fn files(folder: &Folder) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.file_name().to_string_lossy().into_owned()),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_model_is_pulled_with_licence_and_checksum_and_is_a_model() {
    let (hub, folder) = (Hub::start(repository()), Folder::new());
    let ran = pulls(&hub.endpoint, &folder, &["some-one/a.model"]);
    let path = place(&folder, "some-one/a.model").join("model.h5");
    assert_eq!(std::fs::read(&path).expect("there"), model());
    let path = path.display().to_string();
    for word in ["apache-2.0", &hex(&model()), &path, "frostline train"] {
        assert!(ran.stdout.contains(word), "no {word} in:\n{}", ran.stdout);
    }
    works(&["inspect", &path]);
    // what is there is not brought again
    let brought = hub.asked_of_store().len();
    let again = pulls(&hub.endpoint, &folder, &["some-one/a.model"]);
    assert!(again.stdout.contains("was there already"), "{}", again.stdout);
    assert_eq!(hub.asked_of_store().len(), brought);
    // but where it is damaged
    std::fs::write(&path, b"damaged").expect("written");
    let again = pulls(&hub.endpoint, &folder, &["some-one/a.model"]);
    assert!(again.stderr.contains("is damaged"), "{}", again.stderr);
    assert_eq!(std::fs::read(&path).expect("there"), model());
}

#[test]
fn the_token_goes_to_the_hub_and_to_no_other_host() {
    let (hub, folder) = (Hub::start(repository()), Folder::new());
    pulls(&hub.endpoint, &folder, &["old/name"]);
    let own = hub.hub.lock().expect("the log").clone();
    assert!(
        own.len() >= 4 && own.iter().all(|asked| asked.token.as_deref() == Some(&format!("Bearer {TOKEN}"))),
        "{own:?}"
    );
    // the hub moved the repository, and the token went along
    assert!(own.iter().any(|asked| asked.path.starts_with("/api/models/new/")), "{own:?}");
    let store = hub.asked_of_store();
    assert!(!store.is_empty() && store.iter().all(|asked| asked.token.is_none()), "{store:?}");
    // nor to a hub that anyone on the way can listen to
    refuses("http://hub.invalid", &folder, &["a/b"], &["not encrypted", "unset HF_TOKEN"]);
}

#[test]
fn a_connection_that_breaks_goes_on_where_it_was() {
    let moods = vec![Mood::BreaksAfter(1000), Mood::BreaksAfter(5000), Mood::Well];
    let hub = Hub::start(Repository { moods, ..repository() });
    let folder = Folder::new();
    pulls(&hub.endpoint, &folder, &["a/b"]);
    assert_eq!(std::fs::read(place(&folder, "a/b").join("model.h5")).expect("there"), model());
    let ranges: Vec<Option<u64>> = hub.asked_of_store().iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [None, Some(1000), Some(6000)]);
}

#[test]
fn what_was_interrupted_goes_on_the_next_time() {
    let folder = Folder::new();
    // then nothing more comes
    let broken =
        Hub::start(Repository { moods: vec![Mood::BreaksAfter(2000), Mood::BreaksAfter(0)], ..repository() });
    refuses(&broken.endpoint, &folder, &["a/b"], &["model.h5", "broke off after 2.0 KiB", "goes on there"]);
    assert!(!place(&folder, "a/b").join("model.h5").exists());
    assert_eq!(files(&folder).len(), 1);
    let hub = Hub::start(repository());
    let ran = pulls(&hub.endpoint, &folder, &["a/b"]);
    assert!(ran.stderr.contains("goes on"), "{}", ran.stderr);
    let ranges: Vec<Option<u64>> = hub.asked_of_store().iter().map(|asked| asked.range).collect();
    assert_eq!(ranges, [Some(2000)]);
    assert_eq!(files(&folder), ["model.h5"]);
    assert_eq!(std::fs::read(place(&folder, "a/b").join("model.h5")).expect("there"), model());
}

#[test]
fn a_host_that_knows_no_ranges_or_sends_others_is_no_trap() {
    for mood in [Mood::NoRanges, Mood::OtherRange] {
        let hub =
            Hub::start(Repository { moods: vec![Mood::BreaksAfter(3000), mood, Mood::Well], ..repository() });
        let folder = Folder::new();
        pulls(&hub.endpoint, &folder, &["a/b"]);
        assert_eq!(
            std::fs::read(place(&folder, "a/b").join("model.h5")).expect("there"),
            model(),
            "{mood:?}"
        );
    }
}

#[test]
fn a_length_that_is_wrong_is_no_trap() {
    for more in [-500, 500] {
        let hub = Hub::start(Repository { moods: vec![Mood::SaysMore(more), Mood::Well], ..repository() });
        let folder = Folder::new();
        pulls(&hub.endpoint, &folder, &["a/b"]);
        assert_eq!(std::fs::read(place(&folder, "a/b").join("model.h5")).expect("there"), model(), "{more}");
    }
}

#[test]
fn another_checksum_than_the_hub_says_leaves_nothing_behind() {
    let hub = Hub::start(Repository { lies: Some(hex(b"something else")), ..repository() });
    let folder = Folder::new();
    let words = [hex(&model()), hex(b"something else"), "nothing of it was kept".to_owned()];
    refuses(&hub.endpoint, &folder, &["a/b"], &words.each_ref().map(String::as_str));
    assert_eq!(files(&folder), Vec::<String>::new());
}

#[test]
fn a_file_of_another_is_not_written_over() {
    let (hub, folder) = (Hub::start(repository()), Folder::new());
    std::fs::create_dir(folder.path("mine")).expect("a folder");
    std::fs::write(folder.path("mine/model.h5"), b"mine").expect("written");
    let mine = folder.text("mine");
    refuses(
        &hub.endpoint,
        &folder,
        &["a/b", "-o", &mine],
        &["model.h5", "another file", "another folder with -o"],
    );
    assert_eq!(std::fs::read(folder.path("mine/model.h5")).expect("there"), b"mine");
    let other = folder.text("other");
    let ran = pulls(&hub.endpoint, &folder, &["a/b", "-o", &other, "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(told["model"], folder.text("other/model.h5"));
    assert_eq!((&told["licence"], &told["commit"]), (&"apache-2.0".into(), &COMMIT.into()));
    assert_eq!(
        (&told["verified"], &told["checksum"]),
        (&true.into(), &format!("sha256 {}", hex(&model())).into())
    );
}

#[test]
fn refusals_say_what_to_do() {
    for (status, code, words) in [
        (401, "RepoNotFound", &["not there, or is private", "HF_TOKEN"][..]),
        (401, "", &["not there, or is private", "HF_TOKEN"]),
        (403, "GatedRepo", &["accept its terms", "HF_TOKEN"]),
        (404, "RevisionNotFound", &["no revision `main`", "branches"]),
        (404, "", &["status 404"]),
        (429, "", &["status 429", "after 77 s"]),
        (500, "", &["status 500", "try later"]),
    ] {
        let hub = Hub::start(Repository { refuses: Some((status, code)), ..repository() });
        refuses(&hub.endpoint, &Folder::new(), &["a/b"], words);
    }
    let hub = Hub::start(repository());
    refuses(&hub.endpoint, &Folder::new(), &["a/b:other.h5"], &["no file `other.h5`", "`model.h5`"]);
}

#[test]
fn offline_says_so_and_names_what_was_pulled_before() {
    let folder = Folder::new();
    let nobody =
        { std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address") };
    let nobody = format!("http://{nobody}");
    refuses(&nobody, &folder, &["a/b"], &["`127.0.0.1` cannot be reached", "check the connection"]);
    pulls(&Hub::start(repository()).endpoint, &folder, &["a/b"]);
    let path = place(&folder, "a/b").join("model.h5").display().to_string();
    refuses(&nobody, &folder, &["a/b"], &["cannot be reached", "pulled before", &path]);
}

/// A state dict of these shapes, all zeros.
fn state_dict(golden: &str) -> Vec<u8> {
    let golden = std::fs::read(crate::run::golden(golden)).expect("a golden file");
    let golden: Value = serde_json::from_slice(&golden).expect("JSON");
    let (mut head, mut at) = (serde_json::Map::new(), 0);
    for (name, shape) in golden["tensors"].as_object().expect("tensors") {
        let count: u64 =
            shape.as_array().expect("a shape").iter().map(|side| side.as_u64().expect("a side")).product();
        let (dtype, bytes) = if name.ends_with("num_batches_tracked") { ("I64", 8) } else { ("F32", 4) };
        let end = at + bytes * count;
        head.insert(
            name.clone(),
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [at, end]}),
        );
        at = end;
    }
    let head = Value::Object(head).to_string();
    let mut file = (head.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(head.as_bytes());
    file.resize(file.len() + at as usize, 0);
    file
}

#[test]
fn weights_of_timm_come_with_their_configuration_and_need_no_arch() {
    let config = br#"{"architecture": "mobilenetv3_small_100", "num_classes": 10}"#.to_vec();
    let files = vec![
        ("config.json", config),
        ("model.safetensors", state_dict("torch/timm-mobilenetv3_small_100.json")),
    ];
    let (hub, folder) = (Hub::start(Repository::of(files)), Folder::new());
    let ran = pulls(&hub.endpoint, &folder, &["timm/mobilenetv3_small_100.lamb_in1k", "--json"]);
    let told: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let path = told["model"].as_str().expect("a path");
    assert!(std::path::Path::new(told["config"].as_str().expect("a path")).exists());
    let ran = works(&["inspect", path]);
    assert!(ran.stdout.contains("conv_stem"), "{}", ran.stdout);
}

#[test]
fn what_cannot_be_read_is_refused_before_it_is_downloaded() {
    let config = br#"{"architecture": "eva02_large_patch14_448"}"#.to_vec();
    let files = vec![("config.json", config), ("model.safetensors", vec![0; 100])];
    let hub = Hub::start(Repository::of(files));
    let name = "timm/eva02_large_patch14_448.mim_in22k_ft_in1k";
    refuses(&hub.endpoint, &Folder::new(), &[name], &["eva02_large_patch14_448", "models --all", "ONNX"]);
    assert!(hub.asked_of_store().is_empty());
    let config = br#"{"module": "keras_hub.src.models.resnet.resnet_backbone"}"#.to_vec();
    let hub = Hub::start(Repository::of(vec![("config.json", config), ("model.weights.h5", vec![0; 100])]));
    refuses(&hub.endpoint, &Folder::new(), &["keras/resnet_50_imagenet"], &["KerasHub"]);
}

#[test]
fn a_card_without_a_licence_is_told() {
    let hub = Hub::start(Repository { card: Value::Null, ..repository() });
    let ran = pulls(&hub.endpoint, &Folder::new(), &["a/b"]);
    assert!(ran.stdout.contains("names none"), "{}", ran.stdout);
}

#[test]
fn a_name_of_the_hub_in_the_place_of_a_model_says_how_to_get_it() {
    let folder = Folder::new();
    let arguments = ["train", "timm/resnet50.a1_in1k", &demo_data(), "-o", &folder.text("run")];
    crate::run::fails(
        &arguments,
        &["`timm/resnet50.a1_in1k` is no file here", "frostline pull timm/resnet50.a1_in1k"],
    );
    let ran = crate::run::frostline(&["pull", "resnet50"]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.contains("timm/resnet50.a1_in1k"), "{}", ran.stderr);
}
