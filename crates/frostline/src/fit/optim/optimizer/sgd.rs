//! `sgd`: `w −= lr·g`; with momentum `m = momentum·m − lr·g; w += m`, with Nesterov's step `w += momentum·m − lr·g`.
//! Source: `keras.optimizers.SGD`.

use super::{Element, Rule, Setting};

/// Keras's settings.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sgd {
    /// 0 for plain gradient descent.
    pub momentum: f32,
    /// Nesterov's step.
    pub nesterov: bool,
}

impl Rule for Sgd {
    fn name(&self) -> &'static str {
        "sgd"
    }

    fn settings(&mut self) -> Vec<(&'static str, Setting<'_>)> {
        vec![
            ("momentum", Setting::Share(&mut self.momentum)),
            ("nesterov", Setting::Flag(&mut self.nesterov)),
        ]
    }

    fn moments(&self) -> [Option<f32>; 2] {
        [(self.momentum != 0.0).then_some(0.0), None]
    }

    fn update(&self, _: i32, learning_rate: f32, elements: Element<'_>) {
        let Self { momentum, nesterov } = *self;
        let pairs = elements.weight.iter_mut().zip(elements.gradient);
        if momentum == 0.0 {
            pairs.for_each(|(w, g)| *w -= learning_rate * g);
            return;
        }
        for ((w, g), m) in pairs.zip(elements.first) {
            *m = momentum * *m - learning_rate * g;
            *w += if nesterov { momentum * *m - learning_rate * g } else { *m };
        }
    }
}
