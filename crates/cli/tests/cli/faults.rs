//! Files that are made to break what reads them.

use crate::files::{integers, npy, pack, pictures, unpack};
use crate::run::{Folder, demo_model, fails, frostline, golden, json, works};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use std::io::Write;
use std::path::Path;

/// A chunk of a PNG.
fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [kind.as_slice(), data].concat();
    let crc = !named.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 },
        )
    });
    [&(data.len() as u32).to_be_bytes(), named.as_slice(), &crc.to_be_bytes()].concat()
}

/// A picture of one pixel whose palette has so many bytes: three for each colour.
fn palette(path: &Path, bytes: usize) {
    let size = [0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0];
    let pixel = [0x78, 0x01, 0x63, 0x60, 0x00, 0x00, 0x00, 0x02, 0x00, 0x01];
    let chunks =
        [chunk(b"IHDR", &size), chunk(b"PLTE", &vec![9; bytes]), chunk(b"IDAT", &pixel), chunk(b"IEND", &[])];
    std::fs::write(path, [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()).expect("written");
}

#[test]
fn a_palette_of_a_part_of_a_colour_is_a_damaged_picture() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 12, 10);
    pictures(&folder.path("photos"), "light", 12, 200);
    palette(&folder.path("photos/dark/whole.png"), 6);
    palette(&folder.path("photos/dark/part.png"), 5);
    let (photos, run) = (folder.text("photos"), folder.text("run"));
    let ran = works(&["train", &demo_model(), &photos, "-o", &run, "--no-cache", "--epochs", "1"]);
    assert!(ran.stderr.contains("part.png") && !ran.stderr.contains("whole.png"), "{}", ran.stderr);
    let ran = frostline(&["predict", &run, &folder.text("photos/dark/part.png")]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("part.png`: is damaged"), "{}", ran.stderr);
}

/// An archive whose entries are compressed.
fn compressed(path: &Path, entries: &[(&str, &[u8])]) {
    let mut archive = zip::ZipWriter::new(std::fs::File::create(path).expect("a file"));
    let options = zip::write::SimpleFileOptions::default();
    for (name, bytes) in entries {
        archive.start_file(*name, options).expect("an entry");
        archive.write_all(bytes).expect("written");
    }
    archive.finish().expect("an archive");
}

#[test]
fn small_files_that_unpack_to_large_ones_are_refused() {
    let folder = Folder::new();
    let zeros = vec![0; 70 << 20];
    let config = br#"{"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": []}}"#;
    let whole = folder.path("bomb.keras");
    compressed(&whole, &[("config.json", config), ("model.weights.h5", &zeros)]);
    fails(
        &["inspect", &folder.text("bomb.keras")],
        &["`model.weights.h5`", "unpacks to 73400320", "help: do not trust"],
    );
}

#[test]
fn a_profile_of_colours_takes_no_more_memory_than_a_picture() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 12, 10);
    pictures(&folder.path("photos"), "light", 12, 200);
    let mut picture = Vec::new();
    let mut encoder = PngEncoder::new(&mut picture);
    encoder.set_icc_profile(vec![0; 300 << 20]).expect("a profile");
    encoder.write_image(&[7; 28 * 28], 28, 28, ExtendedColorType::L8).expect("a picture");
    std::fs::write(folder.path("photos/dark/profile.png"), picture).expect("written");
    let (photos, run) = (folder.text("photos"), folder.text("run"));
    let record = json(&["train", &demo_model(), &photos, "-o", &run, "--no-cache", "--epochs", "1"]);
    let peak = record["peak_bytes"].as_u64().expect("bytes");
    assert!(peak < 200 << 20, "{peak} bytes");
}

#[test]
fn arrays_that_nobody_asked_for_are_not_unpacked() {
    let folder = Folder::new();
    let pixels = npy(&[4, 28, 28], "|u1", &[9; 4 * 28 * 28]);
    let entries =
        [("x_train.npy", &*pixels), ("y_train.npy", &integers(&[0, 1, 0, 1])), ("other.npy", b"no array")];
    compressed(&folder.path("data.npz"), &entries);
    let ran = works(&["plan", &demo_model(), &folder.text("data.npz")]);
    assert!(ran.stderr.contains("other") && ran.stderr.contains("left out"), "{}", ran.stderr);
}

