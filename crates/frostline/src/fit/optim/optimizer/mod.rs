//! Optimizers with Keras 3's formulas and defaults. To add one: its file, `mod` and `use`, and a line of the list.
//! Source: `keras/src/optimizers/`.

mod adagrad;
mod adam;
mod rms_prop;
mod sgd;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use rms_prop::RmsProp;
pub use sgd::Sgd;

use frostline_graph::Spec;
use std::fmt;
use std::str::FromStr;

/// Elements of a weight that one task updates: elementwise work, so that the cut changes no result.
const CHUNK: usize = 1 << 15;

/// How an optimizer moves weights.
trait Rule: Sync {
    /// As settings name it.
    fn name(&self) -> &'static str;

    /// Its settings by Keras's names, in Keras's order.
    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)>;

    /// What each of two moments of a weight begins with; none for one that is not kept.
    fn moments(&self) -> [Option<f32>; 2];

    /// Its own decoupled weight decay.
    fn weight_decay(&self) -> f32 {
        0.0
    }

    /// One step, the `steps`-th, on a stretch of a weight.
    fn update(&self, steps: i32, learning_rate: f32, elements: Element<'_>);
}

/// A setting of an optimizer, and what values it may have.
enum Setting<'a> {
    /// From 0 to below 1: a share of what was before.
    Share(&'a mut f32),
    /// From 0 on: added, or multiplied with.
    Number(&'a mut f32),
    /// True or false.
    Flag(&'a mut bool),
}

macro_rules! optimizers {
    ($($kind:ident: $($name:literal => $default:expr),+;)*) => {
        /// An optimizer and its settings.
        ///
        /// ```
        /// use frostline::fit::OptimizerKind;
        ///
        /// let sgd: OptimizerKind = "sgd(momentum=0.9)".parse()?;
        /// assert_eq!(sgd.to_string(), "sgd(momentum=0.9,nesterov=false)");
        /// # Ok::<(), String>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum OptimizerKind {
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind),)*
        }

        impl OptimizerKind {
            /// The names that are known.
            pub const NAMES: &[&'static str] = &[$($($name),+),*];

            fn named(name: &str) -> Option<Self> {
                match name {
                    $($($name => Some(Self::$kind($default)),)+)*
                    _ => None,
                }
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Self::$kind(rule) => rule,)*
                }
            }

            fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
                match self {
                    $(Self::$kind(rule) => rule.settings(),)*
                }
            }
        }
    };
}

optimizers![
    Sgd: "sgd" => Sgd::default();
    RmsProp: "rmsprop" => RmsProp::default();
    Adagrad: "adagrad" => Adagrad::default();
    Adam: "adam" => Adam::KERAS, "adamw" => Adam::W;
];

impl Default for OptimizerKind {
    /// Adam with Keras's settings.
    fn default() -> Self {
        Self::Adam(Adam::KERAS)
    }
}

impl FromStr for OptimizerKind {
    type Err = String;

    /// `adam`, or with settings: `sgd(momentum=0.9,nesterov=true)`.
    fn from_str(text: &str) -> Result<Self, String> {
        let spec = Spec::parse(text)?;
        let name = spec.name;
        let mut kind = Self::named(&name.to_lowercase())
            .ok_or_else(|| format!("there is no optimizer `{name}`; known are {}", Self::NAMES.join(", ")))?;
        for (key, value) in spec.pairs()? {
            let mut settings = kind.settings();
            let takes: Vec<&str> = settings.iter().map(|(key, _)| *key).collect();
            let unknown = || {
                let takes = takes.join(", ");
                format!("the setting `{key}` of `{name}` is not supported; it takes {takes}")
            };
            let (_, setting) = settings.iter_mut().find(|(known, _)| *known == key).ok_or_else(unknown)?;
            let (slot, below) = match setting {
                Setting::Flag(slot) => {
                    **slot = value.parse().map_err(|_| format!("`{value}` is not true or false"))?;
                    continue;
                }
                Setting::Share(slot) => (slot, 1.0),
                Setting::Number(slot) => (slot, f32::INFINITY),
            };
            let number: f32 = value.parse().map_err(|_| format!("`{value}` is no number"))?;
            if !(0.0..below).contains(&number) {
                let most = if below == 1.0 { "to below 1" } else { "on" };
                return Err(format!("{key} of `{name}` is a number from 0 {most}, not `{value}`"));
            }
            **slot = number;
        }
        Ok(kind)
    }
}

