//! Weights of classes in the loss.

use std::fmt;
use std::str::FromStr;

/// How classes weigh in the loss.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// By rarity: `images / (classes · images of the class)`, as scikit-learn's `balanced`.
    Balanced,
    /// As given; classes that are not named weigh 1.
    Given(Vec<(usize, f32)>),
}

impl FromStr for ClassWeights {
    type Err = String;

    fn from_str(spec: &str) -> Result<Self, String> {
        if spec == "balanced" {
            return Ok(Self::Balanced);
        }
        let pair = |text: &str| {
            let (class, weight) = text.split_once('=')?;
            Some((
                class.trim().parse().ok()?,
                weight.trim().parse().ok().filter(|weight: &f32| *weight >= 0.0)?,
            ))
        };
        let pairs: Option<Vec<_>> = spec.split(',').map(pair).collect();
        pairs
            .map(Self::Given)
            .ok_or_else(|| format!("cannot read `{spec}`; e.g. `balanced` or `0=1.0,1=2.5`"))
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
    pub fn weights(&self, counts: &[usize]) -> Vec<f32> {
        match self {
            Self::Balanced => {
                let total: usize = counts.iter().sum();
                let weight = |count: &usize| match count {
                    0 => 0.0,
                    count => total as f32 / (counts.len() * count) as f32,
                };
                counts.iter().map(weight).collect()
            }
            Self::Given(pairs) => {
                let of = |class| {
                    pairs.iter().find(|(other, _)| *other == class).map_or(1.0, |(_, weight)| *weight)
                };
                (0..counts.len()).map(of).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_even_out_the_classes() {
        assert_eq!(ClassWeights::Balanced.weights(&[1, 3]), [2.0, 4.0 / 6.0]);
        let given: ClassWeights = "1=2.5".parse().expect("valid");
        assert_eq!(given.weights(&[1, 3]), [1.0, 2.5]);
        assert!("1:2".parse::<ClassWeights>().is_err());
    }
}
