//! What the folders of a source are: classes, or parts above classes. Where that is not clear, a warning or an error says
//! how to decide.

use std::collections::BTreeSet;

use super::tree::Tree;
use crate::dataset::listed;
use crate::file_name::same_name;
use crate::{DataError, Split, path_text};

/// The class folders of each part.
pub(super) struct Layout<'a> {
    /// The training part's: every other part's folders are named as these.
    pub(super) train: &'a Tree,
    /// Those of its folders that are classes.
    pub(super) classes: Vec<&'a Tree>,
    /// The other parts.
    pub(super) others: Vec<(Split, &'a Tree)>,
    /// Whether folders name the parts.
    pub(super) has_parts: bool,
}

/// Tells classes from parts. `known` are the classes of a model that is to be evaluated: a folder of that name is a class.
pub(super) fn of<'a>(
    top: &'a Tree,
    known: Option<&[String]>,
    warnings: &mut Vec<String>,
) -> Result<Layout<'a>, DataError> {
    let (mut named, mut plain) = (Vec::new(), Vec::new());
    for folder in top.filled() {
        let is_known = known.is_some_and(|known| known.iter().any(|name| same_name(name, &folder.name)));
        match Split::from_user(&folder.name).filter(|_| !is_known || holds_classes(folder)) {
            Some(split) => named.push((split, folder)),
            None => plain.push(folder),
        }
    }
    let has_train = |parts: &[(Split, &Tree)]| {
        parts.iter().any(|(split, folder)| *split == Split::Train && holds_classes(folder))
    };
    if !has_train(&named) {
        let hinted = hinted(top);
        if has_train(&hinted) {
            for (split, folder) in hinted.iter().filter(|(_, f)| Split::from_user(&f.name).is_none()) {
                warnings.push(format!("`{}` is read as the {} part", folder.name, split.name()));
            }
            plain.retain(|folder| hinted.iter().all(|(_, part)| !std::ptr::eq(*part, *folder)));
            named = hinted;
        }
    }
    match has_train(&named) || (plain.is_empty() && !named.is_empty()) {
        true if known.is_some() && !has_train(&named) => part_alone(top, &named, warnings),
        true => parts(top, named, &plain, warnings),
        false => classes(top, named, plain, warnings),
    }
}

/// Parts without one to train on, for a model that is trained already: the test part, or else that to validate on.
fn part_alone<'a>(
    top: &'a Tree,
    named: &[(Split, &'a Tree)],
    warnings: &mut Vec<String>,
) -> Result<Layout<'a>, DataError> {
    let with_classes = || named.iter().filter(|(_, folder)| holds_classes(folder));
    let Some((split, part)) = with_classes().max_by_key(|(split, _)| *split) else {
        return Err(DataError::source(
            &top.path,
            format!("has `{}`, which holds no folders of classes", named[0].1.name),
            "put the photos of each class into a folder of its own",
        ));
    };
    for (_, other) in named.iter().filter(|(_, folder)| !std::ptr::eq(*folder, *part)) {
        warnings.push(format!(
            "`{}` is left out beside `{}`, the {} part",
            other.name,
            part.name,
            split.name()
        ));
    }
    let classes: Vec<&Tree> = part.filled().collect();
    hint_at_deeper_classes(part, &classes, warnings);
    Ok(Layout { train: part, classes, others: Vec::new(), has_parts: false })
}

/// Parts above classes.
fn parts<'a>(
    top: &'a Tree,
    named: Vec<(Split, &'a Tree)>,
    plain: &[&Tree],
    warnings: &mut Vec<String>,
) -> Result<Layout<'a>, DataError> {
    let Some((_, train)) = named.iter().find(|(split, _)| *split == Split::Train) else {
        return Err(DataError::source(
            &top.path,
            format!("has `{}` but no `train`", named[0].1.name),
            "put the classes to train on below `train/`",
        ));
    };
    let mut kept: Vec<(Split, &Tree)> = Vec::new();
    for (split, folder) in &named {
        if *split != Split::Train && !holds_classes(folder) {
            warnings.push(unlabelled(folder));
            continue;
        }
        if let Some((_, other)) = kept.iter().find(|(other, _)| other == split) {
            return Err(DataError::source(
                &top.path,
                format!("has both `{}` and `{}`", other.name, folder.name),
                "keep one of them",
            ));
        }
        kept.push((*split, folder));
    }
    for other in plain {
        warnings.push(format!(
            "`{}` beside `{}` is left out: only the parts to train on, validate on and test on are read",
            path_text(&other.path),
            train.name
        ));
    }
    let train: &Tree = train;
    let classes: Vec<&Tree> = train.filled().collect();
    hint_at_deeper_classes(train, &classes, warnings);
    kept.retain(|(split, _)| *split != Split::Train);
    Ok(Layout { train, classes, others: kept, has_parts: true })
}

