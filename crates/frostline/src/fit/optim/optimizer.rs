//! Optimizers with Keras 3's formulas and defaults. Source: `keras/src/optimizers/`.

use std::fmt;
use std::str::FromStr;

/// Elements of a weight that one task updates: elementwise work, so that the cut changes no result.
const CHUNK: usize = 1 << 15;

/// An optimizer and its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    /// `m = momentum·m − lr·g; w += m`, or with Nesterov's step `w += momentum·m − lr·g`.
    Sgd {
        /// 0 for plain gradient descent.
        momentum: f32,
        /// Nesterov's step.
        nesterov: bool,
    },
    /// `v = ρ·v + (1 − ρ)·g²; w −= lr·g / √(v + ε)`.
    RmsProp {
        /// How much of `v` stays.
        rho: f32,
        /// Added under the root.
        epsilon: f32,
    },
    /// Kingma and Ba 2015: `w −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε)`.
    Adam {
        /// How much of the gradients' mean stays.
        beta_1: f32,
        /// How much of the squares' mean stays.
        beta_2: f32,
        /// Added to the root.
        epsilon: f32,
        /// Loshchilov and Hutter 2019 (AdamW): `w −= lr·decay·w` before the step.
        weight_decay: f32,
    },
}

const ADAM: OptimizerKind =
    OptimizerKind::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, weight_decay: 0.0 };

impl Default for OptimizerKind {
    /// Adam with Keras's settings.
    fn default() -> Self {
        ADAM
    }
}

impl FromStr for OptimizerKind {
    type Err = String;

    /// `adam`, or with settings: `sgd(momentum=0.9,nesterov=true)`.
    fn from_str(spec: &str) -> Result<Self, String> {
        let (name, settings) = match spec.split_once('(') {
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or("a `(` without a `)`")?),
            None => (spec, ""),
        };
        let mut kind = match name.to_lowercase().as_str() {
            "sgd" => Self::Sgd { momentum: 0.0, nesterov: false },
            "rmsprop" => Self::RmsProp { rho: 0.9, epsilon: 1e-7 },
            "adam" => ADAM,
            "adamw" => Self::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, weight_decay: 0.004 },
            _ => return Err(format!("there is no optimizer `{name}`; known are sgd, rmsprop, adam, adamw")),
        };
        for setting in settings.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (key, value) =
                setting.split_once('=').ok_or_else(|| format!("`{setting}` is no `key=value`"))?;
            if let (Self::Sgd { nesterov, .. }, "nesterov") = (&mut kind, key.trim()) {
                *nesterov = value.trim().parse().map_err(|_| format!("`{value}` is not true or false"))?;
                continue;
            }
            let takes = kind.settings();
            let slot = match (&mut kind, key.trim()) {
                (Self::Sgd { momentum, .. }, "momentum") => momentum,
                (Self::RmsProp { rho, .. }, "rho") => rho,
                (Self::RmsProp { epsilon, .. } | Self::Adam { epsilon, .. }, "epsilon") => epsilon,
                (Self::Adam { beta_1, .. }, "beta_1") => beta_1,
                (Self::Adam { beta_2, .. }, "beta_2") => beta_2,
                (Self::Adam { weight_decay, .. }, "weight_decay") => weight_decay,
                (_, key) => {
                    return Err(format!(
                        "the setting `{key}` of `{name}` is not supported; it takes {takes}"
                    ));
                }
            };
            let number: f32 = value.trim().parse().map_err(|_| format!("`{value}` is no number"))?;
            // shares of what was before; the others are added or multiplied with
            let below = match key.trim() {
                "epsilon" | "weight_decay" => f32::INFINITY,
                _ => 1.0,
            };
            if !(0.0..below).contains(&number) {
                let most = if below == 1.0 { "to below 1" } else { "on" };
                return Err(format!("{key} of `{name}` is a number from 0 {most}, not `{value}`"));
            }
            *slot = number;
        }
        Ok(kind)
    }
}

impl OptimizerKind {
    /// The settings that it takes.
    fn settings(self) -> &'static str {
        match self {
            Self::Sgd { .. } => "momentum, nesterov",
            Self::RmsProp { .. } => "rho, epsilon",
            Self::Adam { .. } => "beta_1, beta_2, epsilon, weight_decay",
        }
    }
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sgd { momentum, nesterov } => {
                write!(formatter, "sgd(momentum={momentum},nesterov={nesterov})")
            }
            Self::RmsProp { rho, epsilon } => write!(formatter, "rmsprop(rho={rho},epsilon={epsilon})"),
            Self::Adam { beta_1, beta_2, epsilon, weight_decay } => write!(
                formatter,
                "adam(beta_1={beta_1},beta_2={beta_2},epsilon={epsilon},weight_decay={weight_decay})"
            ),
        }
    }
}

/// An optimizer at work on a list of weights, with its moments.
#[derive(Clone, Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    weight_decay: f32,
    steps: u64,
    /// Two moments a weight; empty where the kind has none.
    moments: Vec<[Vec<f32>; 2]>,
}

impl Optimizer {
    /// For weights of these lengths. `weight_decay` is decoupled and comes on top of the kind's own; as in Keras it
    /// touches every trained weight, biases too.
    pub fn new(kind: OptimizerKind, lens: impl IntoIterator<Item = usize>, weight_decay: f32) -> Self {
        let wanted = match kind {
            OptimizerKind::Sgd { momentum: 0.0, .. } => [false, false],
            OptimizerKind::Sgd { .. } => [true, false],
            OptimizerKind::RmsProp { .. } => [true, false],
            OptimizerKind::Adam { .. } => [true, true],
        };
        let moments = |len: usize| wanted.map(|wanted| vec![0.0; if wanted { len } else { 0 }]);
        Self { kind, weight_decay, steps: 0, moments: lens.into_iter().map(moments).collect() }
    }

