"""The recipe of Keras's guide "Transfer learning & fine-tuning", as a script: read photos, put a new head on a frozen
backbone, train it, unfreeze the top fifth of the backbone at a lower rate, train on.

usage: keras_guide.py MODEL.keras PHOTOS OUT.keras [cached]

With `cached`, what an expert adds by hand: the features of the frozen backbone are computed once, and the head trains on
them; the second stage runs through the whole network again.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

BATCH, EPOCHS, FINE_TUNE_EPOCHS, TOP = 32, 10, 5, 0.2


def main(path, photos, out, cached=None):
    model = keras.models.load_model(path)
    base = keras.Model(model.input, model.layers[-2].output)
    size = base.input_shape[1:3]
    train, val = keras.utils.image_dataset_from_directory(
        photos, validation_split=0.2, subset="both", seed=1, image_size=size, batch_size=BATCH, verbose=0
    )
    classes = len(train.class_names)
    scale = lambda images, labels: (images / 127.5 - 1.0, labels)
    train, val = (part.map(scale).prefetch(tf.data.AUTOTUNE) for part in (train, val))

    base.trainable = False
    head = keras.layers.Dense(classes, activation="softmax")
    image = keras.Input(base.input_shape[1:])
    whole = keras.Model(image, head(base(image, training=False)))
    loss = "sparse_categorical_crossentropy"
    if cached:
        features = lambda part: [
            np.concatenate(column)
            for column in zip(*((base(x, training=False).numpy(), y.numpy()) for x, y in part))
        ]
        (x, y), held_out = features(train), features(val)
        top = keras.Sequential([keras.Input(x.shape[1:]), head])
        top.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        top.fit(x, y, batch_size=BATCH, epochs=EPOCHS, validation_data=tuple(held_out), verbose=0)
    else:
        whole.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
        whole.fit(train, epochs=EPOCHS, validation_data=val, verbose=0)

    base.trainable = True
    for layer in base.layers[: int((1 - TOP) * len(base.layers))]:
        layer.trainable = False
    whole.compile(keras.optimizers.Adam(1e-4), loss, metrics=["accuracy"])
    whole.fit(train, epochs=FINE_TUNE_EPOCHS, validation_data=val, verbose=0)
    whole.save(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