/// Class folders, and what lies beside them under a part's name.
fn classes<'a>(
    top: &'a Tree,
    named: Vec<(Split, &'a Tree)>,
    mut plain: Vec<&'a Tree>,
    warnings: &mut Vec<String>,
) -> Result<Layout<'a>, DataError> {
    let mut others: Vec<(Split, &Tree)> = Vec::new();
    let names: BTreeSet<&str> = plain.iter().map(|folder| folder.name.as_str()).collect();
    let mut flat = Vec::new();
    for (split, folder) in named {
        let own = class_names(folder);
        if own.is_empty() {
            match split {
                Split::Test => warnings.push(unlabelled(folder)),
                // pictures of trains
                _ => {
                    warnings.push(format!(
                        "`{0}` lies beside other class folders and holds photos alone: it is taken for a class; if it is no class, move it elsewhere",
                        folder.name
                    ));
                    flat.push(folder);
                }
            }
        } else if own.is_disjoint(&names) {
            if let Some(like) = plain.iter().find(|other| !class_names(other).is_disjoint(&own)) {
                return Err(DataError::source(
                    &top.path,
                    format!(
                        "`{}` and `{}` hold folders of the same names, and none is named `train`",
                        folder.name, like.name
                    ),
                    format!("rename `{}` to `train` if it is what to train on", like.name),
                ));
            }
            warnings.push(format!(
                "`{}` is left out: its folders ({}) are none of the classes; if it is a class itself, give it another name",
                folder.name,
                listed(&own.iter().collect::<Vec<_>>())
            ));
        } else if let Some((_, other)) = others.iter().find(|(other, _)| *other == split) {
            return Err(DataError::source(
                &top.path,
                format!("has both `{}` and `{}`", other.name, folder.name),
                "keep one of them",
            ));
        } else {
            others.push((split, folder));
        }
    }
    plain.extend(flat);
    plain.sort_by(|a, b| a.path.cmp(&b.path));
    parts_below_classes(top, &plain)?;
    hint_at_parts(&plain, warnings);
    hint_at_deeper_classes(top, &plain, warnings);
    Ok(Layout { train: top, classes: plain, has_parts: !others.is_empty(), others })
}

/// Folders above classes whose names hold a part's word beside others, as `seg_train` and `seg_test`: parts, where there
/// are two at least, with classes of the same names. None otherwise.
fn hinted(top: &Tree) -> Vec<(Split, &Tree)> {
    let found: Vec<(Split, &Tree)> = top
        .filled()
        .filter(|folder| holds_classes(folder))
        .filter_map(|folder| Some((Split::hinted(&folder.name)?, folder)))
        .collect();
    let shares = |folder: &Tree| {
        let own = class_names(folder);
        found.iter().any(|(_, other)| !std::ptr::eq(*other, folder) && !class_names(other).is_disjoint(&own))
    };
    let splits: BTreeSet<Split> = found.iter().map(|(split, _)| *split).collect();
    match splits.len() >= 2 && found.iter().all(|(_, folder)| shares(folder)) {
        true => found,
        false => Vec::new(),
    }
}

/// The names of the folders in a folder that hold pictures.
fn class_names(folder: &Tree) -> BTreeSet<&str> {
    folder.filled().map(|class| class.name.as_str()).collect()
}

fn holds_classes(folder: &Tree) -> bool {
    folder.filled().next().is_some()
}

fn unlabelled(folder: &Tree) -> String {
    format!(
        "`{}` holds {} photos and no class folder: without labels they are left out; `frostline predict` tells their classes; if it is a class itself, give it another name",
        path_text(&folder.path),
        folder.pictures.len()
    )
}

/// Errors where every class folder has its own `train` and `test`: all of it would be trained on.
fn parts_below_classes(top: &Tree, classes: &[&Tree]) -> Result<(), DataError> {
    let split_up = |class: &Tree| {
        let parts: BTreeSet<Split> =
            class.filled().filter_map(|folder| Split::from_user(&folder.name)).collect();
        parts.len() >= 2 && parts.contains(&Split::Train)
    };
    let found: Vec<&String> =
        classes.iter().filter(|class| split_up(class)).map(|class| &class.name).collect();
    match found.len() {
        0 | 1 => Ok(()),
        _ => Err(DataError::source(
            &top.path,
            format!("the folders {} each hold parts of their own, as `train` and `test`", listed(&found)),
            "put the parts above the classes, as `train/cat` and `test/cat`, or list the photos in a CSV `path,label,split`",
        )),
    }
}

/// Says where folders that are read as classes look like parts: they hold folders of the same names.
fn hint_at_parts(classes: &[&Tree], warnings: &mut Vec<String>) {
    let nested: Vec<&&Tree> =
        classes.iter().filter(|class| class.pictures.is_empty() && holds_classes(class)).collect();
    for (index, one) in nested.iter().enumerate() {
        let own = class_names(one);
        for other in &nested[index + 1..] {
            let names: Vec<&str> = class_names(other).into_iter().filter(|name| own.contains(name)).collect();
            if names.len() < 2 {
                continue;
            }
            warnings.push(format!(
                "`{0}` and `{1}` are taken for classes, but both hold the folders {2}; if these are the classes, name the folders above them `train`, `val` and `test`, or give one of them, such as `{3}`",
                one.name,
                other.name,
                listed(&names),
                path_text(&one.path)
            ));
            return;
        }
    }
}

/// Says where all photos lie below one folder that holds others.
fn hint_at_deeper_classes(above: &Tree, classes: &[&Tree], warnings: &mut Vec<String>) {
    if let [only] = classes
        && let found = class_names(only)
        && !found.is_empty()
    {
        warnings.push(format!(
            "all photos in `{}` lie below one folder, `{}`, which is taken for one class; if its folders ({}) are classes or parts, give `{}`",
            path_text(&above.path),
            only.name,
            listed(&found.into_iter().collect::<Vec<_>>()),
            path_text(&only.path)
        ));
    }
}