    /// Begins a step; call once before the weights of the step are updated.
    pub fn begin_step(&mut self) {
        self.steps += 1;
    }

    /// Updates the `index`-th weight by its gradient.
    pub fn update(&mut self, index: usize, learning_rate: f32, weight: &mut [f32], gradient: &[f32]) {
        let own_decay = match self.kind {
            OptimizerKind::Adam { weight_decay, .. } => weight_decay,
            _ => 0.0,
        };
        let decay = (own_decay + self.weight_decay) * learning_rate;
        let (kind, steps) = (self.kind, self.steps as i32);
        let [first, second] = &mut self.moments[index];
        in_chunks(weight, gradient, first, second, &|weight, gradient, first, second| {
            if decay != 0.0 {
                weight.iter_mut().for_each(|weight| *weight -= *weight * decay);
            }
            update(kind, steps, learning_rate, weight, gradient, first, second);
        });
    }

    /// Steps taken and all moments, for a checkpoint.
    pub fn state(&self) -> (u64, impl Iterator<Item = &[f32]>) {
        (self.steps, self.moments.iter().flatten().map(Vec::as_slice))
    }

    /// Puts a state back that [`Optimizer::state`] gave. False if it is that of other weights.
    pub fn restore<'a>(&mut self, steps: u64, moments: impl IntoIterator<Item = &'a [f32]>) -> bool {
        let mut given = moments.into_iter();
        for own in self.moments.iter_mut().flatten() {
            match given.next() {
                Some(moment) if moment.len() == own.len() => own.copy_from_slice(moment),
                _ => return false,
            }
        }
        self.steps = steps;
        given.next().is_none()
    }
}

/// What is done with a chunk of a weight: weight, gradient and both moments, of which those not kept are empty.
type Work<'a> = &'a (dyn Fn(&mut [f32], &[f32], &mut [f32], &mut [f32]) + Sync);

/// Halves until a chunk is left, the halves in parallel: nothing is allocated, as a list of chunks would be.
fn in_chunks(weight: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], work: Work<'_>) {
    if weight.len() <= CHUNK {
        return work(weight, gradient, first, second);
    }
    let middle = weight.len() / 2;
    let (weight, gradient) = (weight.split_at_mut(middle), gradient.split_at(middle));
    let (first, second) =
        (first.split_at_mut(middle.min(first.len())), second.split_at_mut(middle.min(second.len())));
    rayon::join(
        || in_chunks(weight.0, gradient.0, first.0, second.0, work),
        || in_chunks(weight.1, gradient.1, first.1, second.1, work),
    );
}

fn update(
    kind: OptimizerKind,
    steps: i32,
    learning_rate: f32,
    weight: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    let pairs = weight.iter_mut().zip(gradient);
    match kind {
        OptimizerKind::Sgd { momentum: 0.0, .. } => pairs.for_each(|(w, g)| *w -= learning_rate * g),
        OptimizerKind::Sgd { momentum, nesterov } => {
            for ((w, g), m) in pairs.zip(first) {
                *m = momentum * *m - learning_rate * g;
                *w += if nesterov { momentum * *m - learning_rate * g } else { *m };
            }
        }
        OptimizerKind::RmsProp { rho, epsilon } => {
            for ((w, g), v) in pairs.zip(first) {
                *v = rho * *v + (1.0 - rho) * g * g;
                *w -= learning_rate * g / (*v + epsilon).sqrt();
            }
        }
        OptimizerKind::Adam { beta_1, beta_2, epsilon, .. } => {
            let alpha = learning_rate * (1.0 - beta_2.powi(steps)).sqrt() / (1.0 - beta_1.powi(steps));
            for (((w, g), m), v) in pairs.zip(first).zip(second) {
                *m += (g - *m) * (1.0 - beta_1);
                *v += (g * g - *v) * (1.0 - beta_2);
                *w -= *m * alpha / (v.sqrt() + epsilon);
            }
        }
    }
}

/// Scales gradients so that their common Euclidean norm is at most `limit`, as Keras's `global_clipnorm`. Returns the norm
/// before.
pub fn clip_global_norm<'a>(gradients: impl IntoIterator<Item = &'a mut [f32]>, limit: f32) -> f64 {
    let mut gradients: Vec<&mut [f32]> = gradients.into_iter().collect();
    let squares = |gradient: &&mut [f32]| gradient.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>();
    let norm = gradients.iter().map(squares).sum::<f64>().sqrt();
    if norm > f64::from(limit) {
        let factor = (f64::from(limit) / norm) as f32;
        gradients.iter_mut().flat_map(|gradient| gradient.iter_mut()).for_each(|g| *g *= factor);
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_momentum_that_grows_without_end_is_refused() {
        for spec in [
            "sgd(momentum=2)",
            "sgd(momentum=1)",
            "sgd(momentum=-0.1)",
            "sgd(momentum=nan)",
            "adam(beta_1=1)",
        ] {
            let error = spec.parse::<OptimizerKind>().expect_err(spec);
            assert!(error.contains("from 0 to below 1"), "{error}");
        }
        assert!("adam(epsilon=1)".parse::<OptimizerKind>().is_ok());
        assert!("adam(epsilon=inf)".parse::<OptimizerKind>().is_err());
    }

    #[test]
    fn a_setting_of_keras_that_is_missing_here_is_named() {
        let error = "adam(amsgrad=true)".parse::<OptimizerKind>().expect_err("no such setting");
        assert!(
            error.contains("`amsgrad` of `adam` is not supported") && error.contains("beta_1"),
            "{error}"
        );
    }
}
