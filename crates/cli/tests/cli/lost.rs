//! Numbers that are none, files that are none, and errors of the system: nothing of it becomes an answer.

use crate::files::{floats, pack, pictures};
use crate::run::{Folder, demo_model, fails, frostline, is_no_run, works};
use std::process::Command;

/// The demo's model with NaN in every weight.
fn lost_model(folder: &Folder) -> String {
    let out = folder.text("lost.safetensors");
    works(&["convert", &demo_model(), "-o", &out]);
    let mut bytes = std::fs::read(&out).expect("a file");
    let header = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
    bytes[8 + header..].fill(0xff);
    std::fs::write(&out, bytes).expect("written");
    out
}

#[test]
fn a_model_of_weights_that_are_no_numbers_names_no_class() {
    let folder = Folder::new();
    pictures(&folder.path("data"), "dark", 6, 20);
    pictures(&folder.path("data"), "light", 6, 180);
    let (lost, data) = (lost_model(&folder), folder.text("data"));
    let photo = folder.text("data/dark/0.png");
    let warning = "hold NaN or infinity";
    for arguments in [vec!["predict", &lost, &photo], vec!["predict", "--json", &lost, &photo]] {
        fails(&arguments, &[warning, &lost, &photo, "no finite number, and no prediction"]);
    }
    fails(&["evaluate", &lost, &data], &[warning, "`dark/0.png` is no finite number"]);
    fails(&["evaluate", "--json", &lost, &data], &[warning]);
    assert!(works(&["inspect", &lost]).stderr.contains(warning));
    let run = folder.text("run");
    let arguments = ["train", &lost, &data, "-o", &run, "--epochs", "1", "--head", "keep"];
    let ran =
        fails(&arguments, &[warning, "no finite numbers from the beginning", "another copy of the model"]);
    assert!(!ran.stderr.contains("--lr"), "{}", ran.stderr);
    is_no_run(&folder.path("run"));
}

#[test]
fn a_batch_that_holds_no_numbers_is_refused_by_its_row() {
    let folder = Folder::new();
    let mut x = vec![0.5; 3 * 28 * 28];
    x[2 * 28 * 28 + 5] = f32::NAN;
    std::fs::write(folder.path("batch.npy"), floats(&[3, 28, 28], &x)).expect("written");
    fails(&["predict", &demo_model(), &folder.text("batch.npy")], &["row 2 of input 0 holds NaN"]);
}

#[test]
fn labels_that_become_equal_when_they_are_read_are_refused() {
    let folder = Folder::new();
    let words: Vec<u8> = [*b"caf\xe9", *b"caf\xe8", *b"caf\xe9", *b"caf\xe8"].concat();
    let arrays = [
        ("x_train.npy".to_owned(), floats(&[4, 28, 28], &[0.5; 4 * 28 * 28])),
        ("y_train.npy".to_owned(), crate::files::npy(&[4], "|S4", &words)),
    ];
    pack(&folder.path("data.npz"), &arrays);
    let run = folder.text("run");
    let npz = folder.text("data.npz");
    fails(&["train", &demo_model(), &npz, "-o", &run], &["`caf\\xe9` in row 0", "no UTF-8"]);
    std::fs::write(folder.path("list.csv"), b"path,label\na.png,caf\xe9\nb.png,caf\xe8\n").expect("written");
    let list = folder.text("list.csv");
    fails(&["train", &demo_model(), &list, "-o", &run], &["line 2 is no UTF-8", "save the list as UTF-8"]);
}

#[cfg(unix)]
mod of_the_system {
    use super::*;
    use std::os::unix::fs::symlink;

    fn data(folder: &Folder) -> String {
        for (class, brightness) in [("dark", 20), ("grey", 90), ("light", 180)] {
            pictures(&folder.path("data"), class, 30, brightness);
        }
        folder.text("data")
    }

