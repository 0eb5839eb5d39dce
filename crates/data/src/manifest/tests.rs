use super::*;
use crate as data;

fn read_text(text: &str) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("a.png"), b"x").unwrap();
    data::open(&path)
}

#[test]
fn labels_that_are_words_are_classes() {
    let dataset = read_text("path,label,split\na.png,dog,train\nb.png,cat,\nc.png,dog,test\n").unwrap();
    assert_eq!(dataset.classes, ["cat", "dog"]);
    assert_eq!(dataset.train.len(), 2);
    assert_eq!(dataset.test.as_ref().unwrap()[0].target, Target::Class(1));
    assert!(dataset.val.is_none());
}

#[test]
fn labels_that_are_numbers_are_values() {
    let dataset = read_text("path,label\na.png,1.5\nb.png,-2\n").unwrap();
    assert!(dataset.is_regression());
    assert_eq!(dataset.train[1].target, Target::Value(vec![-2.0]));
}

#[test]
fn a_label_that_is_no_number_among_numbers_does_not_turn_them_all_into_classes() {
    for bad in ["nan", "inf", "unknown", "1,5x"] {
        let text = format!("path,label\na.png,1.5\nb.png,\"{bad}\"\nc.png,-2\n");
        let error = read_text(&text).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains(&format!("`{bad}`")), "{error}");
        assert!(error.contains("help:"), "{error}");
    }
    let names = read_text("path,label\na.png,1\nb.png,two\nc.png,three\n").unwrap();
    assert_eq!(names.classes, ["1", "three", "two"]);
}

#[test]
fn errors_name_the_line_and_the_column() {
    let error = read_text("width,label\n1,x\n").unwrap_err().to_string();
    assert!(error.contains("no column of paths") && error.contains("`width`, `label`"), "{error}");
    let error = read_text("path,label,split\na.png,x,trian\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("`trian`"), "{error}");
    assert!(read_text("path,label\n").unwrap_err().to_string().contains("lists no image"));
}

#[test]
fn whole_numbers_that_are_few_are_classes() {
    let read = |kind: Option<LabelKind>, text: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("a.png"), b"x").unwrap();
        data::open_as(&path, &Reading { task: kind, ..Reading::default() }).unwrap()
    };
    let text = "path,label\na.png,10\na.png,2\nb.png,10\nb.png,2\n";
    let classes = read(None, text);
    assert_eq!(classes.classes, ["2", "10"]);
    assert!(classes.warnings.iter().any(|line| line.contains("task = numbers")), "{:?}", classes.warnings);
    assert!(read(Some(LabelKind::Numbers), text).is_regression());
    // ages, or counts
    let many: String = (0..40).map(|age| format!("a.png,{age}\nb.png,{age}\n")).collect();
    assert!(read(None, &format!("path,label\n{many}")).is_regression());
    assert_eq!(read(Some(LabelKind::Classes), &format!("path,label\n{many}")).classes.len(), 40);
    // each alone
    assert!(read(None, "path,label\na.png,1\nb.png,2\n").is_regression());
}

fn read_as(task: Option<LabelKind>, text: &str) -> Result<Dataset, DataError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("a.png"), b"x").unwrap();
    data::open_as(&path, &Reading { task, ..Reading::default() })
}

fn labels_of(dataset: &Dataset) -> Vec<Target> {
    dataset.train.iter().map(|example| example.target.clone()).collect()
}

#[test]
fn several_labels_in_a_cell_are_asked_for_or_taken_but_never_without_a_word() {
    let text = "path,label\na.png,cat\na.png,dog\nb.png,cat dog\nb.png,dog cat\n";
    let error = read_as(None, text).unwrap_err().to_string();
    assert!(error.contains("`cat dog`") && error.contains("task = labels"), "{error}");
    assert_eq!(read_as(Some(LabelKind::Classes), text).unwrap().classes.len(), 4);
    let several = read_as(Some(LabelKind::Labels), text).unwrap();
    assert_eq!(
        (several.classes.as_slice(), several.kind()),
        (["cat", "dog"].map(str::to_owned).as_slice(), LabelKind::Labels)
    );
    let both = Target::Labels(vec![0, 1]);
    assert_eq!(
        labels_of(&several),
        [Target::Labels(vec![0]), Target::Labels(vec![1]), both.clone(), both.clone()]
    );
    let marked = read_as(None, "path,label\na.png,cat|dog\na.png,cat\nb.png,dog|cat\n").unwrap();
    assert_eq!(labels_of(&marked), [both.clone(), Target::Labels(vec![0]), both]);
    assert!(marked.warnings[0].contains("task = classes"), "{:?}", marked.warnings);
    assert!(read_text("path,label\na.png,golden retriever\nb.png,dog\n").unwrap().warnings.is_empty());
}

