//! `adam` and `adamw`: `w −= lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m / (√v + ε)`, after `w −= lr·decay·w`.
//! Source: Kingma and Ba 2015; Loshchilov and Hutter 2019; `keras.optimizers.Adam`, `AdamW`.

use super::{Element, Rule, Setting};

/// Keras's settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// How much of the gradients' mean stays.
    pub beta_1: f32,
    /// How much of the squares' mean stays.
    pub beta_2: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// Decoupled.
    pub weight_decay: f32,
}

impl Adam {
    /// `AdamW` with Keras's settings.
    pub const W: Self = Self { weight_decay: 0.004, ..Self::KERAS };
    /// `Adam` with Keras's settings.
    pub const KERAS: Self = Self { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-7, weight_decay: 0.0 };
}

impl Rule for Adam {
    fn name(&self) -> &'static str {
        "adam"
    }

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        vec![
            ("beta_1", Setting::Share(&mut self.beta_1)),
            ("beta_2", Setting::Share(&mut self.beta_2)),
            ("epsilon", Setting::Number(&mut self.epsilon)),
            ("weight_decay", Setting::Number(&mut self.weight_decay)),
        ]
    }

    fn moments(&self) -> [Option<f32>; 2] {
        [Some(0.0), Some(0.0)]
    }

    fn weight_decay(&self) -> f32 {
        self.weight_decay
    }

    fn update(&self, steps: i32, learning_rate: f32, elements: Element<'_>) {
        let Self { beta_1, beta_2, epsilon, .. } = *self;
        let alpha = learning_rate * (1.0 - beta_2.powi(steps)).sqrt() / (1.0 - beta_1.powi(steps));
        let pairs = elements.weight.iter_mut().zip(elements.gradient);
        for (((w, g), m), v) in pairs.zip(elements.first).zip(elements.second) {
            *m += (g - *m) * (1.0 - beta_1);
            *v += (g * g - *v) * (1.0 - beta_2);
            *w -= *m * alpha / (v.sqrt() + epsilon);
        }
    }
}
