"""ONNX in and out, against ONNX Runtime: graphs of real models as PyTorch's, Keras's and tf2onnx's exporters write them, and
every golden model as frostline writes it."""

import json
import pathlib

import keras
import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import pytest
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from conftest import relative
from onnx_weights import fill
from PIL import Image
from test_round_trip import FILES, arrays

# The largest difference as a share of the largest output.
OUTPUT = 1e-4
GRAPHS = sorted((pathlib.Path(__file__).parent / "onnx").glob("*.onnx"))
SIZE = 224


def run(model, *inputs):
    """ONNX Runtime's outputs."""
    model = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def check(path):
    """A file that ONNX's own checker takes, shapes and all."""
    onnx.checker.check_model(str(path), full_check=True)
    return onnx.load(path)


def images(count=2, size=SIZE, seed=0):
    return np.random.default_rng(seed).normal(size=(count, size, size, 3)).astype("float32")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """The committed graphs with weights, by their names."""
    folder = tmp_path_factory.mktemp("onnx")

    def make(name):
        path = folder / f"{name}.onnx"
        if not path.exists():
            onnx.save(fill(onnx.load(next(graph for graph in GRAPHS if graph.stem == name))), path)
        return path

    return make


@pytest.mark.parametrize("name", [graph.stem for graph in GRAPHS])
def test_models_of_pytorch_compute_what_they_did(name, filled, frostline, tmp_path):
    path = filled(name)
    batch = images(size=onnx.load(path).graph.input[0].type.tensor_type.shape.dim[3].dim_value)
    expected = run(path, batch.transpose(0, 3, 1, 2))[0]
    assert np.isfinite(expected).all() and expected.std() > 1e-3
    assert relative(frostline.outputs(path, batch, tmp_path), expected) < OUTPUT
    report = frostline.json("inspect", path)
    assert report["load"]["unsupported"] == [] and report["load"]["unused"] == []
    assert report["load"]["tensors"] == report["load"]["loaded"] > 10
    assert any("channels" in note for note in report["load"]["notes"])
    assert any("--preprocess" in note for note in report["load"]["notes"])
    # what frostline writes of it is the same model again
    again = tmp_path / "again.onnx"
    frostline.done("convert", path, "-o", again)
    assert frostline.json("inspect", again)["load"]["unsupported"] == []
    assert relative(frostline.outputs(again, batch, tmp_path), expected) < OUTPUT


def small(nodes, weights, opset=17, shape=("batch", 3, 8, 8)):
    """A graph of these nodes from `x` to `y`."""
    helper = onnx.helper
    value = helper.make_tensor_value_info
    weights = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    ends = value("x", onnx.TensorProto.FLOAT, shape), value("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "small", [ends[0]], [ends[1]], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def kernel(dtype="float32"):
    return np.random.default_rng(5).normal(size=(4, 3, 3, 3)).astype(dtype)


def test_an_operator_that_no_layer_does_is_named_and_the_graph_cut_below_it(frostline, tmp_path):
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="/conv/Conv"),
        node("GridSample", ["a", "grid"], ["b"], name="/warp/GridSample"),
        node("Relu", ["b"], ["y"], name="/relu/Relu"),
    ]
    path = tmp_path / "warp.onnx"
    grid = np.zeros((1, 6, 6, 2), "float32")
    onnx.save(small(nodes, {"w": kernel(), "grid": grid}), path)
    report = frostline.json("inspect", path)
    assert {"path": "warp", "kind": "GridSample"} in report["load"]["unsupported"]
    np.savez(tmp_path / "x.npz", input_0=images(1, 8))
    refused = frostline.run("predict", path, tmp_path / "x.npz")
    assert refused.returncode == 1 and "/warp/GridSample" in refused.stderr and "--keep conv" in refused.stderr
    data = pictures(tmp_path / "data", count=4)
    frostline.done(
        "train", path, data, "-o", tmp_path / "run", "--keep", "conv", "--preprocess", "unit", "--epochs", "1",
        "--fine-tune-epochs", "0", "--no-cache", "--quiet",
    )  # fmt: skip


