"""Kinds of ONNX graphs in which an answer could be wrong without a word, against ONNX Runtime: parts of the channels, and
images at another size."""

import itertools

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import relative
from test_onnx import images, kernel, pictures, run, small

# The largest difference as a share of the largest output.
OUTPUT = 1e-4
# What the runtime itself refuses is no news.
onnxruntime.set_default_logger_severity(4)
node = onnx.helper.make_node
STEM = node("Conv", ["x", "w"], ["stem"], name="/stem/Conv", pads=[1, 1, 1, 1])


def weights(**more):
    """The stem makes 8 channels of 3."""
    stem = np.concatenate([kernel(), kernel()[::-1]]).astype("float32")
    whole = {name: np.array(numbers, "int64") for name, numbers in more.items() if isinstance(numbers, list)}
    return {"w": stem} | whole | {name: value for name, value in more.items() if not isinstance(value, list)}


def part(of, start, end, to):
    """A part of the channels."""
    names = [f"{to}.{name}" for name in ("start", "end", "axis")]
    made = node("Slice", [of, *names], [to], name=f"/{to}/Slice")
    return made, dict(zip(names, [[start], [end], [1]], strict=True))


def save(path, nodes, tensors, shape=("batch", 3, 12, 16), opset=17):
    onnx.save(small(nodes, tensors, opset=opset, shape=shape), path)
    return path


def batch_of(shape):
    return np.random.default_rng(3).normal(size=shape).astype("float32")


def last(x):
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def shuffled(kind):
    """Nodes that move channels about, from `stem` to `moved`."""
    if kind == "parts":
        (a, first), (b, second) = part("stem", 0, 3, "a"), part("stem", 3, 8, "b")
        return [a, b, node("Concat", ["b", "a"], ["moved"], name="/moved/Concat", axis=1)], first | second
    taken, order, back = {
        # channel shuffle of ShuffleNet, pixel shuffle, depth to space as TensorFlow has it, and space to depth
        "channels": ([0, 2, 4, 12, 16], [0, 2, 1, 3, 4], [0, 8, 12, 16]),
        "pixels": ([0, 2, 2, 2, 12, 16], [0, 1, 4, 2, 5, 3], [0, 2, 24, 32]),
        "blocks": ([0, 2, 2, 2, 12, 16], [0, 3, 4, 1, 5, 2], [0, 2, 24, 32]),
        "space": ([0, 8, 6, 2, 8, 2], [0, 3, 5, 1, 2, 4], [0, 32, 6, 8]),
    }[kind]
    return [
        node("Reshape", ["stem", "taken"], ["apart"], name="/apart/Reshape"),
        node("Transpose", ["apart"], ["turned"], name="/turned/Transpose", perm=order),
        node("Reshape", ["turned", "back"], ["moved"], name="/moved/Reshape"),
    ], {"taken": taken, "back": back}


@pytest.mark.parametrize("kind", ["parts", "channels", "pixels", "blocks", "space"])
def test_a_value_whose_channels_were_moved_is_cut_as_an_image(kind, frostline, tmp_path):
    nodes, tensors = shuffled(kind)
    nodes = [STEM, *nodes, node("Relu", ["moved"], ["y"], name="/act/Relu")]
    path, x = save(tmp_path / "moved.onnx", nodes, weights(**tensors)), batch_of((2, 3, 12, 16))
    expected = last(run(path, x)[0])
    assert relative(frostline.outputs(path, last(x), tmp_path), expected) < OUTPUT
    rows = frostline.json("inspect", path)["layers"]
    height, width, channels = expected.shape[1:]
    cuts = {row["path"]: row["shape"] for row in rows if row["cut"]}
    moved = rows[-2]["path"]
    assert moved.startswith("moved") and cuts[moved] == cuts["act"] == [height, width, channels], rows
    # nothing between is offered
    assert set(map(tuple, cuts.values())) <= {(12, 16, 8), (height, width, channels)}, rows
    frostline.done(
        "train", path, pictures(tmp_path / "data", count=4), "-o", tmp_path / "run", "--preprocess", "unit", "--epochs",
        "1", "--keep", moved, "--fine-tune-epochs", "0", "--no-cache", "--quiet",
    )  # fmt: skip
    pooled = [row for row in frostline.json("inspect", tmp_path / "run")["layers"] if "Pooling" in row["kind"]]
    assert pooled[0]["shape"] == [channels]
    turned = [row["path"] for row in rows if row["kind"] == "Permute" and row["shape"] != [height, width, channels]]
    refused = frostline.run("train", path, tmp_path / "data", "-o", tmp_path / "no", "--keep", turned[0])
    assert refused.returncode == 1 and "cut at `" in refused.stderr and "not its last axis" in refused.stderr


