//! How a weight begins: Keras's initializers.
//! Source: `keras.initializers`; Glorot and Bengio 2010, He et al. 2015.

use super::{Config, number as decimal};
use crate::{Extents, Result, Shape, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

/// The distribution that a scaled initializer draws from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Uniform in ±√(3·variance).
    Uniform,
    /// Normal, redrawn beyond two standard deviations, and widened so that the variance is as asked.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
}

/// Which fan the variance is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fan {
    /// The inputs of a unit.
    In,
    /// The outputs of a unit.
    Out,
    /// Their mean.
    Average,
}

impl Fan {
    fn of(self, (fan_in, fan_out): (f32, f32)) -> f32 {
        match self {
            Self::In => fan_in,
            Self::Out => fan_out,
            Self::Average => (fan_in + fan_out) / 2.0,
        }
    }
}

/// A Keras initializer.
#[derive(Clone, Debug, PartialEq)]
pub enum Initializer {
    /// Every element this value (`Zeros`, `Ones`, `Constant`).
    Constant(f32),
    /// Exactly these elements: what Normalization was given.
    Values(Vec<f32>),
    /// `VarianceScaling`, and with it Glorot, He and LeCun.
    VarianceScaling {
        /// Multiplies the variance.
        scale: f32,
        /// What the variance is divided by.
        fan: Fan,
        /// The distribution.
        distribution: Distribution,
    },
    /// `RandomNormal`.
    Normal {
        /// Mean.
        mean: f32,
        /// Standard deviation.
        stddev: f32,
        /// `TruncatedNormal`: redrawn beyond two standard deviations.
        truncated: bool,
    },
    /// `RandomUniform`.
    Uniform {
        /// Least value.
        low: f32,
        /// Greatest value.
        high: f32,
    },
}

impl Initializer {
    /// `GlorotUniform`, Keras's default for kernels.
    pub const GLOROT_UNIFORM: Self =
        Self::VarianceScaling { scale: 1.0, fan: Fan::Average, distribution: Distribution::Uniform };

    /// Reads an initializer from a config: an object with `class_name` and `config`, or a name. `None` for a
    /// kind that is not known.
    pub fn from_config(value: &Value) -> Option<Self> {
        let (name, config) = match value {
            Value::String(name) => (name.as_str(), &Value::Null),
            Value::Object(map) => {
                (map.get("class_name")?.as_str()?, map.get("config").unwrap_or(&Value::Null))
            }
            _ => return None,
        };
        let number = |key: &str, default: f32| config[key].as_f64().map_or(default, |number| number as f32);
        let scaled = |scale, fan, distribution| Self::VarianceScaling { scale, fan, distribution };
        use Distribution::{TruncatedNormal, Uniform};
        let key: String = name.chars().filter(|c| *c != '_').flat_map(char::to_lowercase).collect();
        Some(match key.as_str() {
            "zeros" | "zero" => Self::Constant(0.0),
            "ones" | "one" => Self::Constant(1.0),
            "constant" => Self::Constant(number("value", 0.0)),
            "glorotuniform" | "xavieruniform" => Self::GLOROT_UNIFORM,
            "glorotnormal" => scaled(1.0, Fan::Average, TruncatedNormal),
            "heuniform" => scaled(2.0, Fan::In, Uniform),
            "henormal" => scaled(2.0, Fan::In, TruncatedNormal),
            "lecununiform" => scaled(1.0, Fan::In, Uniform),
            "lecunnormal" => scaled(1.0, Fan::In, TruncatedNormal),
            "variancescaling" => scaled(
                number("scale", 1.0),
                match config["mode"].as_str().unwrap_or("fan_in") {
                    "fan_out" => Fan::Out,
                    "fan_avg" => Fan::Average,
                    _ => Fan::In,
                },
                match config["distribution"].as_str().unwrap_or("truncated_normal") {
                    "uniform" => Uniform,
                    "untruncated_normal" => Distribution::UntruncatedNormal,
                    _ => TruncatedNormal,
                },
            ),
            "randomnormal" | "normal" => {
                Self::Normal { mean: number("mean", 0.0), stddev: number("stddev", 0.05), truncated: false }
            }
            "truncatednormal" => {
                Self::Normal { mean: number("mean", 0.0), stddev: number("stddev", 0.05), truncated: true }
            }
            "randomuniform" | "uniform" => {
                Self::Uniform { low: number("minval", -0.05), high: number("maxval", 0.05) }
            }
            _ => return None,
        })
    }

