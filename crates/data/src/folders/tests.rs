use super::*;
use crate::Split;

fn tree(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if !file.ends_with('/') {
            std::fs::write(path, b"x").unwrap();
        }
    }
    folder
}

fn opened(files: &[&str]) -> Dataset {
    crate::open(tree(files).path()).unwrap()
}

fn refused(files: &[&str]) -> String {
    crate::open(tree(files).path()).unwrap_err().to_string()
}

/// How many examples of train, val and test there are.
fn counts(dataset: &Dataset) -> [usize; 3] {
    Split::ALL.map(|split| dataset.split(split).len())
}

fn warned(dataset: &Dataset, words: &str) {
    assert!(
        dataset.warnings.iter().any(|warning| warning.contains(words)),
        "no `{words}` in {:?}",
        dataset.warnings
    );
}

#[test]
fn class_folders_are_classes_in_the_order_of_their_names() {
    let dataset = opened(&["dog/2.png", "cat/b.JPG", "cat/sub/a.jpeg", "dog/notes.txt", ".git/x.png"]);
    assert_eq!(dataset.classes, ["cat", "dog"]);
    let names: Vec<&str> = dataset.train.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["cat/b.JPG", "cat/sub/a.jpeg", "dog/2.png"]);
    assert!(dataset.warnings[0].contains("1 files"), "{:?}", dataset.warnings);
    assert!(dataset.warnings[0].contains("`dog/notes.txt`"), "{:?}", dataset.warnings);
}

#[test]
fn splits_share_the_classes_of_train() {
    let folder = tree(&["train/a/1.png", "train/b/1.png", "valid/b/2.png", "test/a/3.png"]);
    let dataset = crate::open(folder.path()).unwrap();
    assert_eq!(dataset.val.as_ref().unwrap()[0].target, Target::Class(1));
    assert_eq!(dataset.test.as_ref().unwrap()[0].target, Target::Class(0));
    let error = refused(&["train/a/1.png", "train/b/1.png", "test/c/3.png"]);
    assert!(error.contains("`c` is not among") && error.contains("help:"), "{error}");
}

#[test]
fn a_class_of_trains_is_no_training_split() {
    let dataset = opened(&["car/1.png", "train/1.png", "val/1.png"]);
    assert_eq!(dataset.classes, ["car", "train", "val"]);
    assert_eq!((dataset.train.len(), dataset.val.is_none()), (3, true));
    warned(&dataset, "`train` lies beside other class folders");
    warned(&dataset, "`val` lies beside other class folders");
    let dataset = opened(&["extra/1.png", "train/a/1.png", "train/b/1.png"]);
    assert_eq!(dataset.classes, ["a", "b"]);
    assert!(dataset.warnings[0].contains("extra"), "{:?}", dataset.warnings);
}

#[test]
fn a_class_that_a_model_knows_is_a_class_whatever_its_name() {
    let folder = tree(&["car/1.png", "test/1.png"]);
    let classes = ["car", "test"].map(str::to_owned);
    let dataset = crate::open_for(folder.path(), &classes).unwrap();
    assert_eq!((counts(&dataset), dataset.warnings.len()), ([2, 0, 0], 0));
}

#[test]
fn parts_are_parts_however_their_folders_are_written() {
    for [train, val, test] in [
        ["Training", "Validation", "Testing"],
        ["training_set", "dev_set", "test_set"],
        ["train_data", "val_data", "holdout"],
        ["Train Images", "valid-images", "eval"],
        ["seg_train", "seg_dev", "seg_test"],
    ] {
        let photo_path = |part: &str, file: &str| format!("{part}/{file}.png");
        let files = [
            photo_path(train, "a/1"),
            photo_path(train, "b/1"),
            photo_path(train, "b/2"),
            photo_path(val, "a/3"),
            photo_path(test, "b/4"),
        ];
        let dataset = opened(&files.each_ref().map(String::as_str));
        assert_eq!((dataset.classes.join(" "), counts(&dataset)), ("a b".to_owned(), [3, 1, 1]), "{train}");
        assert!(dataset.has_parts);
    }
}

#[test]
fn two_folders_of_one_part_and_parts_without_a_training_one_are_errors() {
    let error = refused(&["train/a/1.png", "Training/b/1.png"]);
    assert!(error.contains("has both `Training` and `train`"), "{error}");
    let error = refused(&["Testing/a/1.png", "Testing/b/1.png"]);
    assert!(error.contains("has `Testing` but no `train`"), "{error}");
    let error = refused(&["Testing/a/1.png", "Testing/b/1.png", "one/a/1.png", "one/b/1.png"]);
    assert!(error.contains("rename `one` to `train`"), "{error}");
}

