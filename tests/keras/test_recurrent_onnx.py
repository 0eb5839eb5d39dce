"""Recurrent layers as ONNX: what is written, by ONNX Runtime; and nodes as PyTorch's exporters and tf2onnx write them, read."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import relative
from keras import layers as L

# The largest difference as a share of the largest output.
OUTPUT = 1e-5
STEPS, CHANNELS, UNITS, WORDS = 9, 6, 5, 30
node = onnx.helper.make_node

WRITTEN = {
    "lstm": lambda x: L.LSTM(UNITS)(x),
    "all_steps": lambda x: L.LSTM(UNITS, return_sequences=True)(x),
    "backwards": lambda x: L.GRU(UNITS, go_backwards=True)(x),
    "all_steps_backwards": lambda x: L.LSTM(UNITS, go_backwards=True, return_sequences=True)(x),
    "gru_of_keras_1": lambda x: L.GRU(UNITS, reset_after=False, return_sequences=True)(x),
    "simple": lambda x: L.SimpleRNN(UNITS, activation="relu")(x),
    "without_bias": lambda x: L.LSTM(UNITS, use_bias=False)(x),
    "activations": lambda x: L.LSTM(UNITS, recurrent_activation="hard_sigmoid", activation="softsign")(x),
    "activation_with_a_setting": lambda x: L.GRU(UNITS, activation="elu")(x),
    "both_ways": lambda x: L.Bidirectional(L.LSTM(UNITS, return_sequences=True))(x),
    "both_ways_summed": lambda x: L.Bidirectional(L.GRU(UNITS), merge_mode="sum")(x),
    "einsum": lambda x: L.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d", activation="relu")(x),
    "einsum_over_steps": lambda x: L.EinsumDense("abc,bcd->ad", output_shape=(7,), bias_axes="d")(x),
    "words": lambda x: L.LSTM(UNITS)(L.Embedding(WORDS, CHANNELS)(x)),
}


def ran(path, x):
    session = onnxruntime.InferenceSession(path)
    return session.run(None, {session.get_inputs()[0].name: x})


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_runs_and_is_read_back(name, frostline, tmp_path):
    keras.utils.set_random_seed(1)
    of_words = name == "words"
    inputs = keras.Input((STEPS,) if of_words else (STEPS, CHANNELS))
    made = WRITTEN[name](inputs)
    if len(made.shape) == 3:
        made = L.GlobalAveragePooling1D()(made)
    model = keras.Model(inputs, L.Dense(3)(made))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.3, weight.shape))
    model.save(tmp_path / "model.keras")
    x = rng.integers(0, WORDS, (4, STEPS)) if of_words else rng.normal(size=(4, STEPS, CHANNELS))
    x = x.astype("float32")
    expected = np.asarray(model(x))
    frostline.done("convert", tmp_path / "model.keras", "-o", tmp_path / "model.onnx")
    assert relative(ran(tmp_path / "model.onnx", x)[0], expected) < OUTPUT
    frostline.done("convert", tmp_path / "model.onnx", "-o", tmp_path / "back.keras")
    back = keras.models.load_model(tmp_path / "back.keras")
    assert relative(np.asarray(back(x)), expected) < OUTPUT


def test_a_cell_that_onnx_does_not_have_is_refused(frostline, tmp_path):
    inputs = keras.Input((STEPS, CHANNELS))
    keras.Model(inputs, L.LSTM(UNITS, activation="gelu")(inputs)).save(tmp_path / "model.keras")
    result = frostline.run("convert", tmp_path / "model.keras", "-o", tmp_path / "model.onnx")
    assert result.returncode == 1 and "`.keras`" in result.stderr


GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def save(path, op, outputs, tail, directions=1, more=None, given=(), **settings):
    """A node over `[batch, steps, channels]`, which is turned for it, and the nodes of `tail`, which make `y` of its outputs."""
    rng = np.random.default_rng(2)
    width = GATES[op] * UNITS
    tensors = {
        "w": rng.normal(0, 0.5, (directions, width, CHANNELS)),
        "r": rng.normal(0, 0.5, (directions, width, UNITS)),
        "b": rng.normal(0, 0.5, (directions, 2 * width)),
    }
    tensors = {name: value.astype("float32") for name, value in tensors.items()} | (more or {})
    cell = node(op, ["turned", "w", "r", "b", *given], outputs, name="/rnn/" + op, hidden_size=UNITS, **settings)
    nodes = [node("Transpose", ["x"], ["turned"], perm=[1, 0, 2]), cell, *tail]
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "cell",
        [tensor("x", onnx.TensorProto.FLOAT, ["batch", STEPS, CHANNELS])],
        [tensor("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


AXES = {name: np.array([number], "int64") for name, number in {"zero": 0, "one": 1}.items()}
LAST = [node("Squeeze", ["last", "zero"], ["y"])]
ALL = [node("Squeeze", ["all", "one"], ["steps"]), node("ReduceMean", ["steps"], ["y"], axes=[0], keepdims=0)]
BOTH = [
    node("Transpose", ["all"], ["moved"], perm=[2, 0, 1, 3]),
    node("Reshape", ["moved", "shape"], ["steps"]),
    node("ReduceMean", ["steps"], ["mean"], axes=[1], keepdims=0),
    node("Transpose", ["last"], ["turned_last"], perm=[1, 0, 2]),
    node("Flatten", ["turned_last"], ["flat"]),
    node("Add", ["mean", "flat"], ["y"]),
]


def of_one_direction(**settings):
    tail = [node("Squeeze", ["last", "zero"], ["h"]), *ALL[:1], node("ReduceMean", ["steps"], ["mean"], axes=[0], keepdims=0)]
    return {"outputs": ["all", "last"], "tail": [*tail, node("Add", ["mean", "h"], ["y"])], **settings}


READ = {
    "last": {"op": "LSTM", "outputs": ["", "last"], "tail": LAST},
    "all": {"op": "LSTM", "outputs": ["all"], "tail": ALL},
    "reverse": {"op": "GRU", "direction": "reverse", **of_one_direction(linear_before_reset=1)},
    "reset_before": {"op": "GRU", **of_one_direction()},
    "simple": {"op": "RNN", "activations": ["Relu"], **of_one_direction()},
    "both_ways": {
        "op": "LSTM", "outputs": ["all", "last"], "tail": BOTH, "directions": 2, "direction": "bidirectional",
    },
    "settings": {
        "op": "LSTM", "outputs": ["", "last"], "tail": LAST, "activations": ["HardSigmoid", "Tanh", "Tanh"],
        "activation_alpha": [0.2], "activation_beta": [0.5], "is_of_keras_3": False,
    },
    "zeros": {
        "op": "LSTM", "outputs": ["", "last"], "tail": LAST, "given": ["", "state", "state"],
        "more": {"state": np.zeros((1, 1, UNITS), "float32")}, "batch": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_nodes_are_keras_layers(name, frostline, tmp_path):
    settings = dict(READ[name])
    batch, is_of_keras_3 = settings.pop("batch", 3), settings.pop("is_of_keras_3", True)
    more = AXES | {"shape": np.array([0, STEPS, 2 * UNITS], "int64")} | settings.pop("more", {})
    save(tmp_path / "cell.onnx", more=more, **settings)
    x = np.random.default_rng(3).normal(size=(batch, STEPS, CHANNELS)).astype("float32")
    expected = ran(tmp_path / "cell.onnx", x)[0]
    assert relative(frostline.outputs(tmp_path / "cell.onnx", x, tmp_path), expected) < OUTPUT
    if is_of_keras_3:
        frostline.done("convert", tmp_path / "cell.onnx", "-o", tmp_path / "cell.keras")
        model = keras.models.load_model(tmp_path / "cell.keras")
        assert relative(np.asarray(model(x)), expected) < OUTPUT


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"given": ["", "state"], "more": {"state": np.ones((1, 1, UNITS), "float32")}}, "state `state`"),
        ({"given": ["lengths"], "more": {"lengths": np.array([4], "int32")}}, "lengths of its sequences"),
        ({"activations": ["Sigmoid", "Tanh", "Relu"]}, "one activation for its cell"),
        ({"clip": 3.0}, "clips its state"),
    ],
)
def test_what_keras_does_not_have_is_refused(settings, said, frostline, tmp_path):
    more = AXES | settings.pop("more", {})
    save(tmp_path / "cell.onnx", "LSTM", ["", "last"], LAST, more=more, **settings)
    np.save(tmp_path / "x.npy", np.zeros((2, STEPS, CHANNELS), "float32"))
    result = frostline.run("predict", tmp_path / "cell.onnx", tmp_path / "x.npy", "--preprocess", "none")
    assert result.returncode == 1 and said in result.stderr and "help: " in result.stderr
