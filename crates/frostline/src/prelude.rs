//! What most programs need: `use frostline::prelude::*;`.

pub use crate::fit::{Event, Head, Metric, Scores, StageConfig, TrainConfig};
pub use crate::layers::{BatchNormalization, Dense, Dropout, Flatten};
pub use crate::model_files::ModelFiles;
pub use crate::trainer::{Fitted, Trainer};
pub use crate::{Error, ErrorKind, Result, Shape, Tensor};
pub use frostline_data::{Dataset, open as open_data};
pub use frostline_graph::{Freeze, Keep, Model, Transfer, Unfreeze};
