//! Keras's files in all their dialects.

pub(super) mod archive;
mod assign;
mod config_in;
mod config_out;
mod dialect;
mod inbound;
pub(super) mod legacy;
mod operation;
mod order;
pub(super) mod store;
mod sublayers;
mod theano;

pub(super) use archive::config_of;
pub(super) use assign::do_not_fit;
pub(super) use legacy::{KERAS_VERSION, major, parse};
