//! Features as arrays of NumPy.

use super::{Embedded, rows::Rows};
use frostline::FileError;
use frostline::data::{Example, LabelKind, Split, Target, npy};
use std::io;
use std::path::Path;

/// Writes `features` [images, width] with labels, paths and what made them.
pub(super) fn write(path: &Path, what: &Embedded<'_>, rows: Rows) -> Result<(), FileError> {
    let count = what.sound.len();
    let shape: Vec<usize> = std::iter::once(count).chain(what.shape.iter().copied()).collect();
    npy::stream_npz(path, |npz| {
        npz.floats("features", &shape, |out| io::copy(&mut rows.read()?, out).map(|_| ()))?;
        labels(npz, what)?;
        npz.texts("paths", &[count], what.sound.iter().map(|(_, example)| example.name.as_str()))?;
        npz.texts("part", &[count], what.sound.iter().map(|(split, _)| split.name()))?;
        let classes = what.classes;
        npz.texts("classes", &[classes.len()], classes.iter().map(String::as_str))?;
        npz.texts("layer", &[], std::iter::once(what.layer))
    })
}

fn labels(npz: &mut npy::NpzWriter<'_>, what: &Embedded<'_>) -> io::Result<()> {
    let (sound, count, width) = (what.sound, what.sound.len(), what.label_len);
    match what.labels {
        None => npz.integers("labels", &[count], std::iter::repeat_n(-1, count)),
        Some(LabelKind::Classes) => {
            let class = |(_, example): &(Split, &Example)| match &example.target {
                Target::Class(class) => *class as i64,
                Target::Labels(_) | Target::Value(_) => -1,
            };
            npz.integers("labels", &[count], sound.iter().map(class))
        }
        Some(LabelKind::Labels) => {
            let of_example = |(_, example): &(Split, &Example)| {
                let has =
                    |label| matches!(&example.target, Target::Labels(labels) if labels.contains(&label));
                (0..width).map(|label| i64::from(has(label))).collect::<Vec<_>>()
            };
            npz.integers("labels", &[count, width], sound.iter().flat_map(of_example))
        }
        Some(LabelKind::Numbers) => npz.floats("labels", &[count, width], |out| {
            for (_, example) in sound {
                if let Target::Value(values) = &example.target {
                    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))?;
                }
            }
            Ok(())
        }),
    }
}
