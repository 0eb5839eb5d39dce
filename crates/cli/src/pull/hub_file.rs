//! What is to be pulled, as the user names it: `owner/name[@revision][:file]`.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The branch that is taken where none is named.
const MAIN: &str = "main";

/// A repository of the hub, at a revision; one file of it, or the one that is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HubFile {
    pub(super) owner: String,
    pub(super) name: String,
    /// A branch, a tag or a commit.
    pub(super) revision: String,
    /// The path of a file in it.
    pub(super) file: Option<String>,
}

impl HubFile {
    /// `owner/name`.
    pub(super) fn repository(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl fmt::Display for HubFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.repository())?;
        if self.revision != MAIN {
            write!(formatter, "@{}", self.revision)?;
        }
        self.file.as_ref().map_or(Ok(()), |file| write!(formatter, ":{file}"))
    }
}

/// A name of a person, an organisation or a repository.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    (1..=96).contains(&text.len()) && text.chars().all(fits) && !text.starts_with('.') && !text.contains("..")
}

/// Parts of a path that stay below a folder on every system.
pub(super) fn is_path_below(text: &str) -> bool {
    let fits = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['\\', ':', '\0'])
            && !part.ends_with(' ')
    };
    text.len() <= 500 && text.split('/').all(fits) && !text.chars().any(char::is_control)
}

impl FromStr for HubFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = text.strip_prefix("hf://").unwrap_or(text);
        let (rest, file) = rest.split_once(':').map_or((rest, None), |(rest, file)| (rest, Some(file)));
        let (repository, revision) = rest.split_once('@').unwrap_or((rest, MAIN));
        let Some((owner, name)) = repository.split_once('/') else {
            return Err(format!("`{text}` has no owner: write owner/name, as in timm/resnet50.a1_in1k"));
        };
        if !is_name(owner) || !is_name(name) {
            return Err(format!("`{text}` is no owner/name[@revision][:file], as timm/resnet50.a1_in1k is"));
        }
        if !is_path_below(revision) {
            return Err(format!("`{revision}` is no branch, tag or commit"));
        }
        if let Some(file) = file.filter(|file| !is_path_below(file)) {
            return Err(format!("`{file}` is no path of a file in a repository"));
        }
        Ok(Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
            revision: revision.to_owned(),
            file: file.map(str::to_owned),
        })
    }
}

/// The name on the hub that someone may have meant by a path of a model that is not there.
pub(crate) fn meant_by(path: &Path) -> Option<HubFile> {
    let text = path.to_str().filter(|_| !path.exists())?;
    // a folder of that name is on this machine: its file was meant
    let owner = Path::new(text.strip_prefix("hf://").unwrap_or(text)).components().next()?;
    let file: HubFile = text.parse().ok()?;
    let ends = [".keras", ".h5", ".hdf5", ".onnx", ".safetensors"];
    let is_a_file = ends.iter().any(|end| file.name.ends_with(end));
    (!is_a_file && !Path::new(owner.as_os_str()).exists()).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for (text, revision, file) in [
            ("timm/resnet50.a1_in1k", "main", None),
            ("keras-io/a_model@v1.0", "v1.0", None),
            ("owner/name@refs/pr/1:onnx/model.onnx", "refs/pr/1", Some("onnx/model.onnx")),
            ("owner/name:model.keras", "main", Some("model.keras")),
        ] {
            let read: HubFile = text.parse().expect(text);
            assert_eq!((read.revision.as_str(), read.file.as_deref()), (revision, file));
            assert_eq!(read.to_string(), text);
        }
        assert_eq!("hf://timm/resnet50".parse::<HubFile>().expect("a name").repository(), "timm/resnet50");
    }

    #[test]
    fn what_would_leave_its_folder_or_is_no_name_is_refused() {
        for text in [
            "resnet50",
            "a/b/c",
            "/etc/passwd",
            "../x",
            "a/..",
            "a/b:../../x",
            "a/b:/x",
            "a/b:x/../y",
            "a/b:c\\d",
            "a/b@",
            "a/b:",
            "a b/c",
            "a/b@x\ny",
            "a/.b",
        ] {
            assert!(text.parse::<HubFile>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_that_is_not_there_may_mean_a_repository() {
        assert!(meant_by(Path::new("timm/resnet50.a1_in1k")).is_some());
        for other in ["resnet50", "models/resnet50.h5", "src/resnet50", "/timm/resnet50", "a/b/c"] {
            assert!(meant_by(Path::new(other)).is_none(), "{other}");
        }
    }
}
