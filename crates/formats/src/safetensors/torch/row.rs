//! What a table of architectures is made of.

use super::builder::Builder;
use crate::safetensors::file::Tensors;
use frostline_graph::{Result, TensorId};
use std::fmt::Debug;

/// Whose names and settings the modules have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Library {
    Torchvision,
    Timm,
}

impl Library {
    pub(super) const ALL: [Self; 2] = [Self::Torchvision, Self::Timm];
}

/// A network that is built for the tensors of a file.
pub(super) trait Network: Debug + Send + Sync {
    /// Puts the layers together, with as many classes as the classifier in the file has, and gives the output.
    fn build(&self, b: &mut Builder<'_>, library: Library) -> TensorId;

    /// Brings weights that belong to images of one size to images of this height and width, and says so; `None` where there are
    /// none, or they are of that size already.
    ///
    /// Errors: images that the network cannot take.
    fn take_to(&self, _size: [usize; 2], _tensors: &mut Tensors<'_>) -> Result<Option<String>> {
        Ok(None)
    }

    /// Modules that only training uses, by how their names begin, and what they are.
    fn only_trained(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

/// A line of a table: a network and what it is called.
pub(super) struct Row<N> {
    /// Empty where a library does not have it.
    pub(super) names: [&'static str; 2],
    network: N,
}

impl<N> Row<N> {
    pub(super) const fn network(&self) -> &N {
        &self.network
    }
}

/// A network of one name in both libraries.
pub(super) const fn both<N>(name: &'static str, network: N) -> Row<N> {
    Row { names: [name, name], network }
}

/// A network with a name in torchvision and another in timm.
pub(super) const fn named<N>(torchvision: &'static str, timm: &'static str, network: N) -> Row<N> {
    Row { names: [torchvision, timm], network }
}

/// A network of torchvision alone.
pub(super) const fn torchvision<N>(name: &'static str, network: N) -> Row<N> {
    named(name, "", network)
}

/// A network of timm alone.
pub(super) const fn timm<N>(name: &'static str, network: N) -> Row<N> {
    named("", name, network)
}
