//! Model files and graphs: what is read is what is written, damage is an error, and a cut model is what it was cut
//! from. The golden models are written by `tests/keras/make_goldens.py`.

mod archive;
mod config;
mod cuts;
mod damaged;
mod golden;
mod onnx;
mod round_trip;
mod surgery;
mod transfer;
mod unsupported;
