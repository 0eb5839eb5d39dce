//! A tar file: samples as WebDataset lays them out, `KEY.jpg` beside `KEY.cls`, or photos in folders of classes.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Contents, Found, Label, Place, opened, shards};
use crate::manifest::LABELS;
use crate::{DataError, Split, is_named_as_picture, path_text};

/// Members that say what a picture is, the clearest first.
const SAYS: [&str; 3] = ["cls", "json", "txt"];
/// Of a member that says what a picture is, more is not read: it is no label.
const LONGEST: u64 = 1 << 20;
const HELP: &str = "make the file again, or copy it again";

/// Where a picture lies.
struct Member {
    name: String,
    offset: u64,
    len: u64,
}

/// What has one key.
#[derive(Default)]
struct Sample {
    pictures: Vec<usize>,
    /// By the place in [`SAYS`].
    said: [Option<String>; 3],
}

/// Reads where the pictures of a tar file lie, and what is said of them.
pub(super) fn read(path: &Path) -> Result<Contents, DataError> {
    let (file, size) = opened(path)?;
    let mut archive = tar::Archive::new(file);
    let damaged = |error: std::io::Error| {
        DataError::source(path, format!("cannot be read as a tar file: {error}"), HELP)
    };
    let mut pictures: Vec<Member> = Vec::new();
    let (mut keys, mut samples): (HashMap<String, usize>, Vec<Sample>) = Default::default();
    let mut others = Vec::new();
    let mut seen = HashSet::new();
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        let name = name(&entry.path().map_err(damaged)?);
        if kind.is_dir() || is_hidden(&name) {
            continue;
        }
        if !(kind.is_file() || kind.is_contiguous()) {
            others.push(name);
            continue;
        }
        let (offset, len) = (entry.raw_file_position(), entry.size());
        if offset.checked_add(len).is_none_or(|end| end > size) {
            return Err(DataError::source(
                path,
                format!("is cut off: its member `{name}` ends behind the end of the file"),
                HELP,
            ));
        }
        if !seen.insert(name.clone()) {
            return Err(DataError::source(
                path,
                format!("holds `{name}` twice"),
                "make the file again, with each member once",
            ));
        }
        let (key, ending) = key_of(&name);
        let said = SAYS.iter().position(|says| *says == ending);
        if said.is_none() && !is_named_as_picture(Path::new(&name)) {
            others.push(name);
            continue;
        }
        let at = *keys.entry(key).or_insert_with(|| {
            samples.push(Sample::default());
            samples.len() - 1
        });
        match said {
            None => {
                samples[at].pictures.push(pictures.len());
                pictures.push(Member { name, offset, len });
            }
            Some(kind) => {
                let mut bytes = Vec::new();
                entry.by_ref().take(LONGEST).read_to_end(&mut bytes).map_err(damaged)?;
                samples[at].said[kind] = Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
    let file: Arc<Path> = path.into();
    let found = |member: Member, label: Option<Label>| Found {
        place: Place::Span { file: file.clone(), offset: member.offset, len: member.len },
        name: member.name,
        label,
        split: None,
    };
    let is_labelled = |sample: &Sample| !sample.pictures.is_empty() && label(sample).is_some();
    let mut pictures: Vec<Option<Member>> = pictures.into_iter().map(Some).collect();
    let mut all = Vec::with_capacity(pictures.len());
    if samples.iter().any(is_labelled) {
        for sample in &samples {
            if let [one, other, ..] = sample.pictures[..] {
                let name = |at: usize| pictures[at].as_ref().map_or("", |member| member.name.as_str());
                return Err(DataError::source(
                    path,
                    format!("holds two pictures of one sample, `{}` and `{}`", name(one), name(other)),
                    "a sample is one picture with its label: leave the others out when the file is made",
                ));
            }
            let member = sample.pictures.first().and_then(|at| pictures[*at].take());
            all.extend(member.map(|member| found(member, label(sample))));
        }
    } else {
        // no labels beside the pictures: what has one key has no meaning
        all.extend(pictures.into_iter().flatten().map(|member| found(member, None)));
        all.sort_by(|one: &Found, other| Path::new(&one.name).cmp(Path::new(&other.name)));
    }
    Ok(Contents { found: all, names: None, others, has_names: true })
}

/// A member's name with `/`, without what `tar -C folder .` puts before it.
fn name(path: &Path) -> String {
    let text = path_text(path);
    let mut text = text.as_str();
    while let Some(rest) = text.strip_prefix("./") {
        text = rest;
    }
    text.trim_start_matches('/').to_owned()
}

/// What systems put beside photos.
fn is_hidden(name: &str) -> bool {
    name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX")
}

/// What samples have in common, and the ending: the name is cut at the first point, as WebDataset does.
fn key_of(name: &str) -> (String, String) {
    let file = name.rfind('/').map_or(0, |at| at + 1);
    match name[file..].find('.') {
        Some(point) => (name[..file + point].to_owned(), name[file + point + 1..].to_lowercase()),
        None => (name.to_owned(), String::new()),
    }
}

/// What is said of a sample's picture.
fn label(sample: &Sample) -> Option<Label> {
    let [class, json, text] = &sample.said;
    let of_text = |text: &String| (!text.trim().is_empty()).then(|| Label::of_text(text));
    class
        .as_ref()
        .and_then(of_text)
        .or_else(|| of_json(&serde_json::from_str(json.as_ref()?).ok()?))
        .or_else(|| text.as_ref().and_then(of_text))
}

/// A label from a document: the document itself, or its field under a usual name.
fn of_json(value: &serde_json::Value) -> Option<Label> {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            let named = |name: &&str| fields.get(*name).filter(|value| !value.is_object()).and_then(of_json);
            ["cls"].iter().chain(LABELS).find_map(named)
        }
        Value::String(text) => Some(Label::Name(text.trim().to_owned())),
        Value::Bool(one) => Some(Label::Index(i64::from(*one))),
        Value::Number(number) => match number.as_i64() {
            Some(index) => Some(Label::Index(index)),
            None => number.as_f64().map(|number| Label::Number(number as f32)),
        },
        Value::Array(values) => {
            let names =
                values.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
            match names {
                Some(names) => Some(Label::Several(names)),
                None => values.iter().map(Value::as_i64).collect::<Option<_>>().map(Label::Indices),
            }
        }
        Value::Null => None,
    }
}