#[test]
fn a_test_folder_beside_the_classes_is_the_test_part_or_is_left_out_with_a_word() {
    let dataset = opened(&["cat/1.png", "dog/1.png", "test/cat/2.png", "test/dog/2.png"]);
    assert_eq!((dataset.classes.join(" "), counts(&dataset)), ("cat dog".to_owned(), [2, 0, 2]));
    let dataset = opened(&["cat/1.png", "dog/1.png", "test/2.png"]);
    assert_eq!((dataset.classes.join(" "), counts(&dataset)), ("cat dog".to_owned(), [2, 0, 0]));
    warned(&dataset, "test` holds 1 photos and no class folder");
    let dataset = opened(&["cat/1.png", "dog/1.png", "test/unknown/2.png"]);
    assert_eq!(counts(&dataset), [2, 0, 0]);
    warned(&dataset, "`test` is left out: its folders (`unknown`)");
    let dataset = opened(&["train/cat/1.png", "train/dog/1.png", "test/2.png"]);
    assert_eq!(counts(&dataset), [2, 0, 0]);
    warned(&dataset, "test` holds 1 photos and no class folder");
    // where a class is lost by it, the error says how
    let error = refused(&["control/1.png", "test/1.png"]);
    assert!(error.contains("one class, `control`") && error.contains("give it another name"), "{error}");
}

#[test]
fn folders_of_the_same_names_in_what_is_read_as_classes_are_told() {
    let files = ["fold1/cat/1.png", "fold1/dog/1.png", "fold2/cat/2.png", "fold2/dog/2.png"];
    let dataset = opened(&files);
    assert_eq!(dataset.classes, ["fold1", "fold2"]);
    warned(&dataset, "`fold1` and `fold2` are taken for classes, but both hold the folders `cat`, `dog`");
    let error = refused(&["cat/train/1.png", "cat/test/2.png", "dog/train/1.png", "dog/test/1.png"]);
    assert!(error.contains("each hold parts of their own"), "{error}");
    let error = refused(&["photos/cat/1.png", "photos/dog/1.png"]);
    assert!(error.contains("one class, `photos`") && error.contains("/photos`"), "{error}");
    let error = refused(&["train/train/cat/1.png", "train/train/dog/1.png"]);
    assert!(error.contains("one class, `train`") && error.contains("/train/train`"), "{error}");
}

#[test]
fn folders_without_a_photo_are_left_out_and_those_of_systems_without_a_word() {
    let files = ["a/1.png", "b/1.png", "c/notes.txt", "d/e/", "__MACOSX/a/._1.png", "@eaDir/1.png"];
    let dataset = opened(&[&files[..], &[".ipynb_checkpoints/1.png", "a/@eaDir/1.png/x.jpg"]].concat());
    assert_eq!((dataset.classes.join(" "), counts(&dataset)), ("a b".to_owned(), [2, 0, 0]));
    assert_eq!(dataset.warnings.len(), 2, "{:?}", dataset.warnings);
    warned(&dataset, "/c` holds no photo, only 1 files");
    warned(&dataset, "/d` holds no photo: it is left out");
    let dataset = opened(&["train/a/1.png", "train/b/1.png", "train/c/d/", "val/a/1.png", "val/b/d/"]);
    warned(&dataset, "/train/c` holds no photo");
    warned(&dataset, "/val/b` holds no photo");
}

#[test]
fn an_empty_class_and_a_single_class_are_errors() {
    let error = refused(&["a/1.png", "b/c/"]);
    assert!(error.contains("/b`") && error.contains("holds no photo"), "{error}");
    let error = refused(&["a/1.png"]);
    assert!(error.contains("one class, `a`"), "{error}");
    let error = refused(&["1.png"]);
    assert!(error.contains("no class folder"), "{error}");
    let error = refused(&["a/b/", "c/notes.txt"]);
    assert!(error.contains("holds no photo in any of its 2 folders"), "{error}");
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_class_folder_that_is_a_link_to_nothing_does_not_vanish() {
        let folder = tree(&["a/1.png", "b/1.png"]);
        symlink("/nowhere/c", folder.path().join("c")).unwrap();
        let error = crate::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("/c`: is a link to `/nowhere/c`") && error.contains("help: mend"), "{error}");
        std::fs::remove_file(folder.path().join("c")).unwrap();
        symlink("d", folder.path().join("c")).unwrap();
        symlink("c", folder.path().join("d")).unwrap();
        let error = crate::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("/c` cannot be read") && error.contains("links lead in a circle"), "{error}");
    }

    #[test]
    fn a_photo_that_is_a_link_to_nothing_is_listed_for_the_check_to_name() {
        let folder = tree(&["a/1.png", "b/1.png"]);
        symlink("/nowhere/2.png", folder.path().join("a/2.png")).unwrap();
        assert_eq!(crate::open(folder.path()).unwrap().train.len(), 3);
    }

    #[test]
    fn links_that_lead_back_up_are_an_error() {
        let folder = tree(&["a/1.png", "b/1.png"]);
        symlink("..", folder.path().join("a/up")).unwrap();
        let error = crate::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("folders deep"), "{error}");
    }

    #[test]
    fn what_is_no_file_is_left_out_and_named() {
        let folder = tree(&["a/1.png", "b/1.png"]);
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("a/2.png")).unwrap();
        let dataset = crate::open(folder.path()).unwrap();
        assert_eq!(dataset.train.len(), 2);
        warned(&dataset, "`a/2.png` is a socket");
    }

    #[test]
    fn classes_whose_names_are_no_utf8_are_not_merged() {
        let folder = tree(&["a/1.png"]);
        for name in [b"d\xff", b"d\xfe"] {
            let class = folder.path().join(OsStr::from_bytes(name));
            std::fs::create_dir(&class).unwrap();
            std::fs::write(class.join("1.png"), b"x").unwrap();
        }
        let error = crate::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains("`d\\xfe`, is no UTF-8") && error.contains("help: rename"), "{error}");
    }

    #[test]
    fn photos_whose_names_are_no_utf8_keep_names_apart() {
        let folder = tree(&["a/1.png", "b/1.png"]);
        for name in [b"p\xff.png", b"p\xfe.png"] {
            std::fs::write(folder.path().join("a").join(OsStr::from_bytes(name)), b"x").unwrap();
        }
        let dataset = crate::open(folder.path()).unwrap();
        let names: Vec<&str> = dataset.train.iter().map(|e| e.name.as_str()).collect();
        assert_eq!(names, ["a/1.png", "a/p\\xfe.png", "a/p\\xff.png", "b/1.png"]);
    }
}

