//! Keras's files in all their dialects.

pub(super) mod archive;
mod assign;
mod chains;
mod config_in;
mod config_out;
mod dialect;
mod dtype;
mod inbound;
mod known;
mod leftover;
pub(super) mod legacy;
pub(super) mod live;
mod masks;
mod merged;
mod names;
mod newer;
mod operation;
mod order;
mod owner;
pub(super) mod shards;
pub(super) mod store;
mod sublayers;
mod tf_functions;
mod tf_operations;
mod theano;

pub(super) use archive::config_of;
pub(super) use assign::do_not_fit;
pub use legacy::KERAS_VERSION;
pub(super) use legacy::parse;