#[test]
fn texts_of_no_characters_take_no_memory() {
    let folder = Folder::new();
    for kind in ["<U0", "|S0"] {
        std::fs::write(folder.path("many.npy"), npy(&[1 << 40], kind, &[])).expect("written");
        fails(&["predict", &demo_model(), &folder.text("many.npy")], &["many.npy"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn paths_need_not_be_utf_8() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new();
    pictures(&folder.path("photos"), "dark", 12, 10);
    pictures(&folder.path("photos"), "light", 12, 200);
    let odd = |name: &[u8]| folder.path("").join(OsStr::from_bytes(name));
    let (photos, run) = (odd(b"d\xff"), odd(b"r\xfe"));
    std::fs::rename(folder.path("photos"), &photos).expect("renamed");
    let model = demo_model();
    let arguments =
        [OsStr::new("train"), OsStr::new(&model), photos.as_os_str(), OsStr::new("-o"), run.as_os_str()];
    works(&[&arguments[..], &["--epochs", "1", "--no-cache", "--json"].map(OsStr::new)].concat());
    let text = std::fs::read_to_string(run.join("run.json")).expect("the record");
    let record: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert!(record["source"]["data"].as_str().expect("a path").ends_with("d\\xff"), "{}", record["source"]);
    works(&[OsStr::new("predict"), run.as_os_str(), photos.join("dark/1.png").as_os_str()]);
    let out = odd(b"m\xfd.onnx");
    works(&[OsStr::new("convert"), run.as_os_str(), OsStr::new("-o"), out.as_os_str(), OsStr::new("--json")]);
}

/// A model that calls a model eight times, and so on: eight to the power of the levels in a file that grows with the levels.
#[test]
fn models_that_call_models_are_followed_so_often() {
    let folder = Folder::new();
    let input = |name: &str| {
        format!(
            r#"{{"class_name":"InputLayer","name":"{name}","config":{{"name":"{name}","batch_shape":[null,4]}},"inbound_nodes":[]}}"#
        )
    };
    let on = |layer: &str, node: usize| {
        format!(
            r#"{{"args":[{{"class_name":"__keras_tensor__","config":{{"shape":[null,4],"dtype":"float32","keras_history":["{layer}",{node},0]}}}}],"kwargs":{{}}}}"#
        )
    };
    let mut inner = r#"{"class_name":"ReLU","name":"inner","config":{"name":"inner"},"#.to_owned();
    for level in 0..12 {
        let first = on("in", 0);
        let calls = (0..8).map(|call| if call == 0 { first.clone() } else { on("inner", call - 1) });
        let calls = calls.collect::<Vec<_>>().join(",");
        let name = if level == 11 { "whole" } else { "inner" };
        inner = format!(
            r#"{{"class_name":"Functional","module":"keras.src.models.functional","name":"{name}","config":{{"name":"{name}","layers":[{},{inner}"inbound_nodes":[{calls}]}}],"input_layers":[["in",0,0]],"output_layers":[["inner",7,0]]}},"#,
            input("in")
        );
    }
    let config = format!("{}}}", inner.trim_end_matches(','));
    let mut entries = unpack(&golden("keras/nested_in_sequential.keras"));
    entries.iter_mut().find(|(name, _)| name == "config.json").expect("a config").1 = config.into_bytes();
    pack(&folder.path("busy.keras"), &entries);
    fails(&["inspect", &folder.text("busy.keras")], &["busy.keras", "at most 65536"]);
}

#[test]
fn names_do_not_steer_the_terminal() {
    let folder = Folder::new();
    pictures(&folder.path("photos"), "\u{1b}[31mdark\u{7}", 12, 10);
    pictures(&folder.path("photos"), "light\u{202e}\nother", 12, 200);
    let (photos, run) = (folder.text("photos"), folder.text("run"));
    let mut all = works(&["train", &demo_model(), &photos, "-o", &run, "--no-cache", "--epochs", "1"]);
    for arguments in [
        vec!["inspect", run.as_str()],
        vec!["evaluate", &run, &photos],
        vec!["predict", &run, &photos],
        vec!["predict", &run, &photos, "--json"],
        vec!["inspect", "\u{1b}[31mno\u{9b}.keras"],
    ] {
        let ran = frostline(&arguments);
        all.stdout.push_str(&ran.stdout);
        all.stderr.push_str(&ran.stderr);
    }
    for said in [&all.stdout, &all.stderr] {
        let raw = said.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
        assert_eq!(raw, None, "{said}");
    }
    assert!(
        all.stdout.contains("\\u001b[31mdark\\u0007") && !all.stdout.contains("\nother"),
        "{}",
        all.stdout
    );
}
