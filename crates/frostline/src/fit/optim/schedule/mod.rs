//! Learning-rate schedules: a factor on the stage's rate. To add one: its file, `mod` and `use`, and a line of the list.
//! Source: `keras.optimizers.schedules`.

mod constant;
mod cosine;
mod exponential;
mod linear;
mod plateau;
mod watch;

pub use constant::Constant;
pub use cosine::Cosine;
pub use exponential::Exponential;
pub use linear::Linear;
pub use plateau::Plateau;
pub(crate) use watch::Watch;

use frostline_graph::Spec;
use std::fmt;
use std::str::FromStr;

/// How the rate moves within a stage.
trait Curve: fmt::Display + Sized {
    /// How it is written, with its usual settings.
    const EXAMPLE: &'static str;

    /// Reads the settings.
    fn read(spec: &Spec<'_>) -> Result<Self, String>;

    /// The factor on the stage's rate.
    fn factor(self, at: Progress) -> f32;
}

/// How far a stage is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Steps that were taken.
    pub step: u64,
    /// Steps of the stage.
    pub total: u64,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
}

impl Progress {
    fn share(self) -> f32 {
        (self.step as f32 / self.total.max(1) as f32).min(1.0)
    }
}

macro_rules! schedules {
    ($($kind:ident: $name:literal;)*) => {
        /// How the rate moves within a stage.
        ///
        /// ```
        /// use frostline::fit::{Progress, Schedule};
        ///
        /// let linear: Schedule = "linear".parse()?;
        /// assert_eq!(linear.factor(Progress { step: 5, total: 10, steps_per_epoch: 5 }), 0.5);
        /// # Ok::<(), String>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Schedule {
            $(#[doc = concat!("See [`", stringify!($kind), "`].")] $kind($kind),)*
        }

        impl Schedule {
            /// How each is written, with its usual settings.
            pub const EXAMPLES: &[&'static str] = &[$($kind::EXAMPLE),*];

            /// The factor on the stage's rate. A plateau's factor is kept by what watches the score.
            pub fn factor(self, at: Progress) -> f32 {
                match self {
                    $(Self::$kind(curve) => curve.factor(at),)*
                }
            }
        }

        impl FromStr for Schedule {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let spec = Spec::parse(text)?;
                match spec.name {
                    $($name => $kind::read(&spec).map(Self::$kind),)*
                    name => {
                        let known = Self::EXAMPLES.join(", ");
                        Err(format!("there is no schedule `{name}`; known are {known}"))
                    }
                }
            }
        }

        impl fmt::Display for Schedule {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$kind(curve) => curve.fmt(formatter),)*
                }
            }
        }
    };
}

schedules![
    Constant: "constant";
    Exponential: "exponential";
    Cosine: "cosine";
    Linear: "linear";
    Plateau: "plateau";
];

impl Default for Schedule {
    /// The rate stays as it is.
    fn default() -> Self {
        Self::Constant(Constant)
    }
}

/// A number above 0 and at most 1.
fn share(spec: &Spec<'_>, value: f32) -> Result<f32, String> {
    match value > 0.0 && value <= 1.0 {
        true => Ok(value),
        false => Err(format!("{value} in `{}` must lie above 0 and at most at 1", spec.text)),
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
        assert!("quadratic".parse::<Schedule>().is_err());
        assert!("exponential(2)".parse::<Schedule>().is_err());
    }
}
