//! Which boundaries' feature vectors are worth their bytes: storing against computing again. What decides is what things typically cost,
//! never a clock: two runs of one command store the same.

use crate::fit::Caching;
use frostline_data::{Dataset, Split};

/// What things cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::fit) struct Costs {
    /// Seconds to decode and resize one image.
    pub(in crate::fit) decode: f64,
    /// Multiply-adds of frozen layers a second.
    pub(in crate::fit) multiply_adds: f64,
    /// Bytes of feature vectors that are written a second.
    pub(in crate::fit) write: f64,
    /// Bytes of feature vectors that are read a second.
    pub(in crate::fit) read: f64,
}

impl Costs {
    /// By which is decided: orders of magnitude of a processor with a few cores.
    pub(in crate::fit) fn typical(dataset: &Dataset, caching: &Caching) -> Self {
        // a photo of 500 x 375 pixels is decoded and resized in 2 ms, a feature vector of an array is copied
        let decode = if dataset.array(Split::Train).is_some() { 1e-5 } else { 2e-3 };
        let [write, read] = match caching {
            // files are written to the system's memory, and read from there
            Caching::Disk(_) => [1e9, 5e9],
            Caching::Memory(_) => [1e10; 2],
            Caching::Nothing => [1.0; 2], // no feature vector is written or read
        };
        Self { decode, multiply_adds: 1e11, write, read }
    }
}

/// By what is decided, and in what the decision's seconds are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::fit) struct Prices {
    pub(in crate::fit) decide: Costs,
    pub(in crate::fit) tell: Costs,
}

impl From<Costs> for Prices {
    fn from(costs: Costs) -> Self {
        Self { decide: costs, tell: costs }
    }
}

/// A stage, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::fit) struct Need {
    /// The boundary that it trains above.
    pub(in crate::fit) boundary: usize,
    /// How often its feature vectors are read.
    pub(in crate::fit) epochs: f64,
    /// How likely the stage is reached.
    pub(in crate::fit) chance: f64,
}

/// A boundary, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::fit) struct Candidate {
    /// Bytes of a feature vector.
    pub(in crate::fit) vector_bytes: f64,
    /// Feature vectors of all parts and views.
    pub(in crate::fit) vectors: f64,
    /// Feature vectors that are not stored yet.
    pub(in crate::fit) missing: f64,
    /// The first stage in which its feature vectors can be made: from then on nothing below it trains until it is needed.
    pub(in crate::fit) from: usize,
    /// Multiply-adds from the images.
    pub(in crate::fit) multiply_adds: f64,
    /// Multiply-adds from each other boundary, where that is enough.
    pub(in crate::fit) above: Vec<Option<f64>>,
}

/// What is decided, and what it costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::fit) struct Choice {
    /// Of each boundary: whether its feature vectors are stored.
    pub(in crate::fit) stored: Vec<bool>,
    /// Of each boundary: the stage whose pass makes its feature vectors, where feature vectors are missing.
    pub(in crate::fit) made: Vec<Option<usize>>,
    /// Of each boundary: the boundary that its feature vectors are made from; none for the images.
    pub(in crate::fit) start: Vec<Option<usize>>,
    /// Of each stage: seconds for feature vectors that are made, once or in each epoch, as they are told.
    pub(in crate::fit) seconds: Vec<f64>,
    /// Of each boundary: seconds for its missing feature vectors by themselves.
    pub(in crate::fit) alone: Vec<f64>,
    /// With reading and writing, and with chances.
    total: f64,
}

/// Another run at the same boundary is likely: feature vectors are worth one reading more than their own job's.
const LATER: f64 = 1.0;