#[test]
fn a_column_that_names_parts_is_one_of_parts() {
    let text = "path,label,phase\na.png,cat,train\na.png,dog,Training\nb.png,cat,valid\n";
    let dataset = read_text(text).unwrap();
    assert_eq!((dataset.train.len(), dataset.val.as_ref().map(Vec::len)), (2, Some(1)));
    assert!(dataset.warnings.iter().any(|line| line.contains("`phase`")), "{:?}", dataset.warnings);
    let flags = read_text("path,label,is_test\na.png,cat,0\na.png,dog,False\nb.png,cat,1\n").unwrap();
    assert_eq!((flags.train.len(), flags.test.as_ref().map(Vec::len)), (2, Some(1)));
    // one part alone says nothing, and neither do two columns
    assert!(read_text("path,label,note\na.png,cat,test\na.png,dog,test\n").unwrap().test.is_none());
    let two = "path,label,a,b\na.png,cat,train,test\na.png,dog,test,train\n";
    assert!(read_text(two).unwrap().test.is_none());
    let marks = read_text("path,is_train,cat,dog\na.png,1,1,0\na.png,1,0,1\nb.png,0,1,0\n").unwrap();
    assert_eq!(marks.classes, ["cat", "dog"]);
    assert_eq!(marks.test.map(|test| test.len()), Some(1));
}

#[test]
fn what_other_programs_write_for_numbers_and_lists_is_asked_for() {
    for (cells, said) in
        [(["\"1,5\"", "\"2,0\""], "decimal comma"), (["3%", "4%"], "percent"), (["['a']", "[]"], "list")]
    {
        let text = format!("path,label\na.png,{}\nb.png,{}\n", cells[0], cells[1]);
        let error = read_text(&text).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains("help:"), "{error}");
    }
    let alone = read_text("path,label\na.png,a cat\nb.png,a dog\nc.png,an owl\n").unwrap();
    assert!(alone.warnings[0].contains("one line alone"), "{:?}", alone.warnings);
}

#[test]
fn an_image_may_have_none_of_the_labels() {
    let text = "path,label\na.png,cat;dog\na.png,\nb.png,cat\n";
    assert!(read_as(None, text).unwrap_err().to_string().contains("line 3 has no label"));
    let dataset = read_as(Some(LabelKind::Labels), text).unwrap();
    assert_eq!(dataset.train[1].target, Target::Labels(Vec::new()));
    assert!(dataset.summary().contains("1 with none"), "{}", dataset.summary());
}

#[test]
fn columns_of_zeros_and_ones_are_labels_or_classes() {
    let text = "file,width,dog,cat\na.png,10,1,0\na.png,11,1,1\nb.png,12,0,0\n";
    let dataset = read_as(None, text).unwrap();
    assert_eq!(dataset.classes, ["dog", "cat"]);
    assert_eq!(
        labels_of(&dataset),
        [Target::Labels(vec![0]), Target::Labels(vec![0, 1]), Target::Labels(Vec::new())]
    );
    assert!(dataset.warnings[0].contains("each is a label"), "{:?}", dataset.warnings);
    assert!(read_as(Some(LabelKind::Classes), text).unwrap_err().to_string().contains("line 3"));
    let one_hot = "file,dog,cat\na.png,1,0\na.png,0,1\n";
    assert_eq!(labels_of(&read_as(None, one_hot).unwrap()), [Target::Class(0), Target::Class(1)]);
    let both = read_as(Some(LabelKind::Labels), one_hot).unwrap();
    assert_eq!(labels_of(&both), [Target::Labels(vec![0]), Target::Labels(vec![1])]);
    assert!(
        read_as(None, "file,width,height\na.png,10,20\n")
            .unwrap_err()
            .to_string()
            .contains("no column of labels")
    );
}

