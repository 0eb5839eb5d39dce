"""The weights and inputs of the golden files of `tests/golden/torch/`: every tensor is a formula of its name
and shape, so that the files need not hold any. `crates/frostline/tests/models/torch_formula.rs` has the same."""

import json
import math

import numpy as np

MASK = (1 << 64) - 1


def uniform(name, count):
    """Numbers from 0 to below 1: SplitMix64 from FNV-1a of the name."""
    seed = 0xCBF29CE484222325
    for byte in name.encode():
        seed = ((seed ^ byte) * 0x100000001B3) & MASK
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(40)).astype(np.float64) / (1 << 24)


def spread_of(name, shape):
    """The middle of the tensor's numbers, and how far they reach: what keeps the spread of the activations about as it is, layer
    by layer."""
    if name.endswith("running_var"):
        middle, spread = 1.0, 0.5
    elif name.endswith(("gamma", "layer_scale")):
        middle, spread = 0.5, 0.3
    elif name.endswith("weight") and len(shape) == 1:
        middle, spread = 1.0, 0.2
    elif name.endswith("weight"):
        middle, spread = 0.0, math.sqrt(6.0 / math.prod(shape[1:]))
    elif name == "input":
        middle, spread = 0.0, 2.0
    else:  # biases, means and targets
        middle, spread = 0.0, 0.2
    return middle, spread


def value(name, shape):
    """The tensor of this name."""
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    middle, spread = spread_of(name, shape)
    return (middle + spread * (2.0 * uniform(name, math.prod(shape)) - 1.0)).astype(np.float32).reshape(shape)


def save_safetensors(path, tensors):
    """Writes tensors (name to shape) with these values."""
    header, parts, start = {}, [], 0
    for name, shape in tensors.items():
        parts.append(value(name, tuple(shape)).tobytes())
        end = start + len(parts[-1])
        kind = "I64" if name.endswith("num_batches_tracked") else "F32"
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
