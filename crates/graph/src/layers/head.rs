//! The head's specification on the command line: `"gap dropout(0.3) dense(128,relu)"`.

use super::{
    BatchNormalization, Dense, Dropout, Flatten, GlobalPooling2D, Kind, NamedActivation,
    activation::Activation,
};
use crate::ops::{Dropped, PoolKind};
use crate::{Error, Result};

/// Layers of a head, from the lowest to the highest.
///
/// Words: `gap`, `gmp` (global average and maximum pooling), `flatten`, `batchnorm`, `dropout(rate)`,
/// `dense(units[,activation])`, and the name of any activation.
pub fn parse_head(spec: &str) -> Result<Vec<Kind>> {
    words(spec)?.into_iter().map(|word| parse_word(&word)).collect()
}

/// Splits at blanks outside of parentheses.
fn words(spec: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut depth) = (Vec::new(), String::new(), 0usize);
    for character in spec.chars() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(|| wrong(spec, "a `)` without a `(`"))?,
            _ => {}
        }
        match character.is_whitespace() && depth == 0 {
            true if !word.is_empty() => words.push(std::mem::take(&mut word)),
            true => {}
            false if character.is_whitespace() => {}
            false => word.push(character),
        }
    }
    if depth > 0 {
        return Err(wrong(spec, "a `(` without a `)`"));
    }
    words.extend((!word.is_empty()).then_some(word));
    Ok(words)
}

fn parse_word(word: &str) -> Result<Kind> {
    let (name, arguments) = match word.split_once('(') {
        Some((name, rest)) => (name, rest.trim_end_matches(')').split(',').map(str::trim).collect()),
        None => (word, Vec::new()),
    };
    let pooling = |kind| GlobalPooling2D { kind, keepdims: false, channels_first: false }.into();
    Ok(match (name, arguments.as_slice()) {
        ("gap", []) => pooling(PoolKind::Average),
        ("gmp", []) => pooling(PoolKind::Max),
        ("flatten", []) => Flatten.into(),
        ("batchnorm", []) => BatchNormalization::new().into(),
        ("dropout", [rate]) => {
            let rate = rate.parse().ok().filter(|rate| (0.0..1.0).contains(rate));
            let rate = rate.ok_or_else(|| wrong(word, "expected a rate from 0 to below 1"))?;
            Dropout { rate, dropped: Dropped::Elements }.into()
        }
        ("dense", [units, rest @ ..]) if rest.len() < 2 => {
            let units = units.parse().ok().filter(|units| (1..1 << 20).contains(units));
            let units = units.ok_or_else(|| wrong(word, "expected a number of units"))?;
            let activation = rest.first().copied().unwrap_or("linear");
            let activation = NamedActivation::named(activation)
                .ok_or_else(|| wrong(word, &format!("there is no activation `{activation}`")))?;
            Dense::new(units, activation).into()
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
    Error::Setting(format!(
        "cannot read `{word}` in the head: {what}\nhelp: e.g. --head \"gap dropout(0.3) dense(128,relu)\""
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