/// Decides by adding the boundary that saves most, for as long as one saves anything and fits into `limit` bytes.
pub(in crate::fit) fn choose(
    needs: &[Need],
    candidates: &[Candidate],
    prices: impl Into<Prices>,
    limit: f64,
) -> Choice {
    let prices = prices.into();
    let mut stored: Vec<bool> = candidates.iter().map(|candidate| candidate.missing == 0.0).collect();
    let mut best = simulate(needs, candidates, prices, &stored);
    loop {
        let used: f64 = bytes(candidates, &stored);
        let better = (0..candidates.len())
            .filter(|index| {
                !stored[*index]
                    && used + candidates[*index].vectors * candidates[*index].vector_bytes <= limit
            })
            .map(|index| {
                let mut with = stored.clone();
                with[index] = true;
                simulate(needs, candidates, prices, &with)
            })
            .min_by(|a, b| a.total.total_cmp(&b.total))
            .filter(|choice| choice.total < best.total);
        match better {
            Some(choice) => (stored, best) = (choice.stored.clone(), choice),
            None => return best,
        }
    }
}

fn bytes(candidates: &[Candidate], stored: &[bool]) -> f64 {
    let each = candidates.iter().zip(stored).filter(|(_, stored)| **stored);
    each.map(|(candidate, _)| candidate.vectors * candidate.vector_bytes).sum()
}

/// What a job costs that stores these boundaries.
fn simulate(needs: &[Need], candidates: &[Candidate], prices: Prices, stored: &[bool]) -> Choice {
    let Prices { decide, tell } = prices;
    let count = candidates.len();
    let mut have: Vec<bool> = candidates.iter().map(|candidate| candidate.missing == 0.0).collect();
    let mut choice = Choice {
        stored: stored.to_vec(),
        made: vec![None; count],
        start: vec![None; count],
        seconds: vec![0.0; needs.len()],
        alone: vec![0.0; count],
        total: 0.0,
    };
    for (stage, need) in needs.iter().enumerate() {
        let due = |index: &usize| stored[*index] && !have[*index] && candidates[*index].from <= stage;
        let targets: Vec<usize> = (0..count).filter(due).collect();
        if !targets.is_empty() {
            let vectors = targets.iter().map(|index| candidates[*index].missing).fold(0.0, f64::max);
            let pass = cheapest(candidates, &targets, decide, &have);
            let start = pass.start;
            choice.seconds[stage] += vectors * pass.seconds(tell);
            choice.total += need.chance * vectors * pass.seconds(decide);
            for index in targets {
                let candidate = &candidates[index];
                choice.total += need.chance * candidate.missing * candidate.vector_bytes / decide.write;
                let alone = match start {
                    Some(_) => pass.seconds(tell),
                    None => tell.decode + candidate.multiply_adds / tell.multiply_adds,
                };
                choice.alone[index] = candidate.missing * alone;
                (choice.made[index], choice.start[index], have[index]) = (Some(stage), start, true);
            }
        }
        let own = &candidates[need.boundary];
        if have[need.boundary] {
            choice.total +=
                need.chance * (need.epochs + LATER) * own.vectors * own.vector_bytes / decide.read;
        } else {
            let pass = cheapest(candidates, &[need.boundary], decide, &have);
            choice.start[need.boundary] = pass.start;
            choice.alone[need.boundary] = own.vectors * pass.seconds(tell);
            choice.seconds[stage] += need.epochs * own.vectors * pass.seconds(tell);
            choice.total += need.chance * (need.epochs + LATER) * own.vectors * pass.seconds(decide);
        }
    }
    choice
}

/// What a pass takes for an image.
#[derive(Clone, Copy)]
struct Pass {
    /// The boundary that it starts at; none for the images.
    start: Option<usize>,
    /// Bytes of a feature vector that it starts from.
    vector_bytes: f64,
    multiply_adds: f64,
}

impl Pass {
    fn seconds(&self, costs: Costs) -> f64 {
        let begin = if self.start.is_some() { self.vector_bytes / costs.read } else { costs.decode };
        begin + self.multiply_adds / costs.multiply_adds
    }
}

