"""Writes models with a real old Keras, and what it computes with them, to `tests/golden/old/`.

    python tests/keras/make_old_goldens.py tests/golden/old [CASE...]     (all of them without names)

Runs in an environment of the old version's own, on Python 3.11:

    2.12, 2.15:           pip install tensorflow-cpu==2.12.1            (or 2.15.1)
    1.2.2, 2.0.9, 2.2.5:  pip install "setuptools<60" "numpy==1.23.5" "scipy<1.12" six pyyaml h5py theano-pymc==1.1.2
                          pip install --no-deps --no-build-isolation keras==1.2.2 keras_applications keras_preprocessing
"""

import collections.abc
import inspect
import os
import pathlib
import sys

import numpy as np

ArgSpec = collections.namedtuple("ArgSpec", "args varargs keywords defaults")


def argspec(function):
    return ArgSpec(*inspect.getfullargspec(function)[:4])


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
try:
    import tensorflow  # noqa: F401
except ImportError:
    os.environ["KERAS_BACKEND"] = "theano"
    os.environ.setdefault("THEANO_FLAGS", "blas__ldflags=,mode=FAST_COMPILE,optimizer_excluding=AbstractConvCheck:conv_gemm")
    import scipy.signal

    sys.modules["scipy.signal.signaltools"] = scipy.signal._signaltools
    sys.modules["scipy.signal.sigtools"] = scipy.signal._sigtools
    import theano.ifelse
    import theano.sandbox.rng_mrg as streams

    # names of the Theano and the Python that these versions were written for
    collections.Iterable = collections.abc.Iterable
    inspect.getargspec = argspec
    streams.MRG_RandomStreams = getattr(streams, "MRG_RandomStream")
    from theano.tensor.signal.pool import Pool

    def pooled(self, node, inputs, outputs, params=None):
        """Maximum pooling without padding, which this Theano's own cannot do with this NumPy."""
        x, size, stride, pad = inputs
        assert self.mode == "max" and not any(pad)
        windows = np.lib.stride_tricks.sliding_window_view(x, tuple(size), axis=(-2, -1))
        outputs[0][0] = windows[..., :: stride[0], :: stride[1], :, :].max((-2, -1))

    Pool.perform = pooled

import keras
from keras import layers as L
from keras import models

VERSION = tuple(int(part) for part in keras.__version__.split("."))
MAJOR = VERSION[0]
# none has a channel in front: Theano did so by default
LAST = {"dim_ordering": "tf"} if MAJOR == 1 else {"data_format": "channels_last"}
IMAGE = (12, 10, 3)


def conv(filters, size, padding="valid", **settings):
    if MAJOR == 1:
        settings = {{"strides": "subsample", "use_bias": "bias"}.get(key, key): value for key, value in settings.items()}
        return L.Convolution2D(filters, size, size, border_mode=padding, **settings, **LAST)
    return L.Conv2D(filters, size, padding=padding, **settings, **LAST)


def pool(size):
    return L.MaxPooling2D((size, size), **LAST)


def sequential():
    stack = [
        conv(6, 3, "same", activation="relu", input_shape=IMAGE, name="first"),
        L.BatchNormalization(axis=-1 if MAJOR == 1 else 3, name="norm"),
        L.ZeroPadding2D((1, 2), **LAST),
        pool(2),
        conv(8, 3, strides=(2, 1), use_bias=False),
        L.LeakyReLU(alpha=0.2),
        L.Dropout(0.25),
        L.Flatten(),
        L.Dense(7, activation="tanh"),
        L.Dense(4, activation="softmax", name="scores"),
    ]
    return models.Sequential(stack)


