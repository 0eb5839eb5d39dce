//! What each epoch scores: which is best, whether to stop, whether to lower the rate.

use super::{Plateau, Schedule};
use crate::fit::checkpoint::exact;
use serde::{Deserialize, Serialize};

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Best {
    /// Its score.
    #[serde(with = "exact")]
    pub score: f64,
    /// Its loss, which decides between equal scores.
    #[serde(with = "exact")]
    pub loss: f64,
    /// Which it is, from 1; 0 is the state before the first.
    pub epoch: usize,
}

/// Watches the score of each epoch: what is best, whether to stop, whether to lower the rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    higher_is_better: bool,
    /// The best epoch.
    pub best: Option<Best>,
    waited: usize,
    plateau_waited: usize,
    /// The factor that plateaus have brought the rate to.
    #[serde(with = "exact")]
    pub plateau_factor: f32,
}

impl Watch {
    /// Nothing seen yet.
    pub(crate) fn new(higher_is_better: bool) -> Self {
        Self { higher_is_better, best: None, waited: 0, plateau_waited: 0, plateau_factor: 1.0 }
    }

    /// Takes in an epoch's score; true if it is the best so far: a better score, or an equal one at a lower loss. A
    /// score that is no number never is.
    pub(crate) fn observe(&mut self, epoch: usize, score: f64, loss: f64, schedule: Schedule) -> bool {
        let improves = |best: Best| match self.higher_is_better {
            _ if score == best.score => loss < best.loss,
            true => score > best.score,
            false => score < best.score,
        };
        let is_best = !score.is_nan() && self.best.is_none_or(improves);
        if is_best {
            self.best = Some(Best { score, loss, epoch });
            (self.waited, self.plateau_waited) = (0, 0);
            return true;
        }
        self.waited += 1;
        self.plateau_waited += 1;
        if let Schedule::Plateau(Plateau { factor, patience }) = schedule
            && self.plateau_waited >= patience.max(1)
        {
            self.plateau_factor *= factor;
            self.plateau_waited = 0;
        }
        false
    }

    /// Whether the score has not improved for `patience` epochs.
    pub(crate) fn is_exhausted(&self, patience: Option<usize>) -> bool {
        patience.is_some_and(|patience| self.waited >= patience.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_epoch_is_kept_and_patience_ends() {
        let mut watch = Watch::new(true);
        let schedule = Schedule::Plateau(Plateau { factor: 0.5, patience: 2 });
        let best: Vec<bool> = [(0.5, 1.0), (0.7, 0.8), (0.6, 0.1), (0.7, 0.8), (f64::NAN, 0.1)]
            .iter()
            .enumerate()
            .map(|(epoch, (score, loss))| watch.observe(epoch, *score, *loss, schedule))
            .collect();
        assert_eq!(best, [true, true, false, false, false]);
        assert_eq!(watch.best, Some(Best { score: 0.7, loss: 0.8, epoch: 1 }));
        assert!(Watch { best: watch.best, ..Watch::new(true) }.observe(5, 0.7, 0.7, schedule));
        assert_eq!(watch.plateau_factor, 0.5);
        assert!(watch.is_exhausted(Some(3)) && !watch.is_exhausted(Some(4)) && !watch.is_exhausted(None));
    }
}