    /// Reads `config[key]`. An initializer of another kind only matters where weights begin anew, and is replaced
    /// by the default then.
    pub(super) fn read(config: &Config<'_>, key: &str, default: Self) -> Result<Self> {
        Ok(config.get(key).and_then(Self::from_config).unwrap_or(default))
    }

    /// For a kernel of any shape that is a matrix of `[rows, columns]`, whose fans these are: what draws with their variance.
    pub(super) fn of_matrix(&self, shape: &Shape, [rows, columns]: [usize; 2]) -> Self {
        let Self::VarianceScaling { scale, fan, distribution } = self else { return self.clone() };
        let scale = scale * fan.of(fans(shape)) / fan.of((rows as f32, columns as f32));
        Self::VarianceScaling { scale, fan: *fan, distribution: *distribution }
    }

    /// The config that Keras 3 writes for it.
    pub fn to_config(&self) -> Value {
        let object = |class_name: &str, config: Value| json!({"module": "keras.initializers", "class_name": class_name, "config": config, "registered_name": null});
        match self {
            Self::Constant(0.0) => object("Zeros", json!({})),
            Self::Constant(1.0) => object("Ones", json!({})),
            Self::Constant(value) => object("Constant", json!({"value": decimal(*value)})),
            Self::Values(values) => json!(values),
            Self::VarianceScaling { .. } if *self == Self::GLOROT_UNIFORM => {
                object("GlorotUniform", json!({"seed": null}))
            }
            Self::VarianceScaling { scale, fan, distribution } => {
                let mode = match fan {
                    Fan::In => "fan_in",
                    Fan::Out => "fan_out",
                    Fan::Average => "fan_avg",
                };
                let distribution = match distribution {
                    Distribution::Uniform => "uniform",
                    Distribution::TruncatedNormal => "truncated_normal",
                    Distribution::UntruncatedNormal => "untruncated_normal",
                };
                let config = json!({"scale": decimal(*scale), "mode": mode, "distribution": distribution, "seed": null});
                object("VarianceScaling", config)
            }
            Self::Normal { mean, stddev, truncated } => {
                let class_name = if *truncated { "TruncatedNormal" } else { "RandomNormal" };
                object(class_name, json!({"mean": decimal(*mean), "stddev": decimal(*stddev), "seed": null}))
            }
            Self::Uniform { low, high } => object(
                "RandomUniform",
                json!({"minval": decimal(*low), "maxval": decimal(*high), "seed": null}),
            ),
        }
    }

    /// Draws a weight. The stream depends on the seed and the weight's path alone.
    pub fn draw(&self, shape: &Shape, seed: u64, path: &str) -> Tensor {
        let mut tensor = Tensor::filled(shape, 0.0);
        let mut random = Stream::new(seed, path);
        match self {
            Self::Constant(value) => tensor.data.fill(*value),
            Self::Values(values) => {
                let last = values.len().max(1);
                tensor
                    .data
                    .iter_mut()
                    .enumerate()
                    .for_each(|(index, element)| *element = values[index % last]);
            }
            Self::Uniform { low, high } => {
                tensor.data.iter_mut().for_each(|element| *element = random.uniform(*low, *high));
            }
            Self::Normal { mean, stddev, truncated } => {
                tensor
                    .data
                    .iter_mut()
                    .for_each(|element| *element = mean + stddev * random.normal(*truncated));
            }
            Self::VarianceScaling { scale, fan, distribution } => {
                let variance = scale / fan.of(fans(shape)).max(1.0);
                // the standard deviation of a normal cut at two standard deviations
                const TRUNCATED: f32 = 0.879_625_7;
                let mut draw: Box<dyn FnMut() -> f32> = match distribution {
                    Distribution::Uniform => {
                        let limit = (3.0 * variance).sqrt();
                        Box::new(move || random.uniform(-limit, limit))
                    }
                    Distribution::TruncatedNormal => {
                        Box::new(move || variance.sqrt() / TRUNCATED * random.normal(true))
                    }
                    Distribution::UntruncatedNormal => {
                        Box::new(move || variance.sqrt() * random.normal(false))
                    }
                };
                tensor.data.iter_mut().for_each(|element| *element = draw());
            }
        }
        tensor
    }
}

