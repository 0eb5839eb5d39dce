//! Model files and graphs: what is read is what is written, damage is an error, and a cut model is what it was cut
//! from. The golden models are written by `tests/keras/make_goldens.py`.

mod archive;
mod config;
mod cuts;
mod damaged;
mod fuzzed;
mod golden;
mod onnx;
mod pickle;
mod round_trip;
mod safetensors;
mod surgery;
mod torch;
mod torch_formula;
mod transfer;
mod unsupported;
