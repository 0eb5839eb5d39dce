//! `rmsprop`: `v = ρ·v + (1 − ρ)·g²; w −= lr·g / √(v + ε)`. Source: `keras.optimizers.RMSprop`.

use super::{Element, Rule, Setting};

/// Keras's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// How much of `v` stays.
    pub rho: f32,
    /// Added under the root.
    pub epsilon: f32,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self { rho: 0.9, epsilon: 1e-7 }
    }
}

impl Rule for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        vec![("rho", Setting::Share(&mut self.rho)), ("epsilon", Setting::Number(&mut self.epsilon))]
    }

    fn moments(&self) -> [Option<f32>; 2] {
        [Some(0.0), None]
    }

    fn update(&self, _: i32, learning_rate: f32, elements: Element<'_>) {
        let Self { rho, epsilon } = *self;
        for ((w, g), v) in elements.weight.iter_mut().zip(elements.gradient).zip(elements.first) {
            *v = rho * *v + (1.0 - rho) * g * g;
            *w -= learning_rate * g / (*v + epsilon).sqrt();
        }
    }
}
