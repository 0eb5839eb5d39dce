//! What is done to the data at hand, and what is saved with the model to be done to image files: by what the user says, by
//! what is known of the model, and, where the data are arrays, by the range of their values.

use crate::fit::{check_numbers, preprocess_of, takes_sequences};
use frostline_data::{Array, ArrayScale, Dataset, Preprocess, Split, ValueRange};
use frostline_graph::{Error, Model, Result, Shape};

/// The preprocessing of one set of data for one model.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// What is applied to the data.
    pub preprocess: Preprocess,
    /// The scale that arrays are on, from which they are brought to 0 to 255 first.
    pub arrays: ArrayScale,
    /// What makes the same of image files.
    pub of_files: Preprocess,
    /// What the user should know.
    pub notes: Vec<String>,
}

impl Applied {
    /// By `name`, which is `auto` or a preprocessing's. Values of arrays are floats that may be scaled already: their range
    /// decides.
    ///
    /// Error: there is no preprocessing of that name.
    pub fn to(model: &Model, name: &str, dataset: Option<&Dataset>, input: &Shape) -> Result<Self> {
        let array = dataset.and_then(|dataset| Some((dataset, dataset.array(Split::Train)?)));
        let known = preprocess_of(model);
        if takes_sequences(model) {
            let named = if name == "auto" { Preprocess::None } else { name.parse()? };
            if named != Preprocess::None {
                return Err(Error::setting(format!(
                    "the setting `preprocess = {named}` is for pixels, and the model takes sequences\nhelp: leave it out"
                )));
            }
            let Some((dataset, _)) = array else {
                return Err(Error::setting(format!(
                    "the model takes sequences {input:?}, which no photo is\nhelp: give them as an array, in a `.npz` file to train on or a `.npy` file to predict"
                )));
            };
            let ValueRange { min, max } = dataset.found_range();
            check_numbers(model, 0, min, max)?;
            return Ok(Self::plain(Preprocess::None, Preprocess::None));
        }
        if name != "auto" {
            return Self::named(name.parse()?, &known, array);
        }
        match array {
            // a row of a table is on a scale of its own
            Some((_, array)) if array.holds_floats() && input.len() < 2 => {
                Ok(Self::plain(Preprocess::None, known.map_or(Preprocess::None, |(own, _)| own)))
            }
            Some((dataset, array)) if array.holds_floats() => Ok(Self::to_floats(dataset, &known)),
            _ => {
                let mut applied = match &known {
                    Ok((own, _)) => Self::plain(own.clone(), own.clone()),
                    Err(why) => Self::unknown(why),
                };
                applied.notes.extend(array.and_then(|(dataset, _)| too_large(dataset)));
                Ok(applied)
            }
        }
    }

    fn plain(preprocess: Preprocess, of_files: Preprocess) -> Self {
        Self { preprocess, arrays: ArrayScale::Bytes, of_files, notes: Vec::new() }
    }

    fn unknown(why: &str) -> Self {
        let mut applied = Self::plain(Preprocess::None, Preprocess::None);
        applied.notes.push(format!(
            "{why}: pixels go in as 0 to 255; the setting `preprocess = tf`, unit, caffe or torch scales them"
        ));
        applied
    }

    fn named(named: Preprocess, known: &Known, array: Option<(&Dataset, &Array)>) -> Result<Self> {
        let mut applied = Self::plain(named.clone(), named.clone());
        if let Ok((own, how)) = known
            && *own != named
        {
            applied.notes.push(format!(
                "the setting `preprocess = {named}` is applied where the model's own preprocessing is `{own}` ({how})"
            ));
        }
        let floats = array.filter(|(_, array)| array.holds_floats());
        if named != Preprocess::None
            && let Some((dataset, _)) = floats
            && ArrayScale::of(dataset.found_range()) != Some(ArrayScale::Bytes)
        {
            applied.notes.push(format!(
                "the setting `preprocess = {named}` is for pixels of 0 to 255, but {}\nhelp: leave the setting `preprocess` out: the range decides",
                lie_in(dataset)
            ));
        }
        Ok(applied)
    }

    /// Floats that are images.
    fn to_floats(dataset: &Dataset, known: &Known) -> Self {
        let scale = ArrayScale::of(dataset.found_range());
        let (own, how) = match known {
            Ok((own, how)) => (own, how),
            Err(why) => {
                let of_files = scale.map_or(Preprocess::None, ArrayScale::as_preprocess);
                let mut applied = Self::plain(Preprocess::None, of_files.clone());
                let files = match scale {
                    Some(_) => format!("the saved model scales image files to that range (`{of_files}`)"),
                    None => "image files cannot be brought to that range: the saved model is for such arrays alone".to_owned(),
                };
                applied.notes.push(format!("{why}: {}, and go in as they are; {files}", lie_in(dataset)));
                return applied;
            }
        };
        let wanted = ArrayScale::taken_by(own);
        match scale {
            Some(scale) if wanted == Some(scale) => Self::plain(Preprocess::None, own.clone()),
            Some(scale) => {
                let mut applied = Self::plain(own.clone(), own.clone());
                applied.arrays = scale;
                let first =
                    if scale == ArrayScale::Bytes { "" } else { "they are brought to 0 to 255, and " };
                let then = match own {
                    Preprocess::None => "go in so".to_owned(),
                    own => format!("`{own}` is applied"),
                };
                applied.notes.push(format!(
                    "{}, which is not what the model takes (`{own}`, {how}): {first}{then}; the setting `preprocess = none` leaves them as they are",
                    lie_in(dataset)
                ));
                applied
            }
            None => {
                let mut applied = Self::plain(Preprocess::None, own.clone());
                let range = own.range().unwrap_or(ValueRange::BYTES);
                applied.notes.extend(
                    dataset.found_range().warning(range).map(|warning| {
                        format!("`{}` is taken as it is: {warning}", dataset.source.display())
                    }),
                );
                applied
            }
        }
    }
}

/// What [`preprocess_of`] says.
type Known = Result<(Preprocess, String), String>;

fn lie_in(dataset: &Dataset) -> String {
    let ValueRange { min, max } = dataset.found_range();
    format!("the values in `{}` lie in [{min}, {max}]", dataset.source.display())
}

/// Whole numbers that are no bytes.
fn too_large(dataset: &Dataset) -> Option<String> {
    let is_bytes = ArrayScale::of(dataset.found_range()).is_some();
    (!is_bytes).then(|| {
        format!("{}, where pixels of 0 to 255 are expected\nhelp: divide them so that they are, and save them again", lie_in(dataset))
    })
}
