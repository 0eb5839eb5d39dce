"""Large weights out of an ONNX graph, and others of the same shapes into it: the graphs of real models, small enough to be
kept, with values on which a network computes something sane."""

import hashlib

import numpy as np
import onnx
from onnx import numpy_helper

# initializers of no more bytes keep their values: shapes, scales, bounds
KEPT_BYTES = 64
# an extent that says that the values are to be filled in
MARK = "filled"


def strip(model: onnx.ModelProto) -> None:
    """Takes the values of large float initializers out, and comments that name the exporter's source."""
    for tensor in model.graph.initializer:
        is_float = tensor.data_type == onnx.TensorProto.FLOAT
        size = 4 * int(np.prod(tensor.dims, dtype=np.int64))
        if is_float and size > KEPT_BYTES:
            dims, name = list(tensor.dims), tensor.name
            tensor.Clear()
            tensor.name, tensor.data_type, tensor.doc_string = name, onnx.TensorProto.FLOAT, MARK
            tensor.dims.extend(dims)
    del model.graph.value_info[:]
    for node in model.graph.node:
        node.doc_string = ""
        kept = [entry for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"]
        kept = [(entry.key, entry.value) for entry in kept]
        del node.metadata_props[:]
        for key, value in kept:
            node.metadata_props.add(key=key, value=value)
    for value in [*model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]


def fill(model: onnx.ModelProto) -> onnx.ModelProto:
    """Puts values into the initializers that have none, the same for the same name and shape."""
    roles = {}
    for node in model.graph.node:
        roles |= {name: (node.op_type, index) for index, name in enumerate(node.input)}
    # a name may be passed on before it is used
    passed = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Identity"}
    for after, before in passed.items():
        if after in roles:
            roles[before] = roles[after]
    for tensor in model.graph.initializer:
        if tensor.doc_string == MARK:
            values = value(tensor.name, list(tensor.dims), *roles.get(tensor.name, ("", 0)))
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    return model


def value(name: str, dims: list[int], op: str, index: int) -> np.ndarray:
    """Kernels with the scale of He, variances and scales around 1, all else around 0."""
    seed = hashlib.sha256(f"{name}{dims}".encode()).digest()[:8]
    random = np.random.default_rng(int.from_bytes(seed, "little"))
    if op == "Conv" and index == 1:
        return random.normal(size=dims) * np.sqrt(1.6 / np.prod(dims[1:]))
    if op in ("Gemm", "MatMul") and index == 1 and len(dims) == 2:
        return random.normal(size=dims) * np.sqrt(1.6 / min(dims[0] * 4, max(dims)))
    is_scale = (op == "BatchNormalization" and index in (1, 4)) or (op in ("LayerNormalization", "Mul") and index == 1)
    if is_scale:
        return random.uniform(0.7, 1.3, size=dims)
    return random.normal(size=dims) * 0.1
