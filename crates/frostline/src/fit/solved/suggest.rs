//! Which unlabelled images are worth labelling next.

use super::reading::views::Seen;

/// Of the least certain images so many times as are wanted are compared with one another.
const LOOKED_AT: usize = 5;

/// An image that is worth labelling.
#[derive(Clone, Debug, PartialEq)]
pub struct Worth {
    /// Its position.
    pub index: usize,
    /// The two likeliest classes, and their probabilities.
    pub likeliest: [(usize, f32); 2],
}

/// At most `count` images, the most worth first: the model is least sure of them (the margin between the two likeliest classes;
/// Scheffer et al. 2001), and each is far from those before it (greedy k-centre; Sener and Savarese 2018), so that copies of one
/// scene are not all asked for.
///
/// Where an image may have `several_labels`, it is as unsure as the label that is nearest to one half.
pub fn worth_labelling(seen: &[Seen], count: usize, several_labels: bool) -> Vec<Worth> {
    let mut unsure: Vec<Worth> =
        seen.iter().enumerate().map(|(index, one)| worth(index, &one.outputs)).collect();
    let from_half = |index: usize| {
        let margins = seen[index].outputs.iter().map(|share| (2.0 * share - 1.0).abs());
        margins.fold(f32::INFINITY, f32::min)
    };
    let margin = |one: &Worth| match several_labels {
        true => from_half(one.index),
        false => one.likeliest[0].1 - one.likeliest[1].1,
    };
    unsure.sort_by(|a, b| margin(a).total_cmp(&margin(b)).then(a.index.cmp(&b.index)));
    unsure.truncate(count.saturating_mul(LOOKED_AT));
    let mut chosen: Vec<Worth> = Vec::new();
    let mut distances = vec![f64::INFINITY; unsure.len()];
    while chosen.len() < count && !unsure.is_empty() {
        // the first of equals is the least certain
        let best = (0..unsure.len())
            .max_by(|a, b| distances[*a].total_cmp(&distances[*b]).then(b.cmp(a)))
            .unwrap_or(0);
        let taken = unsure.remove(best);
        distances.remove(best);
        for (distance, other) in distances.iter_mut().zip(&unsure) {
            *distance = distance.min(apart(&seen[taken.index].features, &seen[other.index].features));
        }
        chosen.push(taken);
    }
    chosen
}

fn worth(index: usize, outputs: &[f32]) -> Worth {
    let shares: Vec<f32> = match outputs {
        [one] => vec![1.0 - one, *one],
        outputs => outputs.to_vec(),
    };
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|a, b| shares[*b].total_cmp(&shares[*a]).then(a.cmp(b)));
    let place = |at: usize| order.get(at).map_or((0, 0.0), |class| (*class, shares[*class]));
    Worth { index, likeliest: [place(0), place(1)] }
}

/// How far two vectors point apart: 1 less the cosine.
fn apart(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_certain_come_first_and_no_copies() {
        let seen = |share: f32, features: [f32; 2]| Seen {
            outputs: vec![share, 1.0 - share],
            is_foreign: None,
            features: features.to_vec(),
        };
        // the first is certain, the third like the second
        let all =
            [seen(0.99, [1.0, 0.0]), seen(0.5, [1.0, 1.0]), seen(0.51, [1.0, 1.0]), seen(0.55, [0.0, 1.0])];
        let chosen: Vec<usize> =
            worth_labelling(&all[..], 2, false).iter().map(|worth| worth.index).collect();
        assert_eq!(chosen, [1, 3]);
        let three: Vec<usize> =
            worth_labelling(&all[1..], 2, false).iter().map(|worth| worth.index).collect();
        assert_eq!(three, [0, 2]);
        assert!(worth_labelling(&[], 3, false).is_empty());
    }
}
