//! Weights of classes in the loss.

use frostline_graph::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// How classes weigh in the loss.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// By rarity: `images / (classes · images of the class)`, as scikit-learn's `balanced`.
    Balanced,
    /// As given, by a class's name or, where no class has that name, its index; classes that are not named weigh 1.
    Given(Vec<(String, f32)>),
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(spec: &str) -> std::result::Result<Self, String> {
        if spec == "balanced" {
            return Ok(Self::Balanced);
        }
        let pair = |text: &str| {
            let (class, weight) = text.rsplit_once('=')?;
            let (class, weight): (&str, f32) = (class.trim(), weight.trim().parse().ok()?);
            (!class.is_empty() && (0.0..f32::INFINITY).contains(&weight)).then(|| (class.to_owned(), weight))
        };
        let pairs: Option<Vec<_>> = spec.split(',').map(pair).collect();
        pairs.map(Self::Given).ok_or_else(|| {
            format!("cannot read `{spec}`; e.g. `balanced`, `cat=1.0,dog=2.5` or `0=1.0,1=2.5`")
        })
    }
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Balanced => formatter.write_str("balanced"),
            Self::Given(pairs) => {
                let pairs: Vec<String> =
                    pairs.iter().map(|(class, weight)| format!("{class}={weight}")).collect();
                formatter.write_str(&pairs.join(","))
            }
        }
    }
}

impl ClassWeights {
    /// The weight of each class, given how many images each has.
    ///
    /// Errors: a weight of what is no class, a class with two weights, and weights that are all 0.
    pub fn weights(&self, classes: &[String], counts: &[usize]) -> Result<Vec<f32>> {
        match self {
            Self::Balanced => {
                let total: usize = counts.iter().sum();
                let weight = |count: &usize| match count {
                    0 => 0.0,
                    count => total as f32 / (counts.len() * count) as f32,
                };
                Ok(counts.iter().map(weight).collect())
            }
            Self::Given(pairs) => {
                let mut weights = vec![None; classes.len()];
                for (key, weight) in pairs {
                    let named = classes.iter().position(|class| class == key);
                    let index = || key.parse().ok().filter(|class: &usize| *class < classes.len());
                    let class = named.or_else(index).ok_or_else(|| unknown(key, classes))?;
                    if weights[class].replace(*weight).is_some() {
                        return Err(Error::setting(format!(
                            "class weights: `{key}` has two weights\nhelp: name each class once, by its name or its index"
                        )));
                    }
                }
                let weights: Vec<f32> = weights.into_iter().map(|weight| weight.unwrap_or(1.0)).collect();
                if weights.iter().all(|weight| *weight == 0.0) {
                    return Err(Error::setting(
                        "class weights: all are 0, and nothing would be learned\nhelp: give one class a weight above 0"
                            .to_owned(),
                    ));
                }
                Ok(weights)
            }
        }
    }
}

fn unknown(key: &str, classes: &[String]) -> Error {
    const SHOWN: usize = 8;
    let shown: Vec<String> = classes.iter().take(SHOWN).map(|class| format!("`{class}`")).collect();
    let more = if classes.len() > SHOWN { ", …" } else { "" };
    Error::setting(format!(
        "class weights: `{key}` is no class\nhelp: the classes are {}{more}, or by index 0 to {}",
        shown.join(", "),
        classes.len().saturating_sub(1)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_even_out_the_classes() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let balanced = ClassWeights::Balanced.weights(&classes, &[1, 3]);
        assert_eq!(balanced.expect("two classes"), [2.0, 4.0 / 6.0]);
        for spec in ["1=2.5", "b=2.5"] {
            let given: ClassWeights = spec.parse().expect("valid");
            assert_eq!(given.weights(&classes, &[1, 3]).expect("a class"), [1.0, 2.5]);
        }
        for spec in ["1:2", "=2", "1=-1", "1=inf", "1=nan"] {
            assert!(spec.parse::<ClassWeights>().is_err(), "{spec}");
        }
    }

    #[test]
    fn a_weight_of_no_class_is_not_passed_over() {
        let classes = ["a".to_owned(), "b".to_owned()];
        for (spec, word) in
            [("9=3", "`9` is no class"), ("c=1", "`c` is no class"), ("1=2,b=3", "two weights")]
        {
            let given: ClassWeights = spec.parse().expect("valid");
            let error = given.weights(&classes, &[1, 3]).expect_err(spec).to_string();
            assert!(error.contains(word) && error.contains("\nhelp: "), "{error}");
        }
    }
}
