//! The nearest of many vectors, seen one after the other.

use std::fmt;
use std::str::FromStr;

use frostline_graph::{Error, Result};

/// How far apart two vectors are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distance {
    /// 1 less the cosine of the angle between them, from 0 to 2; 1 where one has no length.
    #[default]
    Cosine,
    /// The length of their difference.
    L2,
}

impl Distance {
    /// How far apart two vectors of one length are.
    pub fn between(self, a: &[f32], b: &[f32]) -> f64 {
        let sum = |of: &dyn Fn(f64, f64) -> f64| {
            a.iter().zip(b).map(|(a, b)| of(f64::from(*a), f64::from(*b))).sum::<f64>()
        };
        match self {
            Self::L2 => sum(&|a, b| (a - b) * (a - b)).sqrt(),
            Self::Cosine => {
                let lengths = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
                if lengths == 0.0 { 1.0 } else { (1.0 - sum(&|a, b| a * b) / lengths).max(0.0) }
            }
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
        })
    }
}

impl FromStr for Distance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "cosine" => Ok(Self::Cosine),
            "l2" => Ok(Self::L2),
            other => Err(Error::setting(format!("`{other}` is no distance\nhelp: give `cosine` or `l2`"))),
        }
    }
}

/// One of the nearest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbour {
    /// Its position among all that were seen.
    pub index: usize,
    /// How far it is.
    pub distance: f64,
}

/// Keeps the nearest of the vectors that it sees.
#[derive(Clone, Debug)]
pub struct Nearest {
    to: Vec<f32>,
    distance: Distance,
    most: usize,
    found: Vec<Neighbour>,
}

impl Nearest {
    /// The `most` nearest to a vector.
    pub fn new(to: Vec<f32>, distance: Distance, most: usize) -> Self {
        Self { to, distance, most, found: Vec::new() }
    }

    /// Looks at one more, at a position.
    pub fn see(&mut self, index: usize, vector: &[f32]) {
        let distance = self.distance.between(&self.to, vector);
        let place = self.found.partition_point(|other| other.distance <= distance);
        if place < self.most {
            self.found.insert(place, Neighbour { index, distance });
            self.found.truncate(self.most);
        }
    }

    /// The nearest first; of equals the one that was seen first.
    pub fn found(&self) -> &[Neighbour] {
        &self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_the_vector_itself_is_no_distance_away() {
        let vectors: Vec<Vec<f32>> =
            vec![vec![0.3, 0.7], vec![1.0, 0.0], vec![0.6, 1.4], vec![0.3, 0.7], vec![-0.3, -0.7]];
        let nearest = |distance, most| {
            let mut nearest = Nearest::new(vectors[0].clone(), distance, most);
            vectors.iter().enumerate().for_each(|(index, vector)| nearest.see(index, vector));
            nearest.found().to_vec()
        };
        let order = |found: &[Neighbour]| found.iter().map(|one| one.index).collect::<Vec<_>>();
        let found = nearest(Distance::L2, 3);
        assert_eq!((order(&found), found[0].distance, found[1].distance), (vec![0, 3, 2], 0.0, 0.0));
        let found = nearest(Distance::Cosine, 9);
        assert_eq!(order(&found), [0, 2, 3, 1, 4]);
        assert_eq!((found[0].distance, found[4].distance), (0.0, 2.0));
        assert_eq!(Distance::Cosine.between(&[0.0, 0.0], &[1.0, 2.0]), 1.0);
    }
}