    fn train<'a>(model: &'a str, data: &'a str, run: &'a str) -> Vec<&'a str> {
        vec!["train", model, data, "-o", run, "--epochs", "1", "--no-cache"]
    }

    #[test]
    fn a_class_folder_that_leads_nowhere_is_an_error() {
        let folder = Folder::new();
        let (data, run) = (data(&folder), folder.text("run"));
        std::fs::remove_dir_all(folder.path("data/grey")).expect("removed");
        symlink("/nonexistent/grey", folder.path("data/grey")).expect("a link");
        fails(&train(&demo_model(), &data, &run), &["/data/grey`", "is a link to `/nonexistent/grey`"]);
        is_no_run(&folder.path("run"));
    }

    #[test]
    fn a_file_that_cannot_be_read_though_it_is_there_is_not_called_damaged() {
        let folder = Folder::new();
        let (data, run) = (data(&folder), folder.text("run"));
        symlink("loop.png", folder.path("data/dark/loop.png")).expect("a link");
        fails(&train(&demo_model(), &data, &run), &["dark/loop.png`", "links lead in a circle"]);
        std::fs::remove_file(folder.path("data/dark/loop.png")).expect("removed");
        std::fs::create_dir(folder.path("x.jpg")).expect("a folder");
        let mut rows = "path,label\nx.jpg,dark\n".to_owned();
        for index in 0..5 {
            rows += &format!("data/dark/{index}.png,dark\ndata/light/{index}.png,light\n");
        }
        std::fs::write(folder.path("list.csv"), rows).expect("written");
        let list = folder.text("list.csv");
        fails(&train(&demo_model(), &list, &run), &["x.jpg`", "it is a folder"]);
        let mut cached =
            train(&demo_model(), &list, &run).iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
        cached.retain(|argument| argument != "--no-cache");
        fails(&cached, &["x.jpg`", "it is a folder"]);
        is_no_run(&folder.path("run"));
    }

    #[test]
    fn too_many_open_files_stop_a_training_and_leave_no_photo_out() {
        let folder = Folder::new();
        let (data, run) = (data(&folder), folder.text("run"));
        let binary = env!("CARGO_BIN_EXE_frostline");
        // one file at a time, on eight threads
        let script = format!(
            "ulimit -n 4; exec '{binary}' train '{}' '{data}' -o '{run}' --no-cache --epochs 1 --threads 8",
            demo_model()
        );
        let ran = Command::new("sh").args(["-c", &script]).output().expect("a shell");
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("Too many open files") && stderr.contains("ulimit -n"), "{stderr}");
        assert!(!stderr.contains("damaged"), "{stderr}");
        is_no_run(&folder.path("run"));
    }

    #[test]
    fn pipes_are_not_waited_for() {
        let folder = Folder::new();
        let (data, run) = (data(&folder), folder.text("run"));
        let pipe = |name: &str| {
            let made = Command::new("mkfifo").arg(folder.path(name)).status().expect("a process");
            assert!(made.success());
            folder.text(name)
        };
        pipe("data/dark/pipe.png");
        let ran = works(&train(&demo_model(), &data, &run));
        assert!(ran.stderr.contains("`dark/pipe.png` is a named pipe"), "{}", ran.stderr);
        let ran = works(&["predict", &run, &folder.text("data/dark")]);
        assert!(ran.stderr.contains("`pipe.png` is a named pipe"), "{}", ran.stderr);
        assert_eq!(ran.stdout.lines().count(), 30);
        let model = pipe("model.keras");
        fails(&["inspect", &model], &["model.keras`", "named pipe", "only regular files"]);
        let batch = pipe("batch.npy");
        fails(&["predict", &demo_model(), &batch], &["batch.npy`", "named pipe"]);
        let list = pipe("list.csv");
        fails(&train(&demo_model(), &list, &folder.text("other")), &["list.csv`", "named pipe"]);
        let photo = folder.text("data/dark/pipe.png");
        let ran = frostline(&["predict", &run, &photo]);
        assert!(ran.status == Some(1) && ran.stderr.contains("named pipe"), "{}", ran.stderr);
    }
}
