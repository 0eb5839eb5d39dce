//! The arms that a search tries, by the scores, and those that it always compares with.

use super::{Arm, Cut, CutScore, Scores, Training, recommended};

/// Cuts whose arms are trained.
const CUTS: usize = 3;
/// Blocks that are unfrozen from the top of a cut.
const BLOCKS: [usize; 3] = [1, 2, 4];
/// Blocks that the grid unfreezes below the best cut as well.
const DEEP: [usize; 2] = [8, 16];
/// Rates of reused layers, as shares of the head's. The grid has both; in the record of small networks the lower one is never
/// better by more than a standard error.
const FACTORS: [f64; 2] = [0.1, 1.0];
/// The rate that is searched.
const FULL_RATE: [f64; 1] = [1.0];

/// The arms that every verdict is compared with.
#[derive(Clone, Debug, PartialEq)]
pub struct Baselines {
    /// What `train` does by itself.
    pub solved: Arm,
    /// The head alone, on the whole backbone.
    pub probe: Arm,
    /// All of the backbone, after the head.
    pub full: Arm,
    /// The textbook's procedure.
    pub gradual: Arm,
    /// From random weights.
    pub scratch: Arm,
}

impl Baselines {
    pub(super) fn of(top: &Cut, paths: &[String]) -> Self {
        let arm = |training| Arm::new(top, paths, training);
        let first = paths.first().cloned().unwrap_or_default();
        Self {
            solved: arm(Training::Solved),
            probe: arm(Training::Head),
            full: arm(Training::From { layer: first, factor: 1.0 }),
            gradual: arm(Training::Gradual),
            scratch: arm(Training::Scratch),
        }
    }

    /// All of them.
    pub fn all(&self) -> [&Arm; 5] {
        [&self.solved, &self.probe, &self.full, &self.gradual, &self.scratch]
    }
}

/// The arms around every cut, and more depths below the best one: the grid that [`candidates`] are taken from. `paths`: all
/// layers, from the lowest to the highest.
pub fn grid(scores: &Scores, paths: &[String]) -> (Vec<Arm>, Baselines) {
    let cuts = &scores.cuts;
    let all = recommended_first(cuts, 0..cuts.len());
    let mut arms: Vec<Arm> = all.flat_map(|index| around(cuts, index, paths, &BLOCKS, &FACTORS)).collect();
    let best = order(cuts).first().copied().unwrap_or(0);
    arms.extend(around(cuts, best, paths, &DEEP, &FULL_RATE));
    with_baselines(arms, scores, paths)
}

/// Cuts from the best to the worst, by their probes.
fn order(cuts: &[CutScore]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cuts.len()).collect();
    order.sort_by(|a, b| cuts[*a].probe.error().total_cmp(&cuts[*b].probe.error()));
    order
}

/// The cut that the scores recommend, then the others in their order: the first arm is the choice before anything is trained.
fn recommended_first(
    cuts: &[CutScore],
    order: impl IntoIterator<Item = usize>,
) -> impl Iterator<Item = usize> {
    let first = recommended(cuts).and_then(|best| cuts.iter().position(|score| score.cut == best.cut));
    first.into_iter().chain(order.into_iter().filter(move |index| Some(*index) != first))
}

/// The arms around the best cuts, and the one that the scores recommend. `paths`: all layers, from the lowest to the highest.
pub fn candidates(scores: &Scores, paths: &[String]) -> (Vec<Arm>, Baselines) {
    let cuts = &scores.cuts;
    let order = order(cuts);
    let best = order.first().copied().unwrap_or(0);
    let arms = recommended_first(cuts, order).take(CUTS).flat_map(|index| match index == best {
        true => around(cuts, index, paths, &BLOCKS, &FULL_RATE),
        false => around(cuts, index, paths, &[2], &FULL_RATE),
    });
    with_baselines(arms.collect(), scores, paths)
}

