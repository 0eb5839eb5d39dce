"""Trains the textbook's model A with real Keras: the 8 classes of Fashion-MNIST other than Sandal and Shirt.

usage: train_model_a.py FOLDER OUT.h5      (FOLDER: the IDX files, as `scripts/fetch-data fashion` leaves them)
"""

import gzip
import pathlib
import sys

import keras
import numpy as np
from keras import layers

SANDAL, SHIRT = 5, 6


def read(folder, part):
    folder = pathlib.Path(folder)
    images = gzip.decompress((folder / f"{part}-images-idx3-ubyte.gz").read_bytes())
    labels = gzip.decompress((folder / f"{part}-labels-idx1-ubyte.gz").read_bytes())
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def without_task_b(images, labels):
    """Labels of the 8 classes, numbered anew."""
    kept = (labels != SANDAL) & (labels != SHIRT)
    labels = labels[kept].astype(int)
    return images[kept], labels - 2 * (labels > SHIRT)


def build():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255, name="scale"),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv_1"),
            layers.MaxPooling2D(name="pool_1"),
            layers.Conv2D(24, 3, padding="same", activation="relu", name="conv_2"),
            layers.MaxPooling2D(name="pool_2"),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv_3"),
            layers.MaxPooling2D(name="pool_3"),
            layers.Flatten(name="flatten"),
            layers.Dense(40, activation="relu", name="hidden"),
            layers.Dense(8, activation="softmax", name="output"),
        ],
        name="my_model_A",
    )


def main(folder, out):
    keras.utils.set_random_seed(42)
    x_train, y_train = without_task_b(*read(folder, "train"))
    x_test, y_test = without_task_b(*read(folder, "t10k"))
    model = build()
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train[..., None], y_train, batch_size=128, epochs=6, validation_split=0.1, verbose=2)
    accuracy = model.evaluate(x_test[..., None], y_test, verbose=0)[1]
    print(f"test accuracy {accuracy:.4f}, {model.count_params()} parameters")
    model.save(out, include_optimizer=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