impl fmt::Display for OptimizerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kind = *self;
        let settings = kind.settings().into_iter().map(|(key, setting)| match setting {
            Setting::Share(value) | Setting::Number(value) => format!("{key}={value}"),
            Setting::Flag(value) => format!("{key}={value}"),
        });
        let settings: Vec<String> = settings.collect();
        write!(formatter, "{}({})", self.rule().name(), settings.join(","))
    }
}

/// An optimizer at work on a list of weights, with its moments.
#[derive(Clone, Debug)]
pub struct Optimizer {
    kind: OptimizerKind,
    weight_decay: f32,
    steps: u64,
    /// Two moments a weight; empty where the kind keeps none.
    moments: Vec<[Vec<f32>; 2]>,
}

impl Optimizer {
    /// For weights of these lengths. `weight_decay` is decoupled and comes on top of the kind's own; as in Keras it
    /// touches every trained weight, biases too.
    pub fn new(kind: OptimizerKind, lens: impl IntoIterator<Item = usize>, weight_decay: f32) -> Self {
        let wanted = kind.rule().moments();
        let moments = |len: usize| wanted.map(|first| first.map_or_else(Vec::new, |value| vec![value; len]));
        Self { kind, weight_decay, steps: 0, moments: lens.into_iter().map(moments).collect() }
    }

    /// Begins a step; call once before the weights of the step are updated.
    pub fn begin_step(&mut self) {
        self.steps += 1;
    }

    /// Updates the `index`-th weight by its gradient.
    pub fn update(&mut self, index: usize, learning_rate: f32, weight: &mut [f32], gradient: &[f32]) {
        let (rule, steps) = (self.kind.rule(), self.steps as i32);
        let decay = (rule.weight_decay() + self.weight_decay) * learning_rate;
        let [first, second] = &mut self.moments[index];
        in_chunks(Element { weight, gradient, first, second }, &|elements| {
            if decay != 0.0 {
                elements.weight.iter_mut().for_each(|weight| *weight -= *weight * decay);
            }
            rule.update(steps, learning_rate, elements);
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

/// A stretch of a weight with its gradient and moments; a moment that is not kept is empty.
pub(super) struct Element<'a> {
    weight: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
}

/// Halves until a chunk is left, the halves in parallel: nothing is allocated, as a list of chunks would be.
fn in_chunks(all: Element<'_>, work: &(dyn Fn(Element<'_>) + Sync)) {
    let Element { weight, gradient, first, second } = all;
    if weight.len() <= CHUNK {
        return work(Element { weight, gradient, first, second });
    }
    let middle = weight.len() / 2;
    let (weight, gradient) = (weight.split_at_mut(middle), gradient.split_at(middle));
    let (first, second) =
        (first.split_at_mut(middle.min(first.len())), second.split_at_mut(middle.min(second.len())));
    rayon::join(
        || {
            in_chunks(
                Element { weight: weight.0, gradient: gradient.0, first: first.0, second: second.0 },
                work,
            )
        },
        || {
            in_chunks(
                Element { weight: weight.1, gradient: gradient.1, first: first.1, second: second.1 },
                work,
            )
        },
    );
}

/// Scales gradients so that their common Euclidean norm is at most `limit`, as Keras's `global_clipnorm`. Returns the norm
/// before.
pub(in crate::fit) fn clip_global_norm<'a>(
    gradients: impl IntoIterator<Item = &'a mut [f32]>,
    limit: f32,
) -> f64 {
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
