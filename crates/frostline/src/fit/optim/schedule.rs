//! Learning-rate schedules: a factor on the stage's rate. Source: `keras.optimizers.schedules`,
//! `keras.callbacks.ReduceLROnPlateau`.

use std::fmt;
use std::str::FromStr;

/// How the rate moves within a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Multiplied with `rate` at each epoch, smoothly (`ExponentialDecay` over an epoch's steps).
    Exponential {
        /// In `(0, 1]`.
        rate: f32,
    },
    /// Half a cosine from 1 down to `floor` (`CosineDecay`).
    Cosine {
        /// What is left at the end.
        floor: f32,
    },
    /// Multiplied with `factor` after `patience` epochs without a better score (`ReduceLROnPlateau`).
    Plateau {
        /// In `(0, 1)`.
        factor: f32,
        /// Epochs.
        patience: usize,
    },
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(spec: &str) -> Result<Self, String> {
        let (name, arguments) = match spec.split_once('(') {
            Some((name, rest)) => (name, rest.trim_end_matches(')').split(',').map(str::trim).collect()),
            None => (spec, Vec::new()),
        };
        let number = |index: usize, default: f32| match arguments.get(index) {
            None => Ok(default),
            Some(text) => text.parse::<f32>().map_err(|_| format!("`{text}` in `{spec}` is no number")),
        };
        let share = |value: f32| match value > 0.0 && value <= 1.0 {
            true => Ok(value),
            false => Err(format!("{value} in `{spec}` must lie above 0 and at most at 1")),
        };
        match name {
            "constant" => Ok(Self::Constant),
            "exponential" => Ok(Self::Exponential { rate: share(number(0, 0.9)?)? }),
            "cosine" => Ok(Self::Cosine { floor: number(0, 0.0)?.clamp(0.0, 1.0) }),
            "plateau" => {
                Ok(Self::Plateau { factor: share(number(0, 0.5)?)?, patience: number(1, 3.0)? as usize })
            }
            _ => Err(format!(
                "there is no schedule `{name}`; known are constant, exponential(0.9), cosine, plateau(0.5,3)"
            )),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => formatter.write_str("constant"),
            Self::Exponential { rate } => write!(formatter, "exponential({rate})"),
            Self::Cosine { floor } => write!(formatter, "cosine({floor})"),
            Self::Plateau { factor, patience } => write!(formatter, "plateau({factor},{patience})"),
        }
    }
}

impl Schedule {
    /// The factor at a step of a stage of `total` steps. A plateau's factor is kept by [`Watch`].
    pub fn factor(self, step: u64, total: u64, steps_per_epoch: u64) -> f32 {
        match self {
            Self::Constant | Self::Plateau { .. } => 1.0,
            Self::Exponential { rate } => rate.powf(step as f32 / steps_per_epoch.max(1) as f32),
            Self::Cosine { floor } => {
                let progress = step as f32 / total.max(1) as f32;
                floor + (1.0 - floor) * 0.5 * (1.0 + (std::f32::consts::PI * progress.min(1.0)).cos())
            }
        }
    }
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// Its score.
    pub score: f64,
    /// Its loss, which decides between equal scores.
    pub loss: f64,
    /// Which it is, from 1; 0 is the state before the first.
    pub epoch: usize,
}

/// Watches the score of each epoch: what is best, whether to stop, whether to lower the rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    higher_is_better: bool,
    /// The best epoch.
    pub best: Option<Best>,
    waited: usize,
    plateau_waited: usize,
    /// The factor that plateaus have brought the rate to.
    pub plateau_factor: f32,
}

impl Watch {
    /// Nothing seen yet.
    pub fn new(higher_is_better: bool) -> Self {
        Self { higher_is_better, best: None, waited: 0, plateau_waited: 0, plateau_factor: 1.0 }
    }

    /// Takes in an epoch's score; true if it is the best so far: a better score, or an equal one at a lower loss. A
    /// score that is no number never is.
    pub fn observe(&mut self, epoch: usize, score: f64, loss: f64, schedule: Schedule) -> bool {
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
        if let Schedule::Plateau { factor, patience } = schedule
            && self.plateau_waited >= patience.max(1)
        {
            self.plateau_factor *= factor;
            self.plateau_waited = 0;
        }
        false
    }

    /// Whether the score has not improved for `patience` epochs.
    pub fn is_exhausted(&self, patience: Option<usize>) -> bool {
        patience.is_some_and(|patience| self.waited >= patience.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_read_and_written() {
        for spec in ["constant", "exponential(0.9)", "cosine(0)", "plateau(0.5,3)"] {
            assert_eq!(spec.parse::<Schedule>().expect(spec).to_string(), spec);
        }
        assert!("linear".parse::<Schedule>().is_err());
        assert!("exponential(2)".parse::<Schedule>().is_err());
    }

    /// `keras.optimizers.schedules.CosineDecay(1.0, 100)(25)` is 0.8535534.
    #[test]
    fn cosine_agrees_with_keras() {
        let factor = Schedule::Cosine { floor: 0.0 }.factor(25, 100, 10);
        assert!((factor - 0.853_553_4).abs() < 1e-6);
    }

    #[test]
    fn the_best_epoch_is_kept_and_patience_ends() {
        let mut watch = Watch::new(true);
        let schedule = Schedule::Plateau { factor: 0.5, patience: 2 };
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
