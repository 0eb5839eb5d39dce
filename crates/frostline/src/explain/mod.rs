//! Where in an image a model sees what it says: Grad-CAM (Selvaraju et al. 2017, section 3).
//!
//! An [`Explainer`] is made once for a model and a layer, and explains any number of pictures. A [`HeatMap`] lies over a picture
//! by [`HeatMap::overlay`], or as a PNG by [`HeatMap::overlay_png`].

mod explainer;
mod heat_map;
mod plans;

pub use explainer::Explainer;
pub use heat_map::{Explained, HeatMap};
