//! Names of files as text. What is no UTF-8 is escaped, so that no two names become one.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// A file's name: bytes that are no UTF-8 as `\xff`.
pub(super) fn text_of(name: &OsStr) -> String {
    // a name that looks as if it was escaped is escaped too
    match name.to_str() {
        Some(text) if !text.contains("\\x") => text.to_owned(),
        _ => escaped(name),
    }
}

fn escaped(name: &OsStr) -> String {
    name.as_encoded_bytes().utf8_chunks().fold(String::new(), |mut text, chunk| {
        text.push_str(&chunk.valid().replace('\\', "\\\\"));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
        text
    })
}

/// A name in the form in which accents are one with their letters (NFC). Some systems, as those of Apple, write names with
/// the accents apart (NFD): what looks the same is the same name.
pub(super) fn composed(name: &str) -> String {
    if is_nfc(name) { name.to_owned() } else { name.nfc().collect() }
}

/// Whether [`composed`] leaves a name as it is.
pub(super) fn is_composed(name: &str) -> bool {
    is_nfc(name)
}

/// Whether two names are the same, however their accents are written.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    one == other || one.nfc().eq(other.nfc())
}

/// A path as text: bytes that are no UTF-8 as `\xff`, not lost.
pub fn path_text(path: &Path) -> String {
    path.to_str().map_or_else(|| escaped(path.as_os_str()), str::to_owned)
}

/// [`path_text`] in a document, for `serialize_with`: a path need not be UTF-8, and no document is lost for it.
pub fn serialize_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path_text(path))
}

/// [`serialize_path`] of a path that there may be.
pub(super) fn serialize_optional_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_deref().map(path_text).serialize(serializer)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn no_two_names_become_one() {
        let names: [&[u8]; 5] =
            [b"a\xff.png", b"a\xfe.png", b"a\\xff.png", b"a\\\\xff.png", "aé.png".as_bytes()];
        let texts = names.map(|name| text_of(OsStr::from_bytes(name)));
        assert_eq!(texts[0], "a\\xff.png");
        assert_eq!(texts[4], "aé.png");
        for (index, text) in texts.iter().enumerate() {
            assert!(!texts[..index].contains(text), "{text}");
        }
    }
}
