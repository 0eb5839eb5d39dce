//! `adagrad`: `v += g²; w −= lr·g / √(v + ε)`. Source: Duchi et al. 2011; `keras.optimizers.Adagrad`.

use super::{Element, Rule, Setting};

/// Keras's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// What `v` begins with.
    pub initial_accumulator_value: f32,
    /// Added under the root.
    pub epsilon: f32,
}

impl Default for Adagrad {
    fn default() -> Self {
        Self { initial_accumulator_value: 0.1, epsilon: 1e-7 }
    }
}

impl Rule for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        vec![
            ("initial_accumulator_value", Setting::Number(&mut self.initial_accumulator_value)),
            ("epsilon", Setting::Number(&mut self.epsilon)),
        ]
    }

    fn moments(&self) -> [Option<f32>; 2] {
        [Some(self.initial_accumulator_value), None]
    }

    fn update(&self, _: i32, learning_rate: f32, elements: Element<'_>) {
        for ((w, g), v) in elements.weight.iter_mut().zip(elements.gradient).zip(elements.first) {
            *v += g * g;
            *w -= learning_rate * g / (*v + self.epsilon).sqrt();
        }
    }
}