def test_what_cannot_be_read_says_what_to_do(frostline, tmp_path):
    node = onnx.helper.make_node
    conv = [node("Conv", ["x", "w"], ["y"], name="conv")]
    integer = [node("ConvInteger", ["x", "q"], ["y"], name="conv")]
    np.savez(tmp_path / "x.npz", input_0=images(1, 8))
    for model, words in [
        (small(conv, {"w": kernel()}, opset=6), "opset 6"),
        (small(conv, {"w": kernel()}, opset=99), "opset 99"),
        (small(integer, {"q": kernel().astype("int8")}), "quantized"),
        (small([node("Conv", ["x", "w"], ["a"]), node("If", ["a"], ["y"], name="branch")], {"w": kernel()}), "`If`"),
    ]:
        path = tmp_path / "refused.onnx"
        path.write_bytes(model.SerializeToString())
        refused = frostline.run("predict", path, tmp_path / "x.npz")
        assert refused.returncode == 1 and words in refused.stderr and "help:" in refused.stderr, refused.stderr


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_weights_of_other_widths_become_float32(dtype, frostline, tmp_path):
    nodes = [
        onnx.helper.make_node("Cast", ["w"], ["w32"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Conv", ["x", "w32"], ["y"]),
    ]
    path = tmp_path / "narrow.onnx"
    onnx.save(small(nodes, {"w": kernel(dtype)}), path)
    batch = images(2, 8)
    expected = run(path, batch.transpose(0, 3, 1, 2))[0].transpose(0, 2, 3, 1)
    assert relative(frostline.outputs(path, batch, tmp_path), expected) < OUTPUT


def test_weights_beside_the_model_are_read(frostline, tmp_path):
    path = tmp_path / "outside.onnx"
    model = small([onnx.helper.make_node("Conv", ["x", "w"], ["y"])], {"w": kernel()})
    onnx.save(model, path, save_as_external_data=True, location="outside.onnx.data", size_threshold=0)
    assert (tmp_path / "outside.onnx.data").exists()
    batch = images(2, 8)
    expected = run(path, batch.transpose(0, 3, 1, 2))[0].transpose(0, 2, 3, 1)
    assert relative(frostline.outputs(path, batch, tmp_path), expected) < OUTPUT
    elsewhere = onnx.load(path, load_external_data=False)
    elsewhere.graph.initializer[0].external_data[0].value = "../outside.onnx.data"
    path.write_bytes(elsewhere.SerializeToString())
    refused = frostline.run("inspect", path)
    assert refused.returncode == 1 and "leads out of the model's folder" in refused.stderr


@pytest.mark.parametrize("nodes", [
    # padding below zero, sizes that do not come out even, channels taken apart, axes moved about
    [("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]})],
    [("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1})],
    [("AveragePool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1})],
    [("AveragePool", {"kernel_shape": [3, 3], "strides": [1, 1], "pads": [1, 1, 1, 1]})],
    [("Slice", {"starts": [1], "ends": [3], "axes": [1]}), ("Relu", {})],
    [("Transpose", {"perm": [0, 2, 3, 1]}), ("Softmax", {"axis": 3})],
    [("Flatten", {}), ("Softmax", {"axis": 1})],
    [("ReduceMean", {"axes": [2, 3], "keepdims": 0})],
], ids=lambda nodes: "-".join(op for op, _ in nodes))  # fmt: skip
def test_single_operators(nodes, frostline, tmp_path):
    names = ["x", "a", *[f"v{index}" for index in range(len(nodes) - 1)], "y"]
    made = [onnx.helper.make_node("Conv", ["x", "w"], ["a"])]
    for (op, attributes), before, after in zip(nodes, names[1:], names[2:], strict=False):
        made.append(onnx.helper.make_node(op, [before], [after], **attributes))
    path = tmp_path / "one.onnx"
    onnx.save(small(made, {"w": kernel()}, opset=9 if nodes[0][0] == "Slice" else 12), path)
    batch = images(2, 8)
    expected = run(path, batch.transpose(0, 3, 1, 2))[0]
    if expected.ndim == 4 and nodes[0][0] != "Transpose":
        expected = expected.transpose(0, 2, 3, 1)
    assert frostline.json("inspect", path)["load"]["unsupported"] == []
    found = frostline.outputs(path, batch, tmp_path)
    # parts of the channels come with the channels in front
    found = found if found.shape == expected.shape else found.transpose(0, 2, 3, 1)
    assert relative(found, expected) < OUTPUT


@pytest.mark.parametrize("layer, kinds", [
    ("convnext_atto.torchscript", {"LayerNormalization", "LayerScale", "DepthwiseConv2D", "Activation"}),
    ("mobilenet_v3_small.torchscript", {"ReLU", "Activation", "Multiply", "GlobalAveragePooling2D"}),
    ("densenet121.torchscript", {"BatchNormalization", "Concatenate", "AveragePooling2D"}),
])
def test_patterns_become_the_layers_they_were(layer, kinds, filled, frostline):
    found = {row["kind"] for row in frostline.json("inspect", filled(layer))["layers"]}
    assert kinds <= found
    # what a pattern is made of is gone
    assert not found & {"Rescaling", "Subtract", "Permute", "Erf"}


def test_layers_are_named_after_the_modules(filled, frostline):
    for exporter in ("torchscript", "dynamo"):
        rows = frostline.json("inspect", filled(f"resnet18.{exporter}"))["layers"]
        kinds = {row["path"]: row["kind"] for row in rows}
        assert kinds["layer1.0.conv1"] == "Conv2D" and kinds["fc"] == "Dense"
        assert all("/" not in path for path in kinds)


def pictures(folder, count=8):
    random = np.random.default_rng(1)
    for index, name in enumerate(["dark", "light"]):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 128, size=(72, 60, 3)) + 127 * index
            Image.fromarray(pixels.astype("uint8")).save(folder / name / f"{number}.png")
    return folder


def both(probability):
    """The scores of both classes, of which the model gives the second alone."""
    probability = np.asarray(probability)
    return np.concatenate([1 - probability, probability], axis=1)


@pytest.mark.parametrize("name", ["resnet18.torchscript", "mobilenet_v3_small.dynamo"])
def test_a_model_of_pytorch_is_fine_tuned_and_handed_back(name, filled, frostline, tmp_path):
    data = pictures(tmp_path / "data")
    frostline.done(
        "train", filled(name), data, "-o", tmp_path / "run", "--preprocess", "torch", "--epochs", "1",
        "--fine-tune-epochs", "1", "--unfreeze", "4", "--batch", "4", "--no-cache", "--quiet",
    )  # fmt: skip
    frostline.done("convert", tmp_path / "run", "-o", tmp_path / "tuned.onnx")
    model, batch = check(tmp_path / "tuned.onnx"), images()
    expected = both(frostline.outputs(tmp_path / "run", batch, tmp_path))
    assert relative(both(run(tmp_path / "tuned.onnx", batch)[0]), expected) < OUTPUT
    said = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert said["frostline.classes"] == ["dark", "light"] and said["frostline.preprocess"] == "torch"
    # and real Keras takes the run's own model
    assert relative(both(keras.saving.load_model(tmp_path / "run/model.keras")(batch)), expected) < OUTPUT
    # read back it is the same model
    again = frostline.json("inspect", tmp_path / "tuned.onnx")
    assert again["classes"] == ["dark", "light"] and again["preprocess"] == "torch"
    assert relative(both(frostline.outputs(tmp_path / "tuned.onnx", batch, tmp_path)), expected) < OUTPUT
    photos = sorted(data.glob("*/0.png"))
    scores = [json.loads(line)["scores"] for line in frostline.done("predict", tmp_path / "run", *photos, "--json").splitlines()]
    # resizing and scaling inside the graph: pixels in, the same scores out
    frostline.done("convert", tmp_path / "run", "-o", tmp_path / "pixels.onnx", "--embed-preprocessing")
    check(tmp_path / "pixels.onnx")
    pixels = np.stack([np.asarray(Image.open(photo)) for photo in photos])
    probability = run(tmp_path / "pixels.onnx", pixels)[0][:, 0]
    assert np.abs(probability - np.array(scores)[:, 1]).max() < OUTPUT


# what `docs/onnx.md` says is not written: always, and with some settings
NOT_WRITTEN = {"Masking"}
NOT_ALWAYS = {
    "Embedding": "says which steps of a sequence count",
    "LSTM": "has the activation",
    "GRU": "has the activation",
    "TimeDistributed": "which is not written as ONNX",
}


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".keras"], ids=lambda path: path.stem)
def test_every_golden_model_runs_in_onnx_runtime(path, frostline, tmp_path):
    reference = np.load(path.with_suffix(".npz"))
    kinds = {layer["kind"] for layer in frostline.json("inspect", path)["layers"]}
    result = frostline.run("convert", path, "-o", tmp_path / "model.onnx")
    if NOT_WRITTEN & kinds or any(said in result.stderr for kind, said in NOT_ALWAYS.items() if kind in kinds):
        assert result.returncode == 1 and "save the model as `.keras`" in result.stderr, result.stderr
        return
    assert result.returncode == 0, result.stderr
    model = check(tmp_path / "model.onnx")
    assert model.opset_import[0].version == 17
    inputs, expected = arrays(reference, "input"), arrays(reference, "output")
    for found, wanted in zip(run(tmp_path / "model.onnx", *inputs), expected, strict=True):
        assert relative(found, wanted) < OUTPUT
    batches = [value.type.tensor_type.shape.dim[0].dim_param for value in model.graph.input]
    assert batches == ["batch"] * len(inputs)


def test_an_image_size_that_is_open_stays_open(frostline, tmp_path):
    inputs = keras.Input((None, None, 3), name="photo")
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(inputs)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.UpSampling2D(2, interpolation="bilinear")(x))
    model = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x))
    model.save(tmp_path / "open.keras")
    frostline.done("convert", tmp_path / "open.keras", "-o", tmp_path / "open.onnx")
    assert check(tmp_path / "open.onnx").graph.input[0].name == "photo"
    for size in (32, 45):
        batch = images(3, size)
        expected = keras.ops.convert_to_numpy(model(batch))
        assert relative(run(tmp_path / "open.onnx", batch)[0], expected) < OUTPUT
        assert relative(frostline.outputs(tmp_path / "open.onnx", batch, tmp_path), expected) < OUTPUT


def randomised(model):
    random = np.random.default_rng(3)
    for variable in model.variables:
        noise = random.uniform(0.5, 1.5, size=variable.shape).astype("float32")
        is_scale = "gamma" in variable.path or "variance" in variable.path
        variable.assign(noise if is_scale else np.asarray(variable) + 0.1 * (noise - 1))
    return model


def network(name):
    """Small models of the kinds that tf2onnx writes differently."""
    layers = keras.layers
    inputs = keras.Input((32, 32, 3))
    if name == "plain":
        x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
        x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
        x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x))
        x = layers.Conv2D(8, 1, activation="swish")(x)
        x = layers.Dense(16, activation="relu")(layers.Flatten()(layers.MaxPooling2D()(x)))
        return keras.Model(inputs, layers.Dense(4, activation="softmax")(x))
    x = layers.Conv2D(8, 3, activation="relu")(layers.ZeroPadding2D()(inputs))
    gate = layers.Conv2D(8, 1, activation="hard_sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Concatenate()([layers.Multiply()([x, gate]), layers.AveragePooling2D(3, strides=1, padding="same")(x)])
    x = layers.Add()([x, layers.SeparableConv2D(16, 3, padding="same", activation="tanh")(x)])
    x = layers.LeakyReLU()(layers.BatchNormalization()(layers.Cropping2D(2)(x)))
    return keras.Model(inputs, layers.Dense(4)(layers.Dropout(0.3)(layers.GlobalMaxPooling2D()(x))))


@pytest.mark.parametrize("name", ["plain", "branched"])
@pytest.mark.parametrize("exporter", ["keras", "tf2onnx"])
def test_models_of_keras_exported_by_others_are_read(name, exporter, frostline, tmp_path):
    model, batch = randomised(network(name)), images(3, 32)
    expected = keras.ops.convert_to_numpy(model(batch))
    path = tmp_path / "model.onnx"
    if exporter == "keras":
        model.export(path, format="onnx", verbose=False)
    else:
        import tensorflow
        import tf2onnx

        function = tensorflow.function(lambda x: model(x, training=False))
        signature = [tensorflow.TensorSpec((None, 32, 32, 3), tensorflow.float32)]
        tf2onnx.convert.from_function(function, signature, opset=15, output_path=str(path))
    assert relative(run(path, batch)[0], expected) < OUTPUT
    assert frostline.json("inspect", path)["load"]["unsupported"] == []
    assert relative(frostline.outputs(path, batch, tmp_path), expected) < OUTPUT
    # and it goes on as a Keras model
    frostline.done("convert", path, "-o", tmp_path / "model.keras")
    assert relative(keras.saving.load_model(tmp_path / "model.keras")(batch), expected) < OUTPUT


class Pictures(CalibrationDataReader):
    """Images by which ONNX Runtime chooses the ranges of values."""

    def __init__(self):
        self.left = [{"x": images(4, 8, seed).transpose(0, 3, 1, 2)} for seed in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


@pytest.mark.parametrize("per_channel", [False, True])
def test_quantised_models_are_widened(per_channel, frostline, tmp_path):
    node = onnx.helper.make_node
    nodes = [
        node("Conv", ["x", "w"], ["a"], name="/first/Conv"),
        # the range of what follows makes it superfluous, and it is left out
        node("Relu", ["a"], ["r"], name="/act/Relu"),
        node("Conv", ["r", "v"], ["y"], name="/second/Conv"),
    ]
    second = np.random.default_rng(7).normal(size=(5, 4, 1, 1)).astype("float32")
    path, narrow = tmp_path / "wide.onnx", tmp_path / "narrow.onnx"
    onnx.save(small(nodes, {"w": kernel(), "v": second}), path)
    quantize_static(path, narrow, Pictures(), quant_format=QuantFormat.QDQ, per_channel=per_channel)
    assert not any(made.op_type == "Relu" for made in onnx.load(narrow).graph.node)
    batch = images(2, 8)
    # as the graph says it: the runtime's kernels of 8 bits overflow on processors without VNNI
    plainly = onnxruntime.SessionOptions()
    plainly.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(narrow, plainly, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": batch.transpose(0, 3, 1, 2)})[0].transpose(0, 2, 3, 1)
    report = frostline.json("inspect", narrow)["load"]
    assert report["unsupported"] == [] and any("not rounded" in note for note in report["notes"])
    # values of 8 bits are rounded by half a step of 255, three times one behind the other
    assert relative(frostline.outputs(narrow, batch, tmp_path), expected) < 3 * 0.5 / 255 * 4