def graph():
    inner_in = L.Input(shape=IMAGE)
    x = conv(5, 3, "same", name="inner_conv")(inner_in)
    x = L.Activation("hard_sigmoid", name="inner_gate")(L.BatchNormalization(axis=-1, name="inner_norm")(x))
    kinds = {"input": inner_in, "output": x} if MAJOR == 1 else {"inputs": inner_in, "outputs": x}
    inner = models.Model(name="inner", **kinds)
    image = L.Input(shape=IMAGE)
    shared = conv(3, 1, name="shared")
    a, b = shared(image), shared(pool(1)(image))
    if MAJOR == 1:
        together = L.merge([a, inner(image)], mode="concat", concat_axis=-1)
        total = L.merge([together, together], mode="sum")
        top = L.merge([L.GlobalAveragePooling2D(**LAST)(total), L.GlobalMaxPooling2D(**LAST)(together)], mode="concat", concat_axis=1)
    else:
        together = L.concatenate([a, inner(image)])
        total = L.add([together, together])
        top = L.concatenate([L.GlobalAveragePooling2D(**LAST)(total), L.GlobalMaxPooling2D(**LAST)(b)])
    out = L.Dense(3, activation="sigmoid")(top)
    return models.Model(image, out)


def depthwise():
    """What came after Keras 1. Strided windows with `same` padding lie elsewhere on Theano. Of the versions on Theano 2.2 alone has all of it."""
    stack = [
        L.SeparableConv2D(6, 3, depth_multiplier=2, padding="same", input_shape=IMAGE, **LAST),
        L.PReLU(shared_axes=[1, 2]),
        conv(6, 3, dilation_rate=2),
        L.UpSampling2D(2, **LAST),
        L.Cropping2D(1, **LAST),
        L.Conv2DTranspose(4, 3, strides=2, **LAST),
        L.GlobalMaxPooling2D(**LAST),
        L.ELU(alpha=0.5),
        L.Dense(2),
    ]
    if VERSION >= (2, 1, 5):
        stack.insert(3, L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="elu", **LAST))
    if VERSION >= (2, 12):
        stack.insert(-3, L.AveragePooling2D(3, padding="same", **LAST))
        stack.insert(4, L.LayerNormalization())
        stack.insert(5, L.GroupNormalization(4))
    return models.Sequential(stack)


def functions():
    """Functions of TensorFlow on tensors: since tf.keras 2.4 they are layers, each with its name."""
    tf = tensorflow
    image = L.Input(shape=IMAGE)
    x = L.Conv2D(8, 3, name="conv")(keras.applications.resnet.preprocess_input(image))
    gate = tf.reduce_max(x, axis=-1, keepdims=True) - tf.reduce_mean(x, [1, 2], True)
    x = x * tf.sigmoid(gate)
    left, right = tf.split(x, [3, 5], axis=-1)
    x = tf.concat([tf.nn.leaky_relu(left, alpha=0.1), tf.nn.gelu(right), tf.abs(x[:, :, :, ::-1])], -1)
    x = tf.where(x > 0.1, x, tf.square(x) / (tf.abs(x) + 1.0))
    tokens = tf.reshape(tf.transpose(x, [0, 2, 1, 3]), (-1, x.shape[1] * x.shape[2], 16))
    tokens = tokens + np.linspace(-1, 1, tokens.shape[1] * 16).reshape(1, -1, 16).astype("float32")
    weights = tf.nn.softmax(tf.matmul(tokens, tokens, transpose_b=True) * 0.05)
    tokens = tf.matmul(weights, tf.roll(tokens, 1, axis=1))
    top = tf.stack([tokens[:, 0], tf.math.reduce_std(tokens, axis=1), tf.reduce_mean(tf.nn.log_softmax(tokens), axis=1)], axis=1)
    top = tf.math.l2_normalize(tf.reshape(tf.pad(top, [[0, 0], [0, 1], [0, 0]]), (-1, 64)), -1)
    return models.Model(image, L.Dense(3)(tf.clip_by_value(top, -0.2, 0.2) * 3.0))


