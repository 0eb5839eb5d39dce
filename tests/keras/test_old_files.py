"""Files of every Keras before the current one: configs and weights are written in their dialects here, and
frostline computes from them what the same weights compute in the current Keras, and converts them to files
that it loads."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from conftest import relative
from keras import layers as L

# The largest difference as a share of the largest output.
OUTPUT = 1e-4
IMAGE = (12, 10, 3)


def attribute(group, name, values):
    """A list of names, in chunks where it is longer than an attribute may be, as Keras does it."""
    values = [value.encode() for value in values]
    if sum(map(len, values)) < 64000:
        group.attrs[name] = np.array(values) if values else np.zeros(0, "S1")
    else:
        for index, chunk in enumerate(np.array_split(np.array(values), 2)):
            group.attrs[f"{name}{index}"] = chunk


def write_h5(file, config, version, weights):
    """A whole model. `weights`: for each layer of the model the names and values of its variables."""
    with h5py.File(file, "w") as out:
        if version is not None:
            out.attrs["keras_version"] = version.encode()
            out.attrs["backend"] = b"tensorflow"
        out.attrs["model_config"] = json.dumps(config).encode()
        group = out.create_group("model_weights")
        attribute(group, "layer_names", list(weights))
        if version is not None:
            group.attrs["keras_version"] = version.encode()
            group.attrs["backend"] = b"tensorflow"
        for layer, variables in weights.items():
            own = group.create_group(layer)
            attribute(own, "weight_names", list(variables))
            for name, value in variables.items():
                own[name] = value


def lively(model):
    random = np.random.default_rng(7)
    for variable in model.variables:
        noise = random.normal(0, 1, variable.shape)
        name = variable.path.rsplit("/", 1)[-1]
        if name != "seed_generator_state":
            variable.assign(
                {"moving_variance": np.abs(noise) + 0.5, "gamma": 1 + 0.3 * noise}.get(name, 0.4 * noise)
            )
    return model


def values(model, layer):
    """The variables of a layer, by their names in the current Keras."""
    return {variable.name: variable.numpy() for variable in model.get_layer(layer).weights}


def check(file, model, frostline, tmp_path, converts=True):
    shapes = [tensor.shape[1:] for tensor in model.inputs]
    inputs = [
        np.random.default_rng(i).normal(0, 1, (4, *shape)).astype("float32") for i, shape in enumerate(shapes)
    ]
    expected = model.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0)
    load = frostline.json("inspect", file)["load"]
    print(f"{file.name}: {load['tensors']} tensors, {load['loaded']} loaded, notes {load['notes']}")
    assert load["tensors"] == load["loaded"]
    # of a file from before 2.0 that does not name its backend one thing cannot be known
    notes = [note for note in load["notes"] if not note.startswith("Keras 1 does not say which backend")]
    assert load["unsupported"] == [] and notes == []
    batch = tmp_path / "inputs.npz"
    np.savez(batch, **{f"input_{i}": x for i, x in enumerate(inputs)})
    frostline.done("predict", file, batch, "-o", tmp_path / "outputs.npz")
    difference = relative(np.load(tmp_path / "outputs.npz")["output_0"], expected)
    print(f"{file.name}: {difference:.1e}")
    assert difference < OUTPUT
    for ending in ("keras", "h5") if converts else ():
        frostline.done("convert", file, "-o", tmp_path / f"new.{ending}")
        found = keras.models.load_model(tmp_path / f"new.{ending}")
        difference = relative(found.predict(inputs if len(inputs) > 1 else inputs[0], verbose=0), expected)
        print(f"{file.name} -> .{ending} in Keras: {difference:.1e}")
        assert difference < OUTPUT


# ---- Keras 1: `Convolution2D`, `nb_filter`, `border_mode`, `dim_ordering`, variables `conv_W`


def none(*keys):
    return dict.fromkeys(keys)


KERAS_1_WEIGHTS = none(
    "W_regularizer", "b_regularizer", "activity_regularizer", "W_constraint", "b_constraint"
)


def conv_1(name, filters, rows, columns, **more):
    settings = {
        **{"name": name, "trainable": True, "nb_filter": filters, "nb_row": rows, "nb_col": columns},
        **{"init": "glorot_uniform", "activation": "linear", "border_mode": "valid", "subsample": [1, 1]},
        **{"dim_ordering": "tf", "bias": True, **KERAS_1_WEIGHTS, **more},
    }
    return {"class_name": "Convolution2D", "config": settings}


def layer_1(class_name, name, **settings):
    return {"class_name": class_name, "config": {"name": name, "trainable": True, **settings}}


def dense_1(name, units, **more):
    settings = {
        "output_dim": units,
        "init": "glorot_uniform",
        "activation": "linear",
        "bias": True,
        "input_dim": None,
    }
    return layer_1("Dense", name, **settings | KERAS_1_WEIGHTS | more)


def norm_1(name):
    settings = {"epsilon": 0.001, "mode": 0, "axis": -1, "momentum": 0.99}
    return layer_1("BatchNormalization", name, **settings, **none("gamma_regularizer", "beta_regularizer"))


OLD_NAMES = {"kernel": "W", "bias": "b", "moving_mean": "running_mean", "moving_variance": "running_std"}


def weights_1(model, names):
    return {
        layer: {f"{layer}_{OLD_NAMES.get(name, name)}": value for name, value in values(model, layer).items()}
        for layer in names
    }


@pytest.mark.parametrize("version", [None, "1.2.2"])
def test_a_sequential_model_of_keras_1(version, frostline, tmp_path):
    model = lively(
        keras.Sequential(
            [
                keras.Input(IMAGE),
                L.Conv2D(
                    6, (3, 2), padding="same", strides=(2, 1), activation="relu", name="convolution2d_1"
                ),
                L.BatchNormalization(name="batchnormalization_1"),
                L.ZeroPadding2D(1, name="zeropadding2d_1"),
                L.Conv2D(5, 3, dilation_rate=2, use_bias=False, name="atrousconvolution2d_1"),
                L.LeakyReLU(negative_slope=0.3, name="leakyrelu_1"),
                L.UpSampling2D(2, name="upsampling2d_1"),
                L.SeparableConv2D(4, 3, depth_multiplier=2, name="separableconvolution2d_1"),
                L.MaxPooling2D(2, name="maxpooling2d_1"),
                L.ELU(alpha=0.7, name="elu_1"),
                L.Flatten(name="flatten_1"),
                L.Dropout(0.5, name="dropout_1"),
                L.Dense(7, activation="tanh", name="dense_1"),
                L.Reshape((7, 1, 1), name="reshape_1"),
                L.Flatten(name="flatten_2"),
                L.Dense(3, activation="softmax", name="dense_2"),
            ]
        )
    )
    separable = {
        **{"name": "separableconvolution2d_1", "trainable": True, "nb_filter": 4, "nb_row": 3, "nb_col": 3},
        **{"init": "glorot_uniform", "activation": "linear", "border_mode": "valid", "subsample": [1, 1]},
        **{"dim_ordering": "tf", "bias": True, "depth_multiplier": 2},
        **none("depthwise_regularizer", "pointwise_regularizer", "b_regularizer", "activity_regularizer"),
        **none("depthwise_constraint", "pointwise_constraint", "b_constraint"),
    }
    first = {"batch_input_shape": [None, *IMAGE], "input_dtype": "float32", "activation": "relu"}
    atrous = conv_1("atrousconvolution2d_1", 5, 3, 3, atrous_rate=[2, 2], bias=False)
    pooling = {"pool_size": [2, 2], "strides": [2, 2], "border_mode": "valid", "dim_ordering": "tf"}
    config = [
        conv_1("convolution2d_1", 6, 3, 2, border_mode="same", subsample=[2, 1], **first),
        norm_1("batchnormalization_1"),
        layer_1("ZeroPadding2D", "zeropadding2d_1", padding=[1, 1], dim_ordering="tf"),
        {**atrous, "class_name": "AtrousConvolution2D"},
        layer_1("LeakyReLU", "leakyrelu_1", alpha=0.30000001192092896),
        layer_1("UpSampling2D", "upsampling2d_1", size=[2, 2], dim_ordering="tf"),
        {"class_name": "SeparableConvolution2D", "config": separable},
        layer_1("MaxPooling2D", "maxpooling2d_1", **pooling),
        layer_1("ELU", "elu_1", alpha=0.699999988079071),
        layer_1("Flatten", "flatten_1"),
        layer_1("Dropout", "dropout_1", p=0.5),
        dense_1("dense_1", 7, activation="tanh"),
        layer_1("Reshape", "reshape_1", target_shape=[7, 1, 1]),
        layer_1("Flatten", "flatten_2"),
        dense_1("dense_2", 3, activation="softmax"),
    ]
    names = [layer["config"]["name"] for layer in config]
    file = tmp_path / "keras_1.h5"
    write_h5(file, {"class_name": "Sequential", "config": config}, version, weights_1(model, names))
    check(file, model, frostline, tmp_path)


@pytest.mark.parametrize(
    "mode, merge",
    [("sum", L.Add), ("mul", L.Multiply), ("ave", L.Average), ("max", L.Maximum), ("concat", L.Concatenate)],
)
def test_a_graph_of_keras_1_with_a_merge(mode, merge, frostline, tmp_path):
    image = keras.Input(IMAGE, name="input_1")
    conv = L.Conv2D(4, 3, padding="same", name="convolution2d_1")
    pair = [conv(image), L.Conv2D(4, 1, name="convolution2d_2")(image)]
    out = L.GlobalAveragePooling2D(name="globalaveragepooling2d_1")(merge(name="merge_1")(pair))
    model = lively(keras.Model(image, L.Dense(2, activation="sigmoid", name="dense_1")(out)))
    merged = {"mode": mode, "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "output_shape": None}
    merged |= {"output_shape_type": "raw", "arguments": {}, "output_mask": None, "output_mask_type": "raw"}
    nodes = [
        (
            layer_1(
                "InputLayer", "input_1", batch_input_shape=[None, *IMAGE], input_dtype="float32", sparse=False
            ),
            [],
        ),
        (conv_1("convolution2d_1", 4, 3, 3, border_mode="same"), ["input_1"]),
        (conv_1("convolution2d_2", 4, 1, 1), ["input_1"]),
        (
            {"class_name": "Merge", "config": {"name": "merge_1", **merged}},
            ["convolution2d_1", "convolution2d_2"],
        ),
        (layer_1("GlobalAveragePooling2D", "globalaveragepooling2d_1", dim_ordering="tf"), ["merge_1"]),
        (dense_1("dense_1", 2, activation="sigmoid"), ["globalaveragepooling2d_1"]),
    ]
    graph = {
        "name": "model_1",
        "layers": [
            {
                **layer,
                "name": layer["config"]["name"],
                "inbound_nodes": [[[name, 0, 0] for name in ends]] if ends else [],
            }
            for layer, ends in nodes
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["dense_1", 0, 0]],
    }
    names = [layer["config"]["name"] for layer, _ in nodes]
    weights = weights_1(model, [name for name in names if name != "merge_1"]) | {"merge_1": {}}
    file = tmp_path / f"keras_1_{mode}.h5"
    write_h5(file, {"class_name": "Model", "config": graph, "keras_version": "1.2.2"}, "1.2.2", weights)
    check(file, model, frostline, tmp_path)


# ---- Keras 2 and tf.keras: `batch_input_shape`, nested lists of nodes, variables `conv/kernel:0`


SCALING = {
    "class_name": "VarianceScaling",
    "config": none("seed") | {"scale": 1.0, "mode": "fan_avg", "distribution": "uniform"},
}
ZEROS, ONES = ({"class_name": name, "config": {}} for name in ("Zeros", "Ones"))
KERAS_2_WEIGHTS = {
    **{"kernel_initializer": SCALING, "bias_initializer": ZEROS},
    **none(
        "kernel_regularizer",
        "bias_regularizer",
        "activity_regularizer",
        "kernel_constraint",
        "bias_constraint",
    ),
}


def conv_2(name, filters, size, **more):
    settings = {
        "filters": filters,
        "kernel_size": size,
        "strides": [1, 1],
        "padding": "valid",
        "use_bias": True,
    }
    settings |= {
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "activation": "linear",
        **KERAS_2_WEIGHTS,
    }
    return layer_1("Conv2D", name, **settings | more)


def dense_2(name, units, **more):
    return layer_1(
        "Dense", name, units=units, use_bias=True, **{"activation": "linear", **KERAS_2_WEIGHTS, **more}
    )


def norm_2(name, **more):
    settings = {"axis": -1, "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True}
    settings |= {"beta_initializer": ZEROS, "gamma_initializer": ONES, "moving_mean_initializer": ZEROS}
    settings |= {"moving_variance_initializer": ONES}
    settings |= none("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint")
    return layer_1("BatchNormalization", name, **settings | more)


def weights_2(model, names, prefix=""):
    def variable(layer, name, value):
        is_depthwise = isinstance(model.get_layer(layer), L.DepthwiseConv2D) and name == "kernel"
        return f"{prefix}{layer}/{'depthwise_kernel' if is_depthwise else name}:0", value

    return {layer: dict(variable(layer, *item) for item in values(model, layer).items()) for layer in names}


def graph_2(name, nodes, ends, keywords=({},)):
    """`nodes`: each layer with the tensors of each of its calls."""
    return {
        "name": name,
        "layers": [
            {
                **layer,
                "name": layer["config"]["name"],
                "inbound_nodes": [[[*tensor, *keywords] for tensor in call] for call in calls],
            }
            for layer, calls in nodes
        ],
        "input_layers": [[end, 0, 0] for end in ends[0]],
        "output_layers": [[end, 0, 0] for end in ends[1]],
    }


@pytest.mark.parametrize("as_list", [True, False], ids=["2.1.6", "2.3.1"])
def test_a_sequential_model_of_keras_2(as_list, frostline, tmp_path):
    model = lively(
        keras.Sequential(
            [
                keras.Input(IMAGE),
                L.Conv2D(6, 3, padding="same", name="conv2d_1"),
                L.BatchNormalization(momentum=0.9, name="batch_normalization_1"),
                L.ReLU(6.0, name="re_lu_1"),
                L.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, name="depthwise_conv2d_1"),
                L.LeakyReLU(negative_slope=0.1, name="leaky_re_lu_1"),
                L.AveragePooling2D(2, name="average_pooling2d_1"),
                L.SpatialDropout2D(0.2, name="spatial_dropout2d_1"),
                L.Flatten(name="flatten_1"),
                L.Dense(3, activation="softmax", name="dense_1"),
            ]
        )
    )
    depthwise = {"kernel_size": [3, 3], "strides": [2, 2], "padding": "same", "data_format": "channels_last"}
    depthwise |= {"dilation_rate": [1, 1], "activation": "linear", "use_bias": False, "depth_multiplier": 1}
    depthwise |= {"depthwise_initializer": SCALING, "bias_initializer": ZEROS}
    depthwise |= none(
        "depthwise_regularizer", "bias_regularizer", "activity_regularizer", "depthwise_constraint"
    )
    pooling = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": "channels_last"}
    layers = [
        conv_2("conv2d_1", 6, [3, 3], padding="same", batch_input_shape=[None, *IMAGE], dtype="float32"),
        norm_2("batch_normalization_1", momentum=0.9),
        layer_1("ReLU", "re_lu_1", max_value=6.0, negative_slope=0.0, threshold=0.0),
        layer_1("DepthwiseConv2D", "depthwise_conv2d_1", **depthwise),
        layer_1("LeakyReLU", "leaky_re_lu_1", alpha={"type": "ndarray", "value": 0.10000000149011612}),
        layer_1("AveragePooling2D", "average_pooling2d_1", **pooling),
        layer_1("SpatialDropout2D", "spatial_dropout2d_1", rate=0.2, noise_shape=None, seed=None),
        layer_1("Flatten", "flatten_1", data_format="channels_last"),
        dense_2("dense_1", 3, activation="softmax"),
    ]
    names = [layer["config"]["name"] for layer in layers]
    config = {
        "class_name": "Sequential",
        "config": layers if as_list else {"name": "sequential_1", "layers": layers},
    }
    file = tmp_path / "keras_2.h5"
    write_h5(file, config, "2.1.6" if as_list else "2.3.1", weights_2(model, names))
    check(file, model, frostline, tmp_path)


def shared_and_nested():
    """A nested model and a layer, each called twice."""
    inner_input = keras.Input((6, 5, 4), name="input_2")
    inner_out = L.BatchNormalization(name="norm")(L.Conv2D(4, 3, padding="same", name="conv")(inner_input))
    inner = keras.Model(inner_input, inner_out, name="block")
    image = keras.Input(IMAGE, name="input_1")
    small = L.MaxPooling2D(2, name="pool")(L.Conv2D(4, 3, padding="same", name="stem")(image))
    twice = L.Conv2D(4, 1, name="twice")
    x = L.Add(name="add")([inner(twice(inner(small))), twice(small)])
    x = L.Concatenate(axis=3, name="concatenate")([x, small])
    return lively(keras.Model(image, L.Dense(2, name="dense")(L.GlobalAveragePooling2D(name="gap")(x))))


def ends_in_a_nested_model(inner_twice):
    inner_input = keras.Input((5,), name="inner_input")
    inner = keras.Model(inner_input, L.Dense(5, name="inner_dense")(inner_input), name="inner")
    outer_input = keras.Input((5,), name="outer_input")
    x = L.Activation("tanh", name="tanh")(inner(outer_input)) if inner_twice else outer_input
    return lively(keras.Model(outer_input, inner(x), name="outer"))


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("inner_twice", [False, True], ids=["once", "twice"])
def test_a_model_of_the_current_keras_that_ends_in_a_nested_model(inner_twice, ending, frostline, tmp_path):
    model = ends_in_a_nested_model(inner_twice)
    model.save(tmp_path / f"model.{ending}")
    check(tmp_path / f"model.{ending}", model, frostline, tmp_path)


@pytest.mark.parametrize("inner_twice", [False, True], ids=["once", "twice"])
def test_a_model_of_keras_2_that_ends_in_a_nested_model(inner_twice, frostline, tmp_path):
    model = ends_in_a_nested_model(inner_twice)
    start = lambda name: (
        layer_1("InputLayer", name, batch_input_shape=[None, 5], dtype="float32", sparse=False),
        [],
    )
    inside = [start("inner_input"), (dense_2("inner_dense", 5), [[["inner_input", 0, 0]]])]
    inner = {"class_name": "Model", "config": graph_2("inner", inside, (["inner_input"], ["inner_dense"]))}
    first = [["outer_input", 0, 0]]
    nodes = [start("outer_input"), (inner, [first])]
    if inner_twice:
        tanh = layer_1("Activation", "tanh", activation="tanh")
        nodes = [start("outer_input"), (inner, [first, [["tanh", 0, 0]]]), (tanh, [[["inner", 1, 0]]])]
    graph = graph_2("outer", nodes, (["outer_input"], ["inner"]))
    graph["output_layers"] = [["inner", 2 if inner_twice else 1, 0]]
    weights = {
        "outer_input": {},
        "inner": weights_2(model.get_layer("inner"), ["inner_dense"])["inner_dense"],
    }
    file = tmp_path / "keras_2.h5"
    write_h5(file, {"class_name": "Model", "config": graph}, "2.2.4", weights)
    check(file, model, frostline, tmp_path)


@pytest.mark.parametrize("version", ["2.2.4", "2.4.0", "2.15.0"])
def test_a_graph_with_shared_and_nested_layers(version, frostline, tmp_path):
    model = shared_and_nested()
    inner = model.get_layer("block")
    is_tensorflow = version >= "2.4"
    more = {"groups": 1, "dtype": "float32"} if is_tensorflow else {}
    plain = {"dtype": "float32"} if is_tensorflow else {}
    norm = norm_2("norm", axis=[3] if is_tensorflow else -1, **plain)
    axis = {"axis": 3}

    def start(name, shape):
        settings = {"batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}
        return layer_1("InputLayer", name, **settings, **({"ragged": False} if is_tensorflow else {}))

    conv = conv_2("conv", 4, [3, 3], padding="same", **more)
    inside = [(start("input_2", (6, 5, 4)), []), (conv, [[["input_2", 0, 0]]]), (norm, [[["conv", 0, 0]]])]
    class_name = "Functional" if is_tensorflow else "Model"
    block = graph_2("block", inside, (["input_2"], ["norm"]))
    pooling = {
        "pool_size": [2, 2],
        "strides": [2, 2],
        "padding": "valid",
        "data_format": "channels_last",
        **plain,
    }
    nodes = [
        (start("input_1", IMAGE), []),
        (conv_2("stem", 4, [3, 3], padding="same", **more), [[["input_1", 0, 0]]]),
        (layer_1("MaxPooling2D", "pool", **pooling), [[["stem", 0, 0]]]),
        # a nested model's own graph is its first call
        ({"class_name": class_name, "config": block}, [[["pool", 0, 0]], [["twice", 0, 0]]]),
        (conv_2("twice", 4, [1, 1], **more), [[["block", 1, 0]], [["pool", 0, 0]]]),
        (layer_1("Add", "add", **plain), [[["block", 2, 0], ["twice", 1, 0]]]),
        (layer_1("Concatenate", "concatenate", **axis, **plain), [[["add", 0, 0], ["pool", 0, 0]]]),
        (
            layer_1("GlobalAveragePooling2D", "gap", data_format="channels_last", **plain),
            [[["concatenate", 0, 0]]],
        ),
        (dense_2("dense", 2, **plain), [[["gap", 0, 0]]]),
    ]
    graph = graph_2("model_1", nodes, (["input_1"], ["dense"]))
    if version == "2.15.0":
        for layer in graph["layers"]:
            layer |= {
                "module": "keras.layers",
                "registered_name": None,
                "build_config": {"input_shape": [None]},
            }
            if "dtype" in layer["config"] and layer["class_name"] != "InputLayer":
                layer["config"]["dtype"] = {"class_name": "Policy", "config": {"name": "float32"}}
    order = ["input_1", "stem", "pool", "twice", "add", "concatenate", "gap", "dense"]
    weights = weights_2(model, order)
    # those that train come first, whatever layer they are of
    flat = weights_2(inner, ["conv", "norm"])
    flat = {name: value for variables in flat.values() for name, value in variables.items()}
    weights["block"] = dict(sorted(flat.items(), key=lambda item: "moving" in item[0]))
    file = tmp_path / f"keras_{version}.h5"
    write_h5(file, {"class_name": class_name, "config": graph}, version, weights)
    check(file, model, frostline, tmp_path)


def test_a_sequential_model_of_tf_keras_with_what_later_versions_refuse(frostline, tmp_path):
    model = lively(
        keras.Sequential(
            [
                keras.Input(IMAGE),
                L.Rescaling(1 / 127.5, offset=-1.0, name="rescaling"),
                L.Conv2D(6, 3, groups=3, activation="relu", name="conv2d"),
                L.DepthwiseConv2D(
                    3, depth_multiplier=2, activation=keras.activations.relu6, name="depthwise_conv2d"
                ),
                L.BatchNormalization(name="batch_normalization"),
                L.GlobalMaxPooling2D(keepdims=True, name="global_max_pooling2d"),
                L.Flatten(name="flatten"),
                L.Dense(3, activation="swish", name="dense"),
            ]
        )
    )
    dtype = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": "float32"},
        "registered_name": None,
    }
    depthwise = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "data_format": "channels_last"}
    depthwise |= {
        "dilation_rate": [1, 1],
        "groups": 1,
        "activation": "relu6",
        "use_bias": True,
        "depth_multiplier": 2,
    }
    depthwise |= {"bias_initializer": ZEROS, "depthwise_initializer": SCALING, "dtype": dtype}
    depthwise |= none("bias_regularizer", "activity_regularizer", "bias_constraint", "depthwise_regularizer")
    depthwise |= none("depthwise_constraint", "kernel_regularizer", "kernel_constraint")
    depthwise |= {"kernel_initializer": SCALING, "filters": None}
    start = {"batch_input_shape": [None, *IMAGE], "dtype": "float32", "sparse": False, "ragged": False}
    norm = norm_2("batch_normalization", axis=[3], dtype=dtype)
    layers = [
        layer_1("InputLayer", "input_1", **start),
        layer_1("Rescaling", "rescaling", dtype=dtype, scale=0.00784313725490196, offset=-1.0),
        conv_2("conv2d", 6, [3, 3], groups=3, activation="relu", dtype=dtype),
        layer_1("DepthwiseConv2D", "depthwise_conv2d", **depthwise),
        {**norm, "class_name": "BatchNormalizationV2"},
        layer_1("GlobalMaxPooling2D", "global_max_pooling2d", data_format="channels_last", keepdims=True),
        layer_1("Flatten", "flatten", data_format="channels_last", dtype="float32"),
        dense_2("dense", 3, activation="swish", dtype="float32"),
    ]
    config = {"name": "sequential", "layers": layers, "build_input_shape": [None, *IMAGE]}
    names = [layer["config"]["name"] for layer in layers[1:]]
    weights = weights_2(model, names)
    file = tmp_path / "tf_keras.h5"
    write_h5(file, {"class_name": "Sequential", "config": config}, "2.12.0", weights)
    check(file, model, frostline, tmp_path)


@pytest.mark.parametrize("major, version", [(1, "1.2.2"), (2, "2.2.4"), (3, "3.15.1")])
def test_hard_sigmoid_is_that_of_the_version_that_wrote_the_file(major, version, frostline, tmp_path):
    old = lambda x: keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)
    activation = "hard_sigmoid" if major == 3 else old
    model = lively(keras.Sequential([keras.Input((9,)), L.Dense(5, activation=activation, name="dense_1")]))
    dense = (dense_1 if major == 1 else dense_2)("dense_1", 5, activation="hard_sigmoid")
    dense["config"]["batch_input_shape"] = [None, 9]
    weights = (weights_1 if major == 1 else weights_2)(model, ["dense_1"])
    file = tmp_path / f"hard_sigmoid_{version}.h5"
    write_h5(file, {"class_name": "Sequential", "config": [dense]}, version, weights)
    check(file, model, frostline, tmp_path, converts=False)


def test_a_list_of_names_that_fills_several_attributes(frostline, tmp_path):
    """A list above 64 KB is written as `layer_names0`, `layer_names1`."""
    names = [f"{'a_layer_with_a_very_long_name_' * 100}{index}" for index in range(24)]
    is_dense = lambda index: index % 6 == 0
    stack = [
        L.Dense(3, name=n) if is_dense(index) else L.Activation("relu", name=n)
        for index, n in enumerate(names)
    ]
    model = lively(keras.Sequential([keras.Input((3,)), *stack]))
    layers = [
        dense_2(n, 3) if is_dense(index) else layer_1("Activation", n, activation="relu")
        for index, n in enumerate(names)
    ]
    layers[0]["config"]["batch_input_shape"] = [None, 3]
    file = tmp_path / "many.h5"
    write_h5(file, {"class_name": "Sequential", "config": layers}, "2.2.4", weights_2(model, names))
    with h5py.File(file) as written:
        assert "layer_names1" in written["model_weights"].attrs
    check(file, model, frostline, tmp_path)


def test_a_keras_archive_of_the_first_kind(frostline, tmp_path):
    """Keras 2.12 to 2.15 named the group of a model's layers `_layer_checkpoint_dependencies`."""
    model = lively(
        keras.Sequential(
            [keras.Input(IMAGE), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(3)]
        )
    )
    model.save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as archive:
        archive.extractall(tmp_path)
    with h5py.File(tmp_path / "model.weights.h5", "r+") as weights:
        weights.move("layers", "_layer_checkpoint_dependencies")
        for group in weights["_layer_checkpoint_dependencies"].values():
            group["vars"].attrs.pop("name", None)
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as archive:
        for name in "metadata.json", "config.json", "model.weights.h5":
            archive.write(tmp_path / name, name)
    check(tmp_path / "old.keras", model, frostline, tmp_path)