/// The inputs and outputs of a unit, as Keras counts them: `[…window, in, out]`.
fn fans(shape: &[usize]) -> (f32, f32) {
    match shape {
        [] => (1.0, 1.0),
        [n] => (*n as f32, *n as f32),
        [window @ .., fan_in, fan_out] => {
            let window = window.elements() as f32;
            (window * *fan_in as f32, window * *fan_out as f32)
        }
    }
}

/// Random numbers of one weight.
struct Stream(ChaCha8Rng);

impl Stream {
    fn new(seed: u64, path: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(path.as_bytes());
        Self(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// In [0, 1).
    fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Box–Muller.
    fn normal(&mut self, truncated: bool) -> f32 {
        loop {
            let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
            let value = radius * (std::f32::consts::TAU * self.unit()).cos();
            if !truncated || value.abs() <= 2.0 {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: &[f32]) -> (f32, f32) {
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        (mean, values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / values.len() as f32)
    }

    #[test]
    fn what_is_drawn_has_the_mean_and_variance_that_keras_draws_with() {
        // 20,000 numbers: the standard error of the variance is about one percent
        let (shape, fan_in, fan_out) = (vec![2, 2, 50, 100], 200.0f32, 400.0f32);
        let cases = [
            ("GlorotUniform", 2.0 / (fan_in + fan_out)),
            ("glorot_normal", 2.0 / (fan_in + fan_out)),
            ("HeNormal", 2.0 / fan_in),
            ("he_uniform", 2.0 / fan_in),
            ("LecunNormal", 1.0 / fan_in),
            ("RandomNormal", 0.0025f32),
            ("random_uniform", 0.01 / 12.0),
        ];
        for (name, variance) in cases {
            let initializer = Initializer::from_config(&json!(name)).expect(name);
            let (mean, found) = moments(&initializer.draw(&shape, 1, "a/kernel").data);
            assert!(mean.abs() < 0.05 * variance.sqrt(), "{name}: mean {mean}");
            assert!((found / variance - 1.0).abs() < 0.05, "{name}: {found} for {variance}");
        }
    }

    #[test]
    fn a_draw_depends_on_the_seed_and_the_path_alone() {
        let draw = |seed, path| Initializer::GLOROT_UNIFORM.draw(&vec![3, 4], seed, path);
        assert_eq!(draw(1, "a/kernel"), draw(1, "a/kernel"));
        assert_ne!(draw(1, "a/kernel"), draw(2, "a/kernel"));
        assert_ne!(draw(1, "a/kernel"), draw(1, "b/kernel"));
    }

    #[test]
    fn every_initializer_is_read_back_as_it_was_written() {
        for name in [
            "zeros",
            "ones",
            "glorot_uniform",
            "he_normal",
            "lecun_uniform",
            "random_normal",
            "truncated_normal",
            "random_uniform",
        ] {
            let initializer = Initializer::from_config(&json!(name)).expect(name);
            assert_eq!(Initializer::from_config(&initializer.to_config()), Some(initializer), "{name}");
        }
        let constant = Initializer::Constant(0.1);
        assert_eq!(constant.to_config()["config"]["value"], json!(0.1));
        assert_eq!(Initializer::from_config(&constant.to_config()), Some(constant));
        assert_eq!(Initializer::from_config(&json!("my_own")), None);
    }
}
