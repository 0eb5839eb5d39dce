//! The head's specification on the command line: `"gap dropout(0.3) dense(128,relu)"`.

use super::{
    BatchNormalization, Dense, Dropout, Flatten, GlobalPooling2D, Kind, NamedActivation,
    activation::Activation,
};
use crate::ops::{Dropped, PoolKind};
use crate::{Error, Result, Spec};

/// Layers of a head, from the lowest to the highest.
///
/// Words: `gap`, `gmp` (global average and maximum pooling), `flatten`, `batchnorm`, `dropout(rate)`,
/// `dense(units[,activation])`, and the name of any activation.
pub fn parse_head(spec: &str) -> Result<Vec<Kind>> {
    let words = Spec::parse_all(spec, &[' ', '\t', '\n']).map_err(|what| wrong(spec, &what))?;
    words.iter().map(parse_word).collect()
}

fn parse_word(spec: &Spec<'_>) -> Result<Kind> {
    let word = spec.text;
    let pooling = |kind| GlobalPooling2D { kind, keepdims: false, channels_first: false }.into();
    Ok(match (spec.name, spec.arguments.as_slice()) {
        ("gap", []) => pooling(PoolKind::Average),
        ("gmp", []) => pooling(PoolKind::Max),
        ("flatten", []) => Flatten.into(),
        ("batchnorm", []) => BatchNormalization::new().into(),
        ("dropout", [rate]) => {
            let rate = rate.parse().ok().filter(|rate| (0.0..1.0).contains(rate));
            let rate = rate.ok_or_else(|| wrong(word, "expected a rate from 0 to below 1"))?;
            Dropout { rate, dropped: Dropped::Elements, noise_shape: Vec::new() }.into()
        }
        ("dense", [units, rest @ ..]) if rest.len() < 2 => {
            let units = units.parse().ok().filter(|units| (1..1 << 20).contains(units));
            let units = units.ok_or_else(|| wrong(word, "expected a number of units"))?;
            let activation = rest.first().copied().unwrap_or("linear");
            let activation = NamedActivation::named(activation)
                .ok_or_else(|| wrong(word, &format!("there is no activation `{activation}`")))?;
            Dense::new(units).activation(activation).into()
        }
        (name, []) if NamedActivation::named(name).is_some() => {
            let activation = NamedActivation::named(name).unwrap_or(NamedActivation::LINEAR);
            Activation { activation }.into()
        }
        _ => {
            return Err(wrong(
                word,
                "expected gap, gmp, flatten, batchnorm, dropout(0.3), dense(128,relu) or an activation",
            ));
        }
    })
}

fn wrong(word: &str, what: &str) -> Error {
    Error::setting(format!(
        "cannot read `{word}` in the head: {what}\nhelp: e.g. the setting `head = gap dropout(0.3) dense(128,relu)`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_word_by_word() {
        let head = parse_head("gap dropout(0.3) dense( 128, relu )").expect("a valid head");
        let classes: Vec<_> = head.iter().map(|kind| kind.class_name()).collect();
        assert_eq!(classes, ["GlobalAveragePooling2D", "Dropout", "Dense"]);
    }

    #[test]
    fn mistakes_are_named() {
        for spec in ["dens(3)", "dense(x)", "dense(3,rely)", "dropout(1)", "dense(3", "dense 3)"] {
            let message = parse_head(spec).expect_err(spec).to_string();
            assert!(message.contains("help:"), "{spec}: {message}");
        }
    }
}
