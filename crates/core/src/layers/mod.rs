//! Layer kinds: what a Keras layer's config means, its shapes and weights, and the ops it lowers to.
//!
//! To add a kind: one file here and one line in [`KINDS`].

mod config;
mod initializer;
mod input_layer;

pub use config::Config;
pub use initializer::Initializer;
pub use input_layer::InputLayer;

use crate::ops::{Lowering, Role, ValueId};
use crate::{Result, Shape};
use serde_json::{Map, Value};
use std::fmt::Debug;

/// A weight that a layer wants.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSpec {
    /// Keras's name of the variable: `kernel`, `bias`, `gamma`, …
    pub name: &'static str,
    /// Its shape.
    pub shape: Shape,
    /// How it begins where it is not loaded.
    pub initializer: Initializer,
    /// Trainable or a statistic.
    pub role: Role,
}

impl WeightSpec {
    /// A weight that training changes.
    pub fn trainable(name: &'static str, shape: &[usize], initializer: Initializer) -> Self {
        Self { name, shape: shape.to_vec(), initializer, role: Role::Trainable }
    }

    /// A statistic.
    pub fn state(name: &'static str, shape: &[usize], initializer: Initializer) -> Self {
        Self { name, shape: shape.to_vec(), initializer, role: Role::State }
    }
}

/// A layer kind with its attributes. Shapes are without the batch dimension; messages say what was expected and
/// what was received, and the caller adds the layer's path.
pub trait LayerKind: Debug + Send + Sync + CloneKind {
    /// Keras's class name.
    fn class_name(&self) -> &'static str;

    /// The attributes as Keras 3 writes them, without `name`, `trainable` and `dtype`: what `from_config` reads.
    fn config(&self) -> Map<String, Value>;

    /// The weights in Keras's order (trainable ones first, as they are created), given the inputs' shapes.
    fn weights(&self, _inputs: &[Shape]) -> Result<Vec<WeightSpec>, String> {
        Ok(Vec::new())
    }

    /// The output's shape.
    fn output_shape(&self, inputs: &[Shape]) -> Result<Shape, String>;

    /// Pushes the ops that compute the layer and returns their result.
    fn lower(&self, lowering: &mut Lowering<'_>, inputs: &[ValueId]) -> Result<ValueId>;

    /// For an input layer: the extents it wants, `None` where any will do.
    fn input_extents(&self) -> Option<Vec<Option<usize>>> {
        None
    }
}

/// Cloning behind a box.
pub trait CloneKind {
    /// A boxed copy.
    fn clone_kind(&self) -> Box<dyn LayerKind>;
}

impl<T: LayerKind + Clone + 'static> CloneKind for T {
    fn clone_kind(&self) -> Box<dyn LayerKind> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn LayerKind> {
    fn clone(&self) -> Self {
        self.clone_kind()
    }
}

/// Reads a kind's attributes from a config in the form of Keras 3.
pub type FromConfig = fn(&Config<'_>) -> Result<Box<dyn LayerKind>>;

/// Every layer kind: its Keras class and how its config is read.
pub const KINDS: &[(&str, FromConfig)] =
    &[("InputLayer", |config| Ok(Box::new(InputLayer::from_config(config)?)))];

/// The reader of a Keras class, or `None` for a class that frostline does not know.
pub fn kind(class_name: &str) -> Option<FromConfig> {
    KINDS.iter().find(|(name, _)| *name == class_name).map(|(_, read)| *read)
}