/// Where no picture of any tar file has a label beside it: the folders in the files are classes, or parts above classes.
pub(super) fn label_by_folders(files: &mut [(PathBuf, Contents)]) {
    if files.iter().any(|(path, contents)| {
        !shards::is_tar(path) || contents.found.iter().any(|found| found.label.is_some())
    }) {
        return;
    }
    let folders = |found: &Found| -> Vec<String> {
        let mut parts: Vec<String> = found.name.split('/').map(str::to_owned).collect();
        parts.pop();
        parts
    };
    let mut all: Vec<Vec<String>> =
        files.iter().flat_map(|(_, contents)| contents.found.iter().map(folders)).collect();
    // the folder that was packed says nothing
    while all.iter().all(|own| own.len() > 1 && own[0] == all[0][0]) && !all.is_empty() {
        all.iter_mut().for_each(|own| drop(own.remove(0)));
    }
    let has_parts = all.iter().all(|own| own.len() > 1 && Split::from_user(&own[0]).is_some());
    let mut all = all.into_iter();
    for found in files.iter_mut().flat_map(|(_, contents)| &mut contents.found) {
        let mut own = all.next().unwrap_or_default();
        if has_parts {
            found.split = Split::from_user(&own.remove(0));
        }
        found.label = own.into_iter().next().map(Label::Name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_the_first_point_of_the_file() {
        assert_eq!(key_of("a.b/0001.seg.PNG"), ("a.b/0001".to_owned(), "seg.png".to_owned()));
        assert_eq!(key_of("0001"), ("0001".to_owned(), String::new()));
        assert_eq!(name(Path::new("././cat/1.jpg")), "cat/1.jpg");
    }

    #[test]
    fn the_clearest_label_counts() {
        let of = |class: Option<&str>, json: Option<&str>, text: Option<&str>| {
            let said = [class, json, text].map(|text| text.map(str::to_owned));
            label(&Sample { pictures: vec![0], said })
        };
        assert_eq!(of(Some("3"), Some(r#"{"label": 1}"#), Some("a cat")), Some(Label::Index(3)));
        assert_eq!(
            of(None, Some(r#"{"id": 9, "label": "cat"}"#), Some("a cat")),
            Some(Label::Name("cat".into()))
        );
        assert_eq!(of(None, Some(r#"{"width": 9}"#), Some("cat\n")), Some(Label::Name("cat".into())));
        assert_eq!(
            of(None, Some(r#"{"labels": ["a", "b"]}"#), None),
            Some(Label::Several(vec!["a".into(), "b".into()]))
        );
        assert_eq!(of(None, None, Some(" ")), None);
    }
}
