//! Which boundaries' rows are worth their bytes: storing against computing again, by measured costs.

/// What things cost on this machine, with this source of images.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Costs {
    /// Seconds to decode and resize one image.
    pub(super) decode: f64,
    /// Multiply-adds of frozen layers a second.
    pub(super) multiply_adds: f64,
    /// Bytes of rows that are written a second.
    pub(super) write: f64,
    /// Bytes of rows that are read a second.
    pub(super) read: f64,
}

/// A stage, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Need {
    /// The boundary that it trains above.
    pub(super) boundary: usize,
    /// How often its rows are read.
    pub(super) epochs: f64,
    /// How likely the stage is reached.
    pub(super) chance: f64,
}

/// A boundary, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Bytes of a row.
    pub(super) row: f64,
    /// Rows of all parts and views.
    pub(super) rows: f64,
    /// Rows that are not stored yet.
    pub(super) missing: f64,
    /// The first stage in which its rows can be made: from then on nothing below it trains until it is needed.
    pub(super) from: usize,
    /// Multiply-adds from the images.
    pub(super) multiply_adds: f64,
    /// Multiply-adds from each other boundary, where that is enough.
    pub(super) above: Vec<Option<f64>>,
}

/// What is decided, and what it costs.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Choice {
    /// Of each boundary: whether its rows are stored.
    pub(super) stored: Vec<bool>,
    /// Of each boundary: the stage whose pass makes its rows, where rows are missing.
    pub(super) made: Vec<Option<usize>>,
    /// Of each boundary: the boundary that its rows are made from; none for the images.
    pub(super) start: Vec<Option<usize>>,
    /// Of each stage: seconds for rows that are made, once or in each epoch.
    pub(super) seconds: Vec<f64>,
    /// Of each boundary: seconds for its missing rows by themselves.
    pub(super) alone: Vec<f64>,
    /// With reading and writing, and with chances.
    total: f64,
}

/// Another run at the same boundary is likely: rows are worth one reading more than their own job's.
const LATER: f64 = 1.0;

/// Decides by adding the boundary that saves most, for as long as one saves anything and fits into `limit` bytes.
pub(super) fn choose(needs: &[Need], candidates: &[Candidate], costs: Costs, limit: f64) -> Choice {
    let mut stored: Vec<bool> = candidates.iter().map(|candidate| candidate.missing == 0.0).collect();
    let mut best = simulate(needs, candidates, costs, &stored);
    loop {
        let used: f64 = bytes(candidates, &stored);
        let better = (0..candidates.len())
            .filter(|index| {
                !stored[*index] && used + candidates[*index].rows * candidates[*index].row <= limit
            })
            .map(|index| {
                let mut with = stored.clone();
                with[index] = true;
                simulate(needs, candidates, costs, &with)
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
    each.map(|(candidate, _)| candidate.rows * candidate.row).sum()
}

/// What a job costs that stores these boundaries.
fn simulate(needs: &[Need], candidates: &[Candidate], costs: Costs, stored: &[bool]) -> Choice {
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
            let rows = targets.iter().map(|index| candidates[*index].missing).fold(0.0, f64::max);
            let (start, seconds) = cheapest(candidates, &targets, costs, &have);
            choice.seconds[stage] += rows * seconds;
            for index in targets {
                let candidate = &candidates[index];
                choice.total += need.chance * candidate.missing * candidate.row / costs.write;
                let alone = match start {
                    Some(_) => seconds,
                    None => costs.decode + candidate.multiply_adds / costs.multiply_adds,
                };
                choice.alone[index] = candidate.missing * alone;
                (choice.made[index], choice.start[index], have[index]) = (Some(stage), start, true);
            }
        }
        let own = &candidates[need.boundary];
        if have[need.boundary] {
            choice.total += need.chance * (need.epochs + LATER) * own.rows * own.row / costs.read;
        } else {
            let (start, seconds) = cheapest(candidates, &[need.boundary], costs, &have);
            choice.start[need.boundary] = start;
            choice.alone[need.boundary] = own.rows * seconds;
            choice.seconds[stage] += need.epochs * own.rows * seconds;
            choice.total += need.chance * LATER * own.rows * seconds;
        }
        choice.total += need.chance * choice.seconds[stage];
    }
    choice
}

/// Where a pass to these boundaries starts, and its seconds an image. What they have in common is computed once, so that
/// the dearest counts.
fn cheapest(
    candidates: &[Candidate],
    targets: &[usize],
    costs: Costs,
    have: &[bool],
) -> (Option<usize>, f64) {
    let dearest = |of: &dyn Fn(usize) -> Option<f64>| {
        targets.iter().map(|index| of(*index)).try_fold(0.0, |most: f64, one| Some(most.max(one?)))
    };
    let images = dearest(&|index| Some(candidates[index].multiply_adds)).unwrap_or(0.0);
    let mut best = (None, costs.decode + images / costs.multiply_adds);
    for start in (0..candidates.len()).filter(|start| have[*start]) {
        if let Some(above) = dearest(&|index| candidates[index].above[start]) {
            let seconds = candidates[start].row / costs.read + above / costs.multiply_adds;
            if seconds < best.1 {
                best = (Some(start), seconds);
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
    fn tower(rows: &[(f64, f64)]) -> Vec<Candidate> {
        let candidate = |(index, (row, multiply_adds)): (usize, &(f64, f64))| Candidate {
            row: *row,
            rows: 1000.0,
            missing: 1000.0,
            from: 0,
            multiply_adds: *multiply_adds,
            above: rows
                .iter()
                .enumerate()
                .map(|(lower, (_, below))| (lower <= index).then_some(multiply_adds - below))
                .collect(),
        };
        rows.iter().enumerate().map(candidate).collect()
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
        // the upper boundary's rows are a hundred times as long, and a step away
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
    fn the_limit_is_kept_by_leaving_out_what_saves_least() {
        let found = choose(&[need(1, 1.0), need(0, 1.0)], &tower(&[(30e3, 2e8), (5e3, 3e8)]), COSTS, 10e6);
        assert_eq!(found.stored, [false, true]);
    }
}