fn reading(classes: &[&str], exclude: &[&str]) -> Reading {
    Reading {
        classes: (!classes.is_empty()).then(|| classes.iter().map(|name| (*name).to_owned()).collect()),
        exclude: Exclude::new(exclude.iter().map(|pattern| pattern.parse().unwrap()).collect()),
        ..Reading::default()
    }
}

#[test]
fn just_the_named_classes_are_taken_in_their_order_in_all_parts() {
    let folder = tree(&[
        "train/a/1.png",
        "train/b/1.png",
        "train/c/1.png",
        "test/a/2.png",
        "test/b/2.png",
        "test/d/2.png",
    ]);
    let dataset = crate::open_as(folder.path(), &reading(&["c", "a"], &[])).unwrap();
    assert_eq!(
        (dataset.classes.as_slice(), counts(&dataset)),
        (["c", "a"].map(str::to_owned).as_slice(), [2, 0, 1])
    );
    assert_eq!(dataset.split(Split::Test)[0].target, Target::Class(1));
    warned(&dataset, "1 class folders that the setting `classes` does not name are left out: `b`");
    let error = crate::open_as(folder.path(), &reading(&["a", "x"], &[])).unwrap_err().to_string();
    assert!(error.contains("no class `x`") && error.contains("`a`, `b`, `c`"), "{error}");
    assert!(
        crate::open_as(folder.path(), &reading(&["a", "a"], &[])).unwrap_err().to_string().contains("twice")
    );
}

#[test]
fn what_patterns_name_is_left_out_and_counted() {
    let folder = tree(&["a/1.png", "a/1.gif", "b/1.png", "b/old/2.png", "c/1.png", "c/old/1.png"]);
    let dataset = crate::open_as(folder.path(), &reading(&[], &["*.gif", "c", "b/old", "nothing"])).unwrap();
    assert_eq!((dataset.classes.len(), counts(&dataset)), (2, [2, 0, 0]));
    warned(&dataset, "`exclude = c` leaves out 1");
    warned(&dataset, "`exclude = nothing` leaves nothing out");
    let (pictures, warnings) = pictures_in(folder.path(), &reading(&[], &["old"]).exclude).unwrap();
    assert_eq!(pictures.len(), 4);
    assert!(warnings[0].contains("leaves out 2"), "{warnings:?}");
}

#[test]
fn names_whose_accents_are_written_in_two_ways_are_the_same() {
    let dataset = opened(&["train/caf\u{e9}/1.png", "train/x/1.png", "test/cafe\u{301}/2.png"]);
    assert_eq!((dataset.classes.len(), dataset.split(Split::Test)[0].target.clone()), (2, Target::Class(0)));
    // both at once, where a system keeps them apart
    let dataset = opened(&["caf\u{e9}/1.png", "cafe\u{301}/2.png", "x/1.png"]);
    assert_eq!((dataset.classes.len(), counts(&dataset)), (2, [3, 0, 0]));
    warned(&dataset, "NFC and NFD");
    let folder = tree(&["cafe\u{301}/1.png"]);
    let known = ["x", "caf\u{e9}"].map(str::to_owned);
    assert_eq!(crate::open_for(folder.path(), &known).unwrap().train[0].target, Target::Class(1));
}

#[test]
fn a_trained_model_is_evaluated_on_a_part_that_lies_there_alone() {
    let classes = ["a", "b"].map(str::to_owned);
    let folder = tree(&["Testing/a/1.png", "Testing/b/1.png", "val/a/2.png"]);
    let dataset = crate::open_for(folder.path(), &classes).unwrap();
    assert_eq!(counts(&dataset), [2, 0, 0]);
    assert!(dataset.warnings[0].contains("`val` is left out beside `Testing`, the test part"));
    let folder = tree(&["val/a/2.png"]);
    assert_eq!(counts(&crate::open_for(folder.path(), &classes).unwrap()), [1, 0, 0]);
    let folder = tree(&["test/1.png"]);
    let error = crate::open_for(folder.path(), &classes).unwrap_err().to_string();
    assert!(error.contains("holds no folders of classes"), "{error}");
}
