//! Predictions of a model that is used as it is: by the command line, by a server, by your own program.
//!
//! ```
//! use frostline::Tensor;
//! use frostline::predict::{Answer, PredictOptions, Predictor, Rows};
//!
//! let mut predictor = Predictor::open("../cli/assets/demo/my_model_A.h5".as_ref(), &PredictOptions::default())?;
//! let one = Tensor { shape: vec![1, 28, 28, 1], data: vec![0.5; 28 * 28] };
//! let rows = [Rows::new(&one.shape, &one.data)];
//! predictor.check_rows("grey", &rows)?;
//! let found = predictor.predict_rows("grey", &rows, 0..1)?.remove(0).expect("finite numbers");
//! assert!(matches!(found.answer, Answer::Class { index: 0..8, .. }));
//! # Ok::<(), frostline::Error>(())
//! ```

mod options;
mod picture;
mod prediction;
mod predictor;
mod rows;

pub use options::{PictureSettings, PredictOptions};
pub use picture::Picture;
pub use prediction::{Answer, Prediction, Refusal, Task};
pub use predictor::Predictor;
pub use rows::{RowCheck, Rows};