def attention():
    """Layers made of layers, layers as activations, and a dropout of a package's own."""

    class FixedDropout(L.Dropout):
        """As `efficientnet` defines it."""

        def _get_noise_shape(self, inputs):
            symbolic = keras.backend.shape(inputs)
            return tuple(symbolic[axis] if extent is None else extent for axis, extent in enumerate(self.noise_shape))

    image = L.Input(shape=IMAGE)
    x = L.Conv2D(8, 4, strides=2, activation=L.LeakyReLU(0.1))(image)
    x = L.Add()([x, FixedDropout(0.2, noise_shape=(None, 1, 1, 1))(L.ThresholdedReLU(0.3)(x))])
    x = L.Dense(8, activation=L.ReLU(2.0, negative_slope=0.2, threshold=0.1))(L.Reshape((20, 8))(x))
    x = L.MultiHeadAttention(2, 4, name="heads")(x, x)
    x = L.MultiHeadAttention(2, 4, value_dim=3, attention_axes=1)(x, x, key=x)
    x = L.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", activation=L.ELU(0.5))(x)
    return models.Model(image, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


WORDS = 11


def sequences():
    """Whole numbers of which 0 is no step, and the recurrent layers with the settings that they had then."""
    words = L.Input(shape=(8,))
    x = L.Embedding(WORDS, 6, mask_zero=True, input_length=8)(words)
    x = L.LSTM(5, return_sequences=True, recurrent_activation="hard_sigmoid")(x)
    x = L.Bidirectional(L.GRU(4, return_sequences=True, reset_after=False), merge_mode="sum")(L.Dropout(0.0)(x))
    x = L.TimeDistributed(L.Dense(5, activation="tanh"))(x)
    ends = [L.Bidirectional(L.LSTM(3))(x), L.SimpleRNN(3, go_backwards=True)(x), L.GlobalAveragePooling1D()(x)]
    return models.Model(words, L.Dense(3)(L.Concatenate()(ends)))


def liven(model):
    random = np.random.RandomState(1)
    for layer in model.layers:
        if hasattr(layer, "layers"):
            liven(layer)
            continue
        names = [getattr(weight, "name", None) or "" for weight in layer.weights]
        # Theano turns its kernels, and Keras 1 does not write down which backend it ran on: there they are symmetric
        symmetric = lambda value: (value + value[::-1, ::-1]) / 2 if MAJOR == 1 and value.ndim == 4 else value
        value = lambda name, old: (
            np.abs(random.normal(0, 1, old.shape)) + 0.5
            if "variance" in name or "running_std" in name
            else 1 + 0.3 * random.normal(0, 1, old.shape) if "gamma" in name else 0.4 * random.normal(0, 1, old.shape)
        )
        layer.set_weights([symmetric(value(name, old)).astype("float32") for name, old in zip(names, layer.get_weights())])


def main(folder, *cases):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    makers = [sequential, graph]
    makers += [depthwise] if VERSION >= (2, 1) else []
    makers += [functions] if VERSION >= (2, 12) else []
    makers += [attention, sequences] if VERSION >= (2, 15) else []
    for make in makers:
        if cases and make.__name__ not in cases:
            continue
        model = make()
        liven(model)
        random = np.random.RandomState(2)
        x = random.normal(0.3, 1.5, (2, *IMAGE)) if make is not sequences else random.randint(0, WORDS, (2, 8))
        x = x.astype("float32")
        name = f"keras-{keras.__version__}-{make.__name__}"
        model.save(str(folder / f"{name}.h5"))
        np.savez_compressed(folder / f"{name}.npz", input_0=x, output_0=np.asarray(model.predict(x)))
        # this version writes no `...` of a slice to a `.keras`
        if VERSION >= (2, 12) and make is not functions:
            model.save(str(folder / f"{name}.keras"), save_format="keras" if VERSION >= (2, 13) else "keras_v3")


if __name__ == "__main__":
    main(*sys.argv[1:])
