//! What a stage of training does where nothing is said: one table for recipes and for the command line's flags.
//!
//! | stage | epochs | learning rate | of reused layers | warm-up |
//! |---|---|---|---|---|
//! | head: nothing is unfrozen | 10 | 1e-3 | (times 0.1) | no |
//! | fine-tune: some or all reused layers are | 5 | 1e-4 | times 0.1 | yes |
//! | exact: a list says what is frozen | 10 | 1e-3 | times 1 | no |
//! | from scratch: weights drawn anew, all of them train | 10 | 1e-3 | times 1 | no |

use toml::{Table, Value};

/// On unfreezing the whole rate falls to this share: large steps wreck the reused weights.
pub const FINE_TUNE_SHARE: f32 = 0.1;

/// What a stage has where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageDefaults {
    /// Passes over the training images.
    pub epochs: usize,
    /// The head's learning rate.
    pub learning_rate: f32,
    /// The reused layers' rate as a share of the head's.
    pub backbone_lr_factor: f32,
    /// Whether the rate rises from 0 over the first epoch.
    pub warm_up: bool,
}

impl StageDefaults {
    /// The head alone trains.
    pub const HEAD: Self = Self { epochs: 10, learning_rate: 1e-3, backbone_lr_factor: 0.1, warm_up: false };
    /// Reused layers train too.
    pub const FINE_TUNE: Self =
        Self { epochs: 5, learning_rate: 1e-4, backbone_lr_factor: 0.1, warm_up: true };
    /// A list says what is frozen, or nothing is reused: all that trains has one rate.
    pub const ALIKE: Self = Self { epochs: 10, learning_rate: 1e-3, backbone_lr_factor: 1.0, warm_up: false };
}

/// A recipe's table with what its stages leave out.
pub(in crate::fit) fn filled(mut recipe: Table) -> Table {
    let is_new = recipe.get("weights").and_then(Value::as_str) == Some("reinit");
    let stages = recipe.get_mut("stage").and_then(Value::as_array_mut).into_iter().flatten();
    for stage in stages.filter_map(Value::as_table_mut) {
        let defaults = of_stage(stage, is_new);
        let rate = |value: f32| Value::Float(value.to_string().parse().unwrap_or(f64::from(value)));
        let all = [
            ("epochs", Value::Integer(defaults.epochs as i64)),
            ("lr", rate(defaults.learning_rate)),
            ("backbone-lr-factor", rate(defaults.backbone_lr_factor)),
            ("warm-up", Value::Boolean(defaults.warm_up)),
        ];
        for (key, value) in all {
            stage.entry(key).or_insert(value);
        }
    }
    recipe
}

fn of_stage(stage: &Table, is_new: bool) -> StageDefaults {
    let unfrozen = match stage.get("unfreeze") {
        None | Some(Value::Integer(0)) => None,
        Some(Value::String(text)) if text.trim() == "0" => None,
        Some(other) => Some(other.as_str() == Some("all")),
    };
    match unfrozen {
        _ if stage.contains_key("freeze") => StageDefaults::ALIKE,
        Some(true) if is_new => StageDefaults::ALIKE,
        Some(_) => StageDefaults::FINE_TUNE,
        None => StageDefaults::HEAD,
    }
}