/// The arms that keep all up to a cut: the head alone, and so many blocks below it with it, at such shares of its rate.
fn around(cuts: &[CutScore], index: usize, paths: &[String], blocks: &[usize], factors: &[f64]) -> Vec<Arm> {
    let mut arms = vec![Arm::new(&cuts[index].cut, paths, Training::Head)];
    for below in blocks.iter().filter_map(|blocks| (index + 1).checked_sub(*blocks)) {
        let frozen = below.checked_sub(1).map_or(0, |below| cuts[below].cut.layers);
        let training_from = |factor: &f64| Training::From { layer: paths[frozen].clone(), factor: *factor };
        arms.extend(factors.iter().map(|factor| Arm::new(&cuts[index].cut, paths, training_from(factor))));
    }
    arms
}

/// With the arm that the scores recommend, and the baselines. No arm is there twice.
fn with_baselines(arms: Vec<Arm>, scores: &Scores, paths: &[String]) -> (Vec<Arm>, Baselines) {
    let baselines = Baselines::of(&scores.top, paths);
    let by_scores = recommended(&scores.cuts).zip(scores.unfreeze()).map(|(kept, layer)| {
        Arm::new(&kept.cut, paths, Training::From { layer: layer.to_owned(), factor: 1.0 })
    });
    let mut all: Vec<Arm> = Vec::new();
    for arm in arms.into_iter().chain(by_scores).chain(baselines.all().into_iter().cloned()) {
        if !all.contains(&arm) {
            all.push(arm);
        }
    }
    (all, baselines)
}

#[cfg(test)]
mod tests {
    use super::super::FreezeScore;
    use super::super::scores::RidgeProbe;
    use super::*;

    fn probe(error: f64) -> RidgeProbe {
        RidgeProbe { strength: 1.0, is_right: vec![true; 4], errors: vec![error; 4] }
    }

    /// Ten layers, cut behind every second; the fourth cut is best.
    fn scores() -> (Scores, Vec<String>) {
        let paths: Vec<String> = (0..10).map(|layer| format!("layer_{layer}")).collect();
        let cut = |index: usize| CutScore {
            cut: Cut { path: paths[2 * index + 1].clone(), layers: 2 * index + 2, shape: vec![1] },
            probe: probe(if index == 3 { 0.1 } else { 0.5 - 0.05 * index as f64 }),
            logme: 0.0,
            h_score: 0.0,
        };
        let freeze = |from: Option<usize>, error: f64| FreezeScore {
            from: from.map(|layer| paths[layer].clone()),
            frozen_layers: from.unwrap_or(8),
            probe: probe(error),
        };
        let freezes = vec![freeze(None, 0.3), freeze(Some(6), 0.3), freeze(Some(2), 0.2)];
        let cuts: Vec<CutScore> = (0..5).map(cut).collect();
        let top = cuts[4].cut.clone();
        (Scores { cuts, head: None, freezes, top }, paths)
    }

    #[test]
    fn arms_stand_around_the_best_cut_and_where_the_scores_say() {
        let (scores, paths) = scores();
        let (arms, baselines) = candidates(&scores, &paths);
        let arms_keeping = |kept: &str| -> Vec<&str> {
            let own = arms.iter().filter(|arm| arm.kept == kept);
            own.map(|arm| arm.name.split_once(", ").expect("two parts").1).collect()
        };
        let best =
            ["head only", "from layer_6 at 1", "from layer_4 at 1", "from layer_0 at 1", "from layer_2 at 1"];
        assert_eq!(arms_keeping("layer_7"), best);
        assert_eq!(arms_keeping("layer_1"), [""; 0], "the worst cut is not tried");
        assert_eq!(arms_keeping("layer_5"), ["head only", "from layer_2 at 1"]);
        assert!(baselines.all().iter().all(|baseline| arms.contains(baseline)));
        let (whole, _) = grid(&scores, &paths);
        assert!(arms.iter().all(|arm| whole.contains(arm)), "the search tries what the grid does not");
        assert_eq!((&whole[0], &arms[0].name[..]), (&arms[0], "layer_7, head only"));
        let names: std::collections::BTreeSet<&str> = whole.iter().map(|arm| arm.name.as_str()).collect();
        assert_eq!(names.len(), whole.len(), "an arm is there twice");
    }
}
