//! PyTorch's own files (`.pth`, `.pt`, `.bin`): Python pickles, which run code when they are read. They are known by
//! their first bytes, refused, and never opened.

use super::safetensors::begins_with_header;
use frostline_graph::Error;
use std::io::Cursor;
use std::path::Path;
use zip::ZipArchive;

/// Whether the bytes are PyTorch's: a zip archive with a pickle in it (since version 1.6), or a bare pickle.
pub(super) fn is_pickle(bytes: &[u8]) -> bool {
    match bytes {
        [b'P', b'K', ..] => ZipArchive::new(Cursor::new(bytes)).is_ok_and(|archive| {
            let mut names = archive.file_names().flatten();
            names.any(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
        }),
        // the opcode PROTO with the number of a protocol, which may also be the length of a safetensors header
        [0x80, 2..=5, ..] => !begins_with_header(bytes),
        _ => false,
    }
}

/// Why such a file is refused, and what to do.
pub(super) fn refusal(path: &Path) -> Error {
    Error::format(
        path,
        "this is a Python pickle, as PyTorch saves it; reading one runs the code in it, so it is never read here\n\
         help: where you trust it, save its tensors in Python: `from safetensors.torch import save_file; \
         save_file(model.state_dict(), \"model.safetensors\")`; then give that file",
    )
}
