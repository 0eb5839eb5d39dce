//! A build without the feature `onnx`: each ONNX file is refused by name.

/// Reading.
pub(crate) mod read {
    use crate::Loaded;
    use frostline_graph::Result;
    use std::path::Path;

    pub(crate) fn load(path: &Path, _: &[u8]) -> Result<Loaded> {
        Err(super::refused(path))
    }
}

/// Writing.
pub(crate) mod write {
    use crate::EmbeddedPreprocessing;
    use frostline_graph::{Model, Result};
    use std::path::Path;

    pub(crate) fn to_bytes(path: &Path, _: &Model, _: Option<&EmbeddedPreprocessing>) -> Result<Vec<u8>> {
        Err(super::refused(path))
    }
}

fn refused(path: &std::path::Path) -> frostline_graph::Error {
    let message = "this build knows no ONNX\nhelp: build frostline with its feature `onnx`, or use `.keras`";
    frostline_graph::Error::format(path, message)
}