@pytest.mark.parametrize("nodes, tensors, opset", [
    ([node("Pad", ["s", "pads"], ["y"])], {"pads": [0, 0, 1, 2, 0, 0, 0, 1]}, 17),
    ([node("Pad", ["s", "pads"], ["p"]), node("AveragePool", ["p"], ["y"], kernel_shape=[3, 3])], {"pads": [0, 0, 1, 1, 0, 0, 1, 1]}, 17),
    ([node("AveragePool", ["s"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)], {}, 17),
    ([node("ReduceMean", ["s"], ["y"], axes=[2, 3])], {}, 17),
    ([node("ReduceMean", ["s"], ["y"], axes=[-1, -2], keepdims=0)], {}, 17),
    ([node("ReduceMax", ["s"], ["y"], axes=[2, 3], keepdims=0)], {}, 17),
    ([node("Softmax", ["s"], ["y"], axis=1)], {}, 17),
    ([node("Softmax", ["s"], ["y"], axis=2)], {}, 17),
    ([node("Softmax", ["s"], ["y"], axis=-1)], {}, 17),
    ([node("MatMul", ["s", "m"], ["y"])], {"m": np.random.default_rng(0).normal(size=(16, 5)).astype("float32")}, 17),
    ([node("MatMul", ["s", "m"], ["p"]), node("Add", ["p", "b"], ["y"])],
     {"m": np.random.default_rng(0).normal(size=(16, 5)).astype("float32"), "b": np.arange(5, dtype="float32")}, 17),
    ([node("Mul", ["s", "b"], ["y"])], {"b": np.arange(12, dtype="float32").reshape(12, 1)}, 17),
    ([node("LayerNormalization", ["s", "g"], ["y"], axis=-1)], {"g": np.arange(16, dtype="float32")}, 17),
    ([node("PRelu", ["s", "g"], ["y"])], {"g": np.linspace(-1, 1, 5, dtype="float32").reshape(5, 1, 1)}, 17),
    ([node("PRelu", ["s", "g"], ["y"])], {"g": np.linspace(-1, 1, 5 * 16, dtype="float32").reshape(5, 1, 16)}, 17),
    ([node("MaxPool", ["s"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])], {}, 17),
    ([node("Flatten", ["s"], ["y"])], {}, 17),
    ([node("Resize", ["s", "", "f"], ["y"], mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")], {"f": np.array([1, 1, 2, 2], "float32")}, 17),
    ([node("Transpose", ["s"], ["y"], perm=[0, 2, 3, 1])], {}, 17),
], ids=lambda value: "-".join(one.op_type for one in value) if isinstance(value, list) else None)  # fmt: skip
def test_operators_behind_a_part_of_the_channels(nodes, tensors, opset, frostline, tmp_path):
    made, ends = part("stem", 2, 7, "s")
    path = save(tmp_path / "part.onnx", [STEM, made, *nodes], weights(**ends, **tensors), opset=opset)
    x = batch_of((2, 3, 12, 16))
    expected = run(path, x)[0]
    expected = expected if nodes[0].op_type == "Transpose" else last(expected)
    assert frostline.json("inspect", path)["load"]["unsupported"] == []
    assert relative(frostline.outputs(path, last(x), tmp_path), expected) < OUTPUT
    # and what frostline writes of it is read again
    frostline.done("convert", path, "-o", tmp_path / "again.onnx")
    assert frostline.json("inspect", tmp_path / "again.onnx")["load"]["unsupported"] == []
    assert relative(frostline.outputs(tmp_path / "again.onnx", last(x), tmp_path), expected) < OUTPUT


CENTRES = ["half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners", "half_pixel_symmetric", "tf_crop_and_resize"]
ROUNDINGS = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]
# by factors, and by sizes; of an image of 6 x 10
SCALES = [[2, 2], [3, 2], [0.5, 0.5], [1.5, 1.5], [0.6, 1.3], [1, 2], [1, 1]]
SIZES = [[12, 20], [3, 5], [9, 7], [1, 1], [18, 10]]


def resized(path, by, how, opset=19, shape=("batch", 3, 6, 10)):
    kind, extents = by
    tensors = {"roi": np.array([0, 0, 0.1, 0.2, 1, 1, 0.9, 0.8], "float32")}
    if kind == "scales":
        tensors["by"] = np.array([1, 1, *extents], "float32")
        inputs = ["stem", "roi", "by"]
    else:
        tensors["by"] = np.array([2, 8, *extents], "int64")
        shape = (2, *shape[1:])
        inputs = ["stem", "roi", "", "by"]
    return save(path, [STEM, node("Resize", inputs, ["y"], name="/up/Resize", **how)], weights(**tensors), shape, opset)


def right_or_refused(path, frostline, tmp_path, shape=(2, 3, 6, 10)):
    """Whether frostline runs the file, and then as ONNX Runtime does; None where that does not run it itself."""
    x = batch_of(shape)
    try:
        expected = last(run(path, x)[0])
    except Exception:
        expected = None
    np.savez(tmp_path / "inputs.npz", input_0=last(x))
    done = frostline.run("predict", path, tmp_path / "inputs.npz", "-o", tmp_path / "outputs.npz")
    if done.returncode != 0:
        assert "/up/Resize" in done.stderr and "help:" in done.stderr, done.stderr
        return False
    if expected is None:
        return None
    found = np.load(tmp_path / "outputs.npz")["output_0"]
    assert found.shape == expected.shape, path
    assert relative(found, expected) < OUTPUT, path
    return True


BY = [*(("scales", extents) for extents in SCALES), *(("sizes", extents) for extents in SIZES)]


@pytest.mark.parametrize("centres", CENTRES)
def test_every_way_to_take_the_nearest_pixel_is_right_or_refused(centres, frostline, tmp_path):
    ran = set()
    for rounding, by in itertools.product(ROUNDINGS, BY):
        how = {"mode": "nearest", "coordinate_transformation_mode": centres, "nearest_mode": rounding}
        path = resized(tmp_path / "resize.onnx", by, how)
        if right_or_refused(path, frostline, tmp_path):
            ran.add((rounding, str(by[1])))
    every = {(rounding, str(by[1])) for rounding, by in itertools.product(ROUNDINGS, BY)}
    assert ran == every or centres == "tf_crop_and_resize", every - ran


@pytest.mark.parametrize("centres", CENTRES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_every_way_to_interpolate_is_right_or_refused(mode, centres, frostline, tmp_path):
    ran = set()
    options = [{}, {"antialias": 1}, {"exclude_outside": 1}, {"cubic_coeff_a": -0.5}, {"extrapolation_value": 7.0}]
    for more, by in itertools.product(options, BY):
        how = {"mode": mode, "coordinate_transformation_mode": centres} | more
        path = resized(tmp_path / "resize.onnx", by, how)
        if right_or_refused(path, frostline, tmp_path):
            ran.add((*more, str(by[1])))
    if centres != "tf_crop_and_resize":
        assert {(*more, str(by)) for more, (_, by) in itertools.product([(), ("cubic_coeff_a",)], BY)} <= ran, ran
        assert ("antialias", "[0.5, 0.5]") not in ran


@pytest.mark.parametrize("how, opset", [
    ({"mode": "nearest"}, 10),
    ({"mode": "linear"}, 10),
    ({"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"}, 11),
    ({"mode": "linear", "axes": [2, 3]}, 18),
    ({"mode": "linear", "keep_aspect_ratio_policy": "not_larger"}, 18),
])  # fmt: skip
def test_older_and_newer_versions_of_resize_are_right_or_refused(how, opset, frostline, tmp_path):
    ran = 0
    for extents in SCALES:
        kind = "sizes" if "keep_aspect_ratio_policy" in how else "scales"
        by = np.array([1, 1, *extents], "float32")
        inputs = ["stem", "roi", "by"] if opset > 10 else ["stem", "by"]
        tensors = {"roi": np.zeros(0, "float32"), "by": by[2:] if "axes" in how else by}
        if kind == "sizes":
            inputs, tensors["by"] = ["stem", "roi", "", "by"], np.array([2, 8, 7, 20], "int64")
        made = node("Resize", inputs, ["y"], name="/up/Resize", **how)
        path = save(tmp_path / "resize.onnx", [STEM, made], weights(**tensors), ("batch", 3, 6, 10), opset)
        ran += bool(right_or_refused(path, frostline, tmp_path))
    assert ran > 0 or how["mode"] == "linear" and opset == 10 or "keep_aspect_ratio_policy" in how


@pytest.mark.parametrize("mode, centres, rounding, runs", [
    ("nearest", "half_pixel", "round_prefer_floor", True), ("nearest", "asymmetric", "floor", True),
    ("nearest", "half_pixel", "floor", False), ("nearest", "asymmetric", "ceil", False),
    ("linear", "half_pixel", "floor", True), ("linear", "pytorch_half_pixel", "floor", True),
    ("linear", "align_corners", "floor", False), ("linear", "asymmetric", "floor", False),
])  # fmt: skip
def test_images_of_an_open_size_grow_by_whole_factors(mode, centres, rounding, runs, frostline, tmp_path):
    how = {"mode": mode, "coordinate_transformation_mode": centres, "nearest_mode": rounding}
    path = resized(tmp_path / "resize.onnx", ("scales", [2, 3]), how, shape=("batch", 3, "height", "width"))
    for shape in [(2, 3, 6, 10), (1, 3, 9, 5)]:
        assert right_or_refused(path, frostline, tmp_path, shape) == runs
    path = resized(tmp_path / "resize.onnx", ("scales", [1.5, 2]), how, shape=("batch", 3, "height", "width"))
    assert right_or_refused(path, frostline, tmp_path) is False


@pytest.mark.parametrize("start, end, runs", [
    (1, -2, True), (2, 2**63 - 1, True), (0, 2**31 - 1, True), (1, 300, False), (-300, 2**63 - 1, False), (-4, 2**63 - 1, False),
])  # fmt: skip
def test_the_rim_of_an_image_of_open_size_is_cropped_where_it_is_the_same_for_all(start, end, runs, frostline, tmp_path):
    made = node("Slice", ["stem", "start", "end", "axis"], ["y"], name="/crop/Slice")
    tensors = weights(start=[start], end=[end], axis=[2])
    path = save(tmp_path / "crop.onnx", [STEM, made], tensors, shape=("batch", 3, "height", "width"))
    said = " ".join(frostline.json("inspect", path)["load"]["notes"])
    assert ("whose extent is open" in said) != runs, said
    for size in [(7, 9), (310, 3)] if runs else []:
        x = batch_of((2, 3, *size))
        assert relative(frostline.outputs(path, last(x), tmp_path), last(run(path, x)[0])) < OUTPUT


@pytest.mark.parametrize("group", [1, 8])
@pytest.mark.parametrize(("strides", "dilations"), [([2, 2], [2, 2]), ([2, 2], [4, 4]), ([4, 2], [2, 2]), ([2, 2], [3, 3]), ([2, 1], [1, 2]), ([2, 1], [1, 1])])
def test_strides_and_dilations_at_once_are_layers_that_keras_loads(strides, dilations, group, frostline, tmp_path):
    kernel = np.random.default_rng(5).normal(size=(8, 8 // group, 3, 3)).astype("float32")
    how = {"strides": strides, "dilations": dilations, "pads": [2, 3, 1, 2], "group": group, "name": "/wide/Conv"}
    path = save(tmp_path / "wide.onnx", [STEM, node("Conv", ["stem", "k"], ["y"], **how)], weights(k=kernel), ("batch", 3, 15, 18))
    x = batch_of((2, 3, 15, 18))
    expected = last(run(path, x)[0])
    assert relative(frostline.outputs(path, last(x), tmp_path), expected) < OUTPUT
    frostline.done("convert", path, "-o", tmp_path / "wide.keras")
    import keras

    loaded = keras.models.load_model(tmp_path / "wide.keras")
    assert relative(loaded.predict(last(x), verbose=0), expected) < OUTPUT


def test_a_part_of_the_images_of_a_batch_is_refused(frostline, tmp_path):
    made = node("Slice", ["stem", "start", "end", "axis"], ["y"], name="/first/Slice")
    path = save(tmp_path / "first.onnx", [STEM, made], weights(start=[0], end=[1], axis=[0]))
    assert frostline.json("inspect", path)["load"]["unsupported"] == [{"path": "first", "kind": "Slice"}]


def reshape(of, to, extents, name=None):
    """A reshape and the tensor that it takes."""
    return node("Reshape", [of, f"{to}.shape"], [to], name=f"/{name or to}/Reshape"), {f"{to}.shape": extents}


def transpose(of, to, *order):
    return node("Transpose", [of], [to], name=f"/{to}/Transpose", perm=list(order))


def dense(seed, rows, columns):
    return np.random.default_rng(seed).normal(scale=rows**-0.5, size=(rows, columns)).astype("float32")


def chain(*steps):
    """The nodes and the tensors of steps, some of which are both."""
    nodes, tensors = [], {}
    for step in steps:
        made, own = step if isinstance(step, tuple) else (step, {})
        nodes.append(made)
        tensors |= own
    return nodes, tensors


# From `x`, [batch, 3, 8, 8], to `y`: values whose images the file counts elsewhere than first, or together with others.
TOKENS = [reshape("x", "places", [0, 3, 64]), transpose("places", "tokens", 0, 2, 1)]
VIEWS = {
    # queries, keys and values in front of the batch
    "heads": chain(
        *TOKENS,
        (node("MatMul", ["tokens", "qkv"], ["m"]), {"qkv": dense(0, 3, 24)}),
        reshape("m", "apart", [0, 64, 3, 2, 4]),
        transpose("apart", "front", 2, 0, 3, 1, 4),
        *[(node("Gather", ["front", f"i{i}"], [part], axis=0), {f"i{i}": np.array(i)}) for i, part in enumerate("qkv"[:3])],
        transpose("k", "kt", 0, 1, 3, 2),
        node("MatMul", ["q", "kt"], ["products"]),
        node("Softmax", ["products"], ["shares"], axis=-1),
        node("MatMul", ["shares", "v"], ["heads"]),
        transpose("heads", "joined", 0, 2, 1, 3),
        reshape("joined", "y", [0, 64, 8]),
    ),
    # windows counted with the images, shifted, with numbers that differ from window to window
    "windows": chain(
        transpose("x", "last", 0, 2, 3, 1),
        reshape("last", "six", [-1, 2, 4, 2, 4, 3]),
        transpose("six", "side", 0, 1, 3, 2, 4, 5),
        reshape("side", "windows", [-1, 16, 3]),
        (node("LayerNormalization", ["windows", "g"], ["n"], axis=-1), {"g": np.array([1, 2, 3], "float32")}),
        node("Transpose", ["n"], ["nt"], perm=[0, 2, 1]),
        node("MatMul", ["n", "nt"], ["products"]),
        reshape("products", "four", [-1, 4, 16, 16]),
        (node("Add", ["four", "mask"], ["masked"]), {"mask": dense(1, 4, 256).reshape(1, 4, 16, 16)}),
        reshape("masked", "again", [-1, 16, 16]),
        node("Softmax", ["again"], ["shares"], axis=-1),
        node("MatMul", ["shares", "windows"], ["mixed"]),
        reshape("mixed", "tiles", [-1, 2, 2, 4, 4, 3]),
        transpose("tiles", "rows", 0, 1, 3, 2, 4, 5),
        reshape("rows", "image", [-1, 8, 8, 3]),
        transpose("image", "y", 0, 3, 1, 2),
    ),
    # tokens before the batch, heads counted with it, and rows of all tokens of all images, as PyTorch's attention has them
    "tokens first": chain(
        *TOKENS,
        transpose("tokens", "first", 1, 0, 2),
        (node("MatMul", ["first", "w"], ["m"]), {"w": dense(2, 3, 8)}),
        reshape("m", "heads", [64, -1, 4]),
        transpose("heads", "h", 1, 0, 2),
        node("Softmax", ["h"], ["s"], axis=1),
        reshape("s", "images", [-1, 2, 64, 4]),
        transpose("images", "back", 2, 0, 1, 3),
        reshape("back", "rows", [-1, 8]),
        (node("Gemm", ["rows", "v", "b"], ["out"]), {"v": dense(3, 8, 5), "b": np.arange(5, dtype="float32")}),
        reshape("out", "apart", [64, -1, 5]),
        transpose("apart", "y", 1, 0, 2),
    ),
    # rows of all tokens through a normalisation by channels
    "rows": chain(
        *TOKENS,
        node("Flatten", ["tokens"], ["rows"], axis=2),
        (
            node("BatchNormalization", ["rows", "s", "o", "m", "v"], ["n"]),
            {key: np.array([1, 2, 3], "float32") * scale for key, scale in zip("somv", (1, -0.5, 0.1, 0.7))},
        ),
        reshape("n", "y", [-1, 64, 3]),
    ),
    # margins and repetitions of windows
    "margins": chain(
        reshape("x", "windows", [-1, 8, 8]),
        (node("Pad", ["windows", "p"], ["wide"]), {"p": [0, 0, 1, 0, 2, 0]}),
        node("ReduceMean", ["wide"], ["mean"], axes=[-1], keepdims=1),
        (node("Expand", ["mean", "e"], ["all"]), {"e": [1, 10, 9]}),
        node("Sub", ["wide", "all"], ["centred"]),
        reshape("centred", "y", [-1, 3, 10, 9]),
    ),
    # an average whose padding does not count, maxima over margins of minus infinity
    "poolings": chain(
        node("AveragePool", ["x"], ["mean"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        (node("Pad", ["mean", "p", "low"], ["wide"]), {"p": [0, 0, 1, 1, 0, 0, 1, 1], "low": np.float32(-np.inf)}),
        node("Neg", ["wide"], ["turned"]),
        node("Neg", ["turned"], ["same"]),
        node("MaxPool", ["same"], ["y"], kernel_shape=[3, 3]),
    ),
    # one side cropped and the other padded, as a shift
    "shift": chain((node("Pad", ["x", "p"], ["y"]), {"p": [0, 0, -1, 1, 0, 0, 1, -1]})),
    # a table of places
    "table": chain(
        reshape("x", "places", [0, 3, 64]),
        (node("Gather", ["places", "t"], ["y"], axis=2), {"t": np.array([[0, 8, 3], [63, 5, 5]])}),
    ),
    # convolution, pooling and normalisation over one axis
    "one axis": chain(
        reshape("x", "long", [0, 3, 64]),
        (node("Conv", ["long", "w", "b"], ["c"], pads=[1, 2], strides=[2], dilations=[2]),
         {"w": dense(4, 4, 9).reshape(4, 3, 3), "b": np.arange(4, dtype="float32")}),
        (node("Conv", ["c", "d"], ["e"], group=4, auto_pad="SAME_UPPER"), {"d": dense(5, 4, 3).reshape(4, 1, 3)}),
        node("MaxPool", ["e"], ["m"], kernel_shape=[3], strides=[2], pads=[1, 1]),
        node("AveragePool", ["m"], ["a"], kernel_shape=[2], strides=[2]),
        node("GlobalAveragePool", ["a"], ["y"]),
    ),
    # one bound alone
    "bounds": chain(
        (node("Clip", ["x", "low"], ["above"]), {"low": np.float32(-0.5)}),
        (node("Clip", ["above", "", "high"], ["y"]), {"high": np.float32(0.25)}),
    ),
    # sums of products along an axis of images
    "sums": chain(node("Mul", ["x", "x"], ["square"]), node("ReduceSum", ["square"], ["y"], axes=[1], keepdims=1)),
}  # fmt: skip


@pytest.mark.parametrize("batch", ["batch", 2], ids=["open", "fixed"])
@pytest.mark.parametrize("name", VIEWS)
def test_images_that_are_counted_otherwise(name, batch, frostline, tmp_path):
    nodes, tensors = VIEWS[name]
    tensors = {key: np.array(value, "int64") if isinstance(value, list) else value for key, value in tensors.items()}
    opset = 12 if name == "sums" else 17
    path = tmp_path / "view.onnx"
    onnx.save(small(nodes, tensors, opset=opset, shape=(batch, 3, 8, 8)), path)
    x = batch_of((2, 3, 8, 8))
    expected = run(path, x)[0]
    turned = any("channels first" in note for note in frostline.json("inspect", path)["load"]["notes"])
    images_of = lambda found: last(found) if turned else found
    assert frostline.json("inspect", path)["load"]["unsupported"] == []
    assert relative(frostline.outputs(path, images_of(x), tmp_path), images_of(expected)) < OUTPUT
    # and what frostline writes of it is the same for any number of images
    frostline.done("convert", path, "-o", tmp_path / "again.onnx")
    assert relative(run(tmp_path / "again.onnx", images_of(x))[0], images_of(expected)) < OUTPUT


def test_a_class_token_is_written_for_any_number_of_images(frostline, tmp_path):
    nodes, tensors = chain(
        reshape("x", "places", [0, 3, 64]),
        (node("Shape", ["places"], ["s"])),
        (node("Gather", ["s", "zero"], ["batch"]), {"zero": np.array([0])}),
        (node("Concat", ["batch", "rest"], ["extents"], axis=0), {"rest": [3, 1]}),
        (node("Expand", ["token", "extents"], ["tokens"]), {"token": np.ones((1, 3, 1), "float32")}),
        node("Concat", ["tokens", "places"], ["y"], axis=2),
    )
    tensors = {key: np.array(value, "int64") if isinstance(value, list) else value for key, value in tensors.items()}
    path, x = tmp_path / "token.onnx", batch_of((3, 3, 8, 8))
    onnx.save(small(nodes, tensors, shape=("batch", 3, 8, 8)), path)
    frostline.done("convert", path, "-o", tmp_path / "again.onnx")
    given = x if "channels first" not in str(frostline.json("inspect", path)["load"]["notes"]) else last(x)
    assert relative(run(tmp_path / "again.onnx", given)[0], run(path, x)[0]) < OUTPUT


@pytest.mark.parametrize("equation", ["b c h w, b c h w -> b c", "B C I J, B C I J -> B C"])
def test_an_equation_with_spaces_is_one_of_keras(equation, frostline, tmp_path):
    nodes = [STEM, node("Einsum", ["stem", "stem"], ["y"], name="/y/Einsum", equation=equation)]
    save(tmp_path / "m.onnx", nodes, weights())
    x = batch_of((2, 3, 12, 16))
    frostline.done("convert", tmp_path / "m.onnx", "-o", tmp_path / "m.keras")
    found = keras.saving.load_model(tmp_path / "m.keras")(last(x))
    assert relative(np.asarray(found), run(tmp_path / "m.onnx", x)[0]) < OUTPUT


def volumes(seed, *dims):
    return (0.3 * np.random.default_rng(seed).normal(size=dims)).astype("float32")


VOLUMES = {
    "plain": ([node("Conv", ["x", "k"], ["y"])], {"k": volumes(1, 4, 3, 2, 3, 2)}),
    "same": ([node("Conv", ["x", "k", "b"], ["y"], auto_pad="SAME_UPPER", strides=[1, 2, 2])], {"k": volumes(1, 4, 3, 2, 3, 3), "b": volumes(2, 4)}),
    "padded": ([node("Conv", ["x", "k"], ["y"], pads=[1, 0, 2, 0, 1, 1], strides=[2, 2, 2])], {"k": volumes(1, 4, 3, 3, 3, 3)}),
    "dilated": ([node("Conv", ["x", "k"], ["y"], dilations=[1, 2, 2], pads=[1, 2, 2, 1, 2, 2])], {"k": volumes(1, 4, 3, 3, 3, 3)}),
    "groups": ([node("Conv", ["x", "k"], ["y"], group=3)], {"k": volumes(1, 6, 1, 2, 2, 2)}),
    "maximum": ([node("Relu", ["x"], ["r"]), node("MaxPool", ["r"], ["y"], kernel_shape=[3, 3, 3], strides=[2, 2, 2], pads=[1] * 6)], {}),
    "maximum_valid": ([node("MaxPool", ["x"], ["y"], kernel_shape=[1, 2, 2], strides=[1, 2, 2])], {}),
    "mean": ([node("AveragePool", ["x"], ["y"], kernel_shape=[2, 3, 3], strides=[2, 2, 2], pads=[0, 1, 1, 0, 1, 1], count_include_pad=1)], {}),
    "network": ([
        node("Conv", ["x", "k"], ["c"], name="/stem/Conv", pads=[1] * 6),
        node("BatchNormalization", ["c", "g", "b", "m", "v"], ["n"], name="/norm/BatchNormalization"), node("Relu", ["n"], ["r"], name="/act/Relu"),
        node("Conv", ["r", "l"], ["d"], name="/deep/Conv", pads=[1] * 6), node("Add", ["d", "r"], ["s"], name="/add/Add"),
        node("GlobalAveragePool", ["s"], ["p"], name="/pool/GlobalAveragePool"), node("Flatten", ["p"], ["f"], name="/flat/Flatten"),
        node("Gemm", ["f", "w"], ["y"], name="/fc/Gemm", transB=1),
    ], {"k": volumes(1, 4, 3, 3, 3, 3), "l": volumes(2, 4, 4, 3, 3, 3), "w": volumes(3, 5, 4),
        "g": volumes(4, 4), "b": volumes(5, 4), "m": volumes(6, 4), "v": 1 + volumes(7, 4) ** 2}),
}  # fmt: skip


@pytest.mark.parametrize("name", VOLUMES)
def test_volumes_are_convolved_and_pooled(name, frostline, tmp_path):
    nodes, tensors = VOLUMES[name]
    path = save(tmp_path / "m.onnx", nodes, tensors, shape=("batch", 3, 5, 12, 9))
    x = batch_of((2, 3, 5, 12, 9))
    turned = lambda value: np.moveaxis(value, 1, -1)
    expected = turned(run(path, x)[0])
    assert relative(frostline.outputs(path, turned(x), tmp_path), expected) < OUTPUT
    frostline.done("convert", path, "-o", tmp_path / "m.keras")
    # TensorFlow has no 3-D convolution in groups for a processor
    if name != "groups":
        assert relative(keras.saving.load_model(tmp_path / "m.keras").predict(turned(x), verbose=0), expected) < OUTPUT
    frostline.done("convert", tmp_path / "m.keras", "-o", tmp_path / "again.onnx")
    assert relative(run(tmp_path / "again.onnx", turned(x))[0], expected) < OUTPUT
    assert relative(frostline.outputs(tmp_path / "again.onnx", turned(x), tmp_path), expected) < OUTPUT


@pytest.mark.parametrize("nodes, why", [
    ([node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3, 3], pads=[0, 1, 1, 0, 1, 1])], "none that a pooling of Keras has"),
    ([node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2, 2], strides=[2, 2, 2], ceil_mode=1)], "does not fill"),
    ([node("Conv", ["x", "k"], ["y"], strides=[2, 1, 1], dilations=[1, 2, 2])], "strides and dilations"),
], ids=["margins_below_zero", "last_window", "strides_and_dilations"])  # fmt: skip
def test_windows_over_volumes_that_keras_has_not_are_refused(nodes, why, frostline, tmp_path):
    path = save(tmp_path / "m.onnx", nodes, {"k": volumes(1, 4, 3, 2, 2, 2)}, shape=("batch", 3, 5, 12, 9))
    np.save(tmp_path / "x.npy", np.moveaxis(batch_of((2, 3, 5, 12, 9)), 1, -1))
    refused = frostline.run("predict", path, tmp_path / "x.npy")
    assert refused.returncode == 1 and why in refused.stderr, refused.stderr