/// The cheapest pass to these boundaries. What they have in common is computed once, so that the one that takes most counts.
fn cheapest(candidates: &[Candidate], targets: &[usize], costs: Costs, have: &[bool]) -> Pass {
    let dearest = |of: &dyn Fn(usize) -> Option<f64>| {
        targets.iter().map(|index| of(*index)).try_fold(0.0, |most: f64, one| Some(most.max(one?)))
    };
    let images = dearest(&|index| Some(candidates[index].multiply_adds)).unwrap_or(0.0);
    let mut best = Pass { start: None, vector_bytes: 0.0, multiply_adds: images };
    for start in (0..candidates.len()).filter(|start| have[*start]) {
        if let Some(multiply_adds) = dearest(&|index| candidates[index].above[start]) {
            let pass =
                Pass { start: Some(start), vector_bytes: candidates[start].vector_bytes, multiply_adds };
            if pass.seconds(costs) < best.seconds(costs) {
                best = pass;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs { decode: 1e-3, multiply_adds: 1e11, write: 1e9, read: 1e10 };

    /// A tower of boundaries, from the lowest to the highest, each above all before it.
    fn tower(vectors: &[(f64, f64)]) -> Vec<Candidate> {
        let candidate = |(index, (vector, multiply_adds)): (usize, &(f64, f64))| Candidate {
            vector_bytes: *vector,
            vectors: 1000.0,
            missing: 1000.0,
            from: 0,
            multiply_adds: *multiply_adds,
            above: vectors
                .iter()
                .enumerate()
                .map(|(lower, (_, below))| (lower <= index).then_some(multiply_adds - below))
                .collect(),
        };
        vectors.iter().enumerate().map(candidate).collect()
    }

    fn need(boundary: usize, chance: f64) -> Need {
        Need { boundary, epochs: 5.0, chance }
    }

    #[test]
    fn one_pass_makes_the_rows_of_both_stages() {
        let found = choose(&[need(1, 1.0), need(0, 1.0)], &tower(&[(30e3, 2e8), (5e3, 3e8)]), COSTS, 1e9);
        assert_eq!((&found.stored, &found.made), (&vec![true; 2], &vec![Some(0); 2]));
        assert_eq!((found.seconds[0] > 1.0, found.seconds[1]), (true, 0.0));
    }

    #[test]
    fn rows_that_cost_more_to_read_than_to_compute_from_lower_ones_are_not_stored() {
        // the upper boundary's feature vectors are a hundred times as long, and a step away
        let found = choose(&[need(0, 1.0), need(1, 1.0)], &tower(&[(10e3, 2e8), (1e7, 2.01e8)]), COSTS, 1e12);
        assert_eq!((&found.stored, found.start[1]), (&vec![true, false], Some(0)));
    }

    #[test]
    fn a_boundary_that_is_hardly_ever_reached_is_not_worth_its_bytes() {
        let low_first = tower(&[(3e6, 1e8), (5e3, 3e8)]);
        let stored = |chance| choose(&[need(1, 1.0), need(0, chance)], &low_first, COSTS, 1e12).stored;
        assert_eq!(stored(1.0), [true, true]);
        assert_eq!(stored(0.01), [false, true]);
    }

    #[test]
    fn what_is_measured_tells_seconds_and_decides_nothing() {
        let slow = Costs { decode: 1.0, multiply_adds: 1e3, write: 1.0, read: 1.0 };
        let candidates = tower(&[(3e6, 1e8), (5e3, 3e8)]);
        let needs = [need(1, 1.0), need(0, 0.01)];
        let typical = choose(&needs, &candidates, COSTS, 1e12);
        let told = choose(&needs, &candidates, Prices { decide: COSTS, tell: slow }, 1e12);
        assert_eq!((&typical.stored, &typical.made, &typical.start), (&told.stored, &told.made, &told.start));
        assert!(told.seconds[0] > 1e3 * typical.seconds[0]);
    }

    #[test]
    fn the_limit_is_kept_by_leaving_out_what_saves_least() {
        let found = choose(&[need(1, 1.0), need(0, 1.0)], &tower(&[(30e3, 2e8), (5e3, 3e8)]), COSTS, 10e6);
        assert_eq!(found.stored, [false, true]);
    }
}