#[test]
fn some_of_the_classes_are_taken_in_the_order_that_is_said() {
    let read = |reading: Reading| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.csv");
        std::fs::write(&path, "path,label\na.png,cat\na.png,dog\na.png,bird\nx/b.png,dog\n").unwrap();
        std::fs::write(folder.path().join("a.png"), b"x").unwrap();
        data::open_as(&path, &reading)
    };
    let classes = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
    let two = read(Reading { classes: classes(&["dog", "bird"]), ..Reading::default() }).unwrap();
    assert_eq!((two.classes.as_slice(), two.train.len()), (["dog", "bird"].map(str::to_owned).as_slice(), 3));
    assert_eq!(two.train[1].target, Target::Class(1));
    let error =
        read(Reading { classes: classes(&["dog", "cow"]), ..Reading::default() }).unwrap_err().to_string();
    assert!(error.contains("no class `cow`") && error.contains("`bird`, `cat`, `dog`"), "{error}");
    let exclude = data::Exclude::new(vec!["x".parse().unwrap(), "cat".parse().unwrap()]);
    let rest = read(Reading { exclude, ..Reading::default() }).unwrap();
    assert_eq!((rest.classes.len(), rest.train.len()), (2, 2));
}

#[test]
fn numbers_stand_for_the_classes_of_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    std::fs::write(&path, "path,label\na.png,2\na.png,0\n").unwrap();
    std::fs::write(folder.path().join("a.png"), b"x").unwrap();
    let names = ["cat", "dog", "eel"].map(str::to_owned);
    let dataset = data::open_for(&path, &names).unwrap();
    assert_eq!((&dataset.train[0].target, &dataset.train[1].target), (&Target::Class(2), &Target::Class(0)));
    assert!(dataset.warnings[1].contains("from 0 for `cat`"), "{:?}", dataset.warnings);
    let own = ["2", "0", "1"].map(str::to_owned);
    assert_eq!(data::open_for(&path, &own).unwrap().train[0].target, Target::Class(0));
    assert!(data::open_for(&path, &names[..2]).is_err());
}

#[test]
fn accents_may_be_written_in_two_ways() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    std::fs::write(folder.path().join("cafe\u{301}.png"), b"x").unwrap();
    std::fs::write(&path, "path,label\ncaf\u{e9}.png,ol\u{e9}\ncaf\u{e9}.png,ole\u{301}\ncaf\u{e9}.png,no\n")
        .unwrap();
    let dataset = data::open(&path).unwrap();
    assert_eq!(dataset.classes, ["no", "ol\u{e9}"]);
    let Input::File(file) = &dataset.train[0].input else { panic!() };
    assert!(file.is_file());
    let known = ["ole\u{301}", "no"].map(str::to_owned);
    assert_eq!(data::open_for(&path, &known).unwrap().train[0].target, Target::Class(0));
}

#[test]
fn where_no_file_is_found_the_place_is_told() {
    let error = read_text("path,label\ndata/x.png,cat\ndata/y.png,dog\n").unwrap_err().to_string();
    assert!(error.contains("none of its 2 files is found") && error.contains("data/x.png"), "{error}");
    assert!(error.contains("`root`"), "{error}");
}

#[test]
fn words_that_are_read_as_one_part_are_told() {
    let list = |parts: [&str; 3]| {
        let lines = parts.map(|part| format!("a.png,cat,{part}\nb.png,dog,{part}\n"));
        read_text(&format!("path,label,split\n{}", lines.concat())).unwrap().warnings
    };
    assert!(list(["train", "val", "test"]).is_empty());
    let told = list(["train", "eval", "test"]);
    assert!(told[0].contains("`eval` and `test` are all read as the test part"), "{told:?}");
}

#[test]
fn labels_of_an_image_may_stand_in_several_lines() {
    let text = "path,label\na.png,cat\nb.png,dog\na.png,dog\nc.png,cat\na.png,cat\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    std::fs::write(&path, text).unwrap();
    std::fs::write(folder.path().join("a.png"), b"x").unwrap();
    let dataset =
        data::open_as(&path, &Reading { task: Some(LabelKind::Labels), ..Reading::default() }).unwrap();
    let labels: Vec<&Target> = dataset.train.iter().map(|example| &example.target).collect();
    assert_eq!(labels, [&Target::Labels(vec![0, 1]), &Target::Labels(vec![1]), &Target::Labels(vec![0])]);
    assert!(dataset.warnings.iter().any(|told| told.contains("images that stand in several lines (1) have")));
    let as_classes = read_text(text).unwrap();
    assert_eq!(as_classes.train.len(), 5);
    assert!(as_classes.warnings[0].contains("the first is `a.png`"), "{:?}", as_classes.warnings);
}
