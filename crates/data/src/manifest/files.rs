//! The files that a list names: below its own folder or another one, with slashes of either kind, with an ending or without.

use std::path::{Path, PathBuf};

use unicode_normalization::UnicodeNormalization;

/// Endings that lists leave away.
const ENDINGS: &[&str] = &["jpg", "jpeg", "png", "JPG", "JPEG", "PNG", "webp", "bmp", "gif", "tif", "tiff"];

/// The file that a path of a list leads to; as it is written, where there is none. Its accents may be one with their letters in
/// the list and apart in the folder, or the other way round.
pub(super) fn file(folder: &Path, path: &str) -> PathBuf {
    let as_written = found(folder, path);
    if as_written.is_file() || path.is_ascii() {
        return as_written;
    }
    let others: [String; 2] = [path.nfc().collect(), path.nfd().collect()];
    others.iter().map(|other| found(folder, other)).find(|file| file.is_file()).unwrap_or(as_written)
}

fn found(folder: &Path, path: &str) -> PathBuf {
    let whole = folder.join(path);
    if whole.is_file() {
        return whole;
    }
    let turned = path.contains('\\').then(|| folder.join(path.replace('\\', "/")));
    if let Some(turned) = turned.as_ref().filter(|turned| turned.is_file()) {
        return turned.clone();
    }
    let base = turned.as_ref().unwrap_or(&whole);
    let with = |ending: &&str| PathBuf::from(format!("{}.{ending}", base.display()));
    ENDINGS.iter().map(with).find(|file| file.is_file()).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slashes_of_either_kind_and_missing_endings_lead_to_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("img")).expect("a folder");
        std::fs::write(folder.path().join("img/a.b.jpg"), b"x").expect("a file");
        let wanted = folder.path().join("img/a.b.jpg");
        for path in ["img/a.b.jpg", "img\\a.b.jpg", "img/a.b", "img\\a.b"] {
            assert_eq!(file(folder.path(), path), wanted, "{path}");
        }
        assert_eq!(file(folder.path(), "img/c"), folder.path().join("img/c"));
    }
}
