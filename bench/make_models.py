"""Writes the models that bench/measure.py measures, with real Keras: FOLDER/NAME.keras and FOLDER/NAME.onnx.

usage: make_models.py FOLDER
"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np

APPLICATIONS = {"mobilenet_v2": keras.applications.MobileNetV2, "resnet50": keras.applications.ResNet50}
SHAPE = (224, 224, 3)
CLASSES = 10


def main(folder):
    keras.utils.set_random_seed(0)
    for name, build in APPLICATIONS.items():
        backbone = build(input_shape=SHAPE, include_top=False, weights=None, pooling="avg")
        head = keras.layers.Dense(CLASSES, activation="softmax")
        model = keras.Model(backbone.input, head(backbone.output), name=name)
        model(np.zeros((1, *SHAPE), "float32"))
        path = pathlib.Path(folder) / name
        model.save(path.with_suffix(".keras"))
        model.export(path.with_suffix(".onnx"), format="onnx", verbose=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
