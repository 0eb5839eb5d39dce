"""The recipes of Keras's guide and of TensorFlow's two tutorials, in real Keras on TensorFlow.

Each takes the network's file, the photos to train on as paths and classes, the tests' paths and a seed, and returns the class that
it predicts for each test. What a tutorial does not say is left as its library has it.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

SIZE = (160, 160)


def read(path):
    """As `image_dataset_from_directory` reads."""
    image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
    return tf.image.resize(image, SIZE)


def pixels(paths):
    return np.stack([read(path) for path in paths])


def batches(x, y, size, augment=None):
    """Read and resized once, shuffled anew in each epoch."""
    data = tf.data.Dataset.from_tensor_slices((x, np.float32(y))).shuffle(len(x)).batch(size)
    return (data.map(lambda x, y: (augment(x, training=True), y)) if augment else data).prefetch(1)


def base_of(model):
    """The convolutional base, without the classifier, as `include_top=False` gives it."""
    base = next(layer for layer in keras.models.load_model(model, compile=False).layers if isinstance(layer, keras.Model))
    base.trainable = False
    return base


def on_top(base, outputs, dropout):
    image = keras.Input((*SIZE, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(image)
    x = base(x, training=False)
    x = layers.GlobalAveragePooling2D()(x)
    if dropout:
        x = layers.Dropout(dropout)(x)
    return keras.Model(image, layers.Dense(outputs)(x))


def guide(batch, head_epochs, fine_tune_epochs):
    """keras.io/guides/transfer_learning: a head by Adam, then all layers by Adam at 1e-5, for two classes."""

    def run(model, train, test, seed):
        keras.utils.set_random_seed(seed)
        (paths, y), base = train, base_of(model)
        augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.1)])
        data, whole = batches(pixels(paths), y, batch, augment), on_top(base, 1, dropout=0.2)
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
        whole.compile(keras.optimizers.Adam(), loss)
        whole.fit(data, epochs=head_epochs, verbose=0)
        base.trainable = True
        whole.compile(keras.optimizers.Adam(1e-5), loss)
        whole.fit(data, epochs=fine_tune_epochs, verbose=0)
        return (whole.predict(pixels(test), verbose=0)[:, 0] > 0).astype(int)

    return run


def flowers(model, train, test, seed):
    """tensorflow.org/tutorials/images/transfer_learning_with_hub: a head on a frozen feature extractor."""
    keras.utils.set_random_seed(seed)
    paths, y = train
    whole = on_top(base_of(model), max(y) + 1, dropout=0)
    whole.compile(keras.optimizers.Adam(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    whole.fit(batches(pixels(paths), y, 32), epochs=10, verbose=0)
    return whole.predict(pixels(test), verbose=0).argmax(1)


def fine_tuning(model, train, test, seed):
    """tensorflow.org/tutorials/images/transfer_learning: a head at 1e-4, then all from layer 100 up at 1e-5."""
    keras.utils.set_random_seed(seed)
    (paths, y), base = train, base_of(model)
    augment = keras.Sequential([layers.RandomFlip("horizontal"), layers.RandomRotation(0.2)])
    data, whole = batches(pixels(paths), y, 32, augment), on_top(base, max(y) + 1, dropout=0.2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    whole.compile(keras.optimizers.Adam(1e-4), loss)
    whole.fit(data, epochs=10, verbose=0)
    base.trainable = True
    for layer in base.layers[:100]:
        layer.trainable = False
    whole.compile(keras.optimizers.RMSprop(1e-5), loss)
    whole.fit(data, epochs=10, verbose=0)
    return whole.predict(pixels(test), verbose=0).argmax(1)
