//! Makes `crates/formats/src/onnx/proto.rs` from `onnx.proto`: `cargo run` in this folder. protox compiles the schema,
//! so that no protoc is needed.
//!
//! `onnx.proto` is the schema as the Python package `onnx` 1.23.2 ships it (Apache-2.0, © ONNX Project Contributors).

use std::path::Path;
use std::{error, fs};

/// What the generated file says of itself.
const HEAD: &str = "\
// Made by scripts/onnx-proto from the schema of ONNX 1.23 (Apache-2.0, © ONNX Project Contributors); do not edit.
";

fn main() -> Result<(), Box<dyn error::Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = protox::compile([here.join("onnx.proto")], [here])?;
    let made = tempdir()?;
    prost_build::Config::new()
        .out_dir(&made)
        // the schema's own comments are Markdown for its authors, not for rustdoc
        .disable_comments(["."])
        .compile_fds(schema)?;
    let code = fs::read_to_string(made.join("onnx.rs"))?;
    fs::remove_dir_all(&made)?;
    fs::write(here.join("../../crates/formats/src/onnx/proto.rs"), format!("{HEAD}{code}"))?;
    Ok(())
}

fn tempdir() -> std::io::Result<std::path::PathBuf> {
    let path = std::env::temp_dir().join(format!("onnx-proto-{}", std::process::id()));
    fs::create_dir_all(&path)?;
    Ok(path)
}
