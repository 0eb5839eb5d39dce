"""Writes the golden values of the tangent kernel: `tangent.keras`, `tangent_data.npz` and `tangent.json` in a folder.

A small network of real Keras, images, and for each layer the products of TensorFlow's gradients of directions in the pooled
features of a cut, image with image.

    python tests/keras/make_tangent_goldens.py tests/golden
"""

import argparse
import json
import pathlib

import keras
import numpy as np
import tensorflow as tf
from keras import layers

IMAGES, SIZE, CLASSES, DIRECTIONS = 6, 10, 3, 2
CUT = "block_out"


def network():
    image = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(image)
    x = layers.BatchNormalization(name="stem_bn")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    y = layers.BatchNormalization(name="depthwise_bn")(y)
    y = layers.Conv2D(8, 1, activation="swish", name="project")(y)
    x = layers.Add(name="add")([x, y])
    # more weights than a sketch has numbers
    x = layers.Conv2D(48, 3, name="wide")(x)
    x = layers.BatchNormalization(name=CUT)(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(CLASSES, activation="softmax", name="output")(x))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    keras.utils.set_random_seed(7)
    random = np.random.default_rng(7)
    model = network()
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            shapes = [weight.shape for weight in layer.get_weights()]
            layer.set_weights([random.uniform(0.5, 1.5, shape) for shape in shapes])
    images = random.normal(size=(IMAGES, SIZE, SIZE, 3)).astype("float32")
    labels = np.arange(IMAGES) % CLASSES
    cut = model.get_layer(CUT)
    directions = random.normal(size=(DIRECTIONS, cut.output.shape[-1])).astype("float32")
    below = keras.Model(model.input, cut.output)
    kernels = {layer.name: np.zeros((IMAGES, IMAGES)) for layer in below.layers if layer.trainable_weights}
    for direction in directions:
        gradients = {name: [] for name in kernels}
        for image in images:
            with tf.GradientTape() as tape:
                pooled = tf.reduce_mean(below(image[None], training=False), (1, 2))
                value = tf.reduce_sum(pooled * direction)
            variables = [variable.value for variable in below.trainable_variables]
            found = dict(zip([v.path for v in below.trainable_variables], tape.gradient(value, variables)))
            for name in kernels:
                own = [found[weight.path].numpy().ravel() for weight in model.get_layer(name).trainable_weights]
                gradients[name].append(np.concatenate(own).astype("float64"))
        for name, rows in gradients.items():
            kernels[name] += np.stack(rows) @ np.stack(rows).T
    model.save(folder / "tangent.keras")
    np.savez_compressed(folder / "tangent_data.npz", x_train=images, y_train=labels)
    text = {"cut": CUT, "directions": directions.tolist(), "kernels": {name: k.ravel().tolist() for name, k in kernels.items()}}
    (folder / "tangent.json").write_text(json.dumps(text) + "\n")


if __name__ == "__main__":
    main()
