"""Writes the golden models of `tests/golden/keras/` with real Keras.

A small model for each layer kind and each way of nesting, saved by Keras, and beside it an `.npz` with inputs,
outputs, a loss and the gradients of every trainable weight, in the format of `frostline verify --against`.

    python tests/keras/make_goldens.py tests/golden/keras [CASE...]     (all of them without names)
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np
import tensorflow as tf
from keras import layers as L

BATCH = 3
IMAGE = (9, 7, 5)
VOLUME = (4, 7, 5, 3)


def chain(*layers, shape=IMAGE):
    """A Sequential model of the layers on an image."""
    return keras.Sequential([keras.Input(shape), *layers])


def function(build, *shapes):
    """A Functional model: `build` maps the inputs to the outputs."""
    inputs = [keras.Input(shape) for shape in shapes or [IMAGE]]
    return keras.Model(inputs, build(*inputs))


def shared_layer():
    conv = L.Conv2D(5, 3, padding="same", activation="relu", name="twice")
    return function(lambda x: L.GlobalAveragePooling2D()(L.Add()([conv(x), conv(conv(x))])))


def backbone(name="backbone"):
    x = inputs = keras.Input(IMAGE)
    x = L.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(x)
    x = L.BatchNormalization(name="norm")(x)
    x = skip = L.ReLU(6.0, name="relu")(x)
    x = L.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = L.BatchNormalization(name="norm_2")(x)
    return keras.Model(inputs, L.Add(name="add")([x, skip]), name=name)


def shared_model():
    inner = backbone()

    def build(a, b):
        return L.Dense(3)(L.Concatenate()([L.GlobalMaxPooling2D()(inner(a)), L.GlobalMaxPooling2D()(inner(b))]))

    return function(build, IMAGE, IMAGE)


def deeply_nested():
    middle = keras.Sequential([keras.Input(IMAGE), backbone("inner"), L.MaxPooling2D()], name="middle")
    return function(lambda x: L.Dense(2, activation="softmax", name="top")(L.Flatten()(middle(x))))


def two_in_two_out():
    def build(a, b):
        both = L.Concatenate(axis=1)([a, b])
        common = L.Conv2D(4, 2, name="common")(both)
        return L.GlobalAveragePooling2D(name="first")(common), L.Flatten(name="second")(common)

    return function(build, IMAGE, (4, 7, 5))


def squeeze_excite():
    def build(x):
        s = L.GlobalAveragePooling2D(keepdims=True)(x)
        s = L.Conv2D(3, 1, activation="swish")(s)
        s = L.Conv2D(IMAGE[-1], 1, activation="hard_sigmoid")(s)
        return L.Multiply()([x, s])

    return function(build)


def attention_images():
    def build(x):
        x = L.Conv2D(8, 3, strides=2, name="patches")(x)
        seen = L.LayerNormalization(epsilon=0.1, name="norm")(x)
        seen = L.MultiHeadAttention(4, 2, name="heads")(seen, seen)
        return L.GlobalAveragePooling2D()(L.Add()([x, seen]))

    return chain(function(build), L.Dense(3, activation="softmax"))


def attention_masked():
    def build(words, others):
        x, y = L.Embedding(9, 4, mask_zero=True)(words), L.Embedding(9, 4, mask_zero=True)(others)
        x = L.Add()([x, L.MultiHeadAttention(2, 3, name="self")(x, x)])
        x = L.LayerNormalization()(L.MultiHeadAttention(2, 3, name="cross")(x, y))
        return L.LSTM(3)(L.Attention(name="plain")([x, y]))

    return function(build, (6,), (5,))


def operations():
    def build(x):
        x = L.Conv2D(4, 3, name="conv")(x)
        x = x * (keras.ops.minimum(x, L.ReLU(6.0)(x + 3.0)) * 0.16666667)
        return (1.0 - L.GlobalAveragePooling2D()(x)) / 4.0 - 0.5

    return function(build)


def joined(parts):
    """Along the last axis, at most six at once."""
    while len(parts) > 1:
        groups = [parts[i : i + 6] for i in range(0, len(parts), 6)]
        parts = [keras.ops.concatenate(group, axis=-1) if len(group) > 1 else group[0] for group in groups]
    return parts[0]


def elementwise():
    ops = keras.ops

    def build(x):
        x = L.Conv2D(4, 3, name="conv")(x)
        above = ops.abs(x) + 0.5
        parts = [
            ops.exp(-ops.square(x)), ops.log(above), ops.sqrt(above), ops.rsqrt(above), above**1.7, ops.sin(x), ops.erf(x),
            ops.clip(x, -0.4, 1.1), ops.softplus(x), ops.gelu(x), ops.gelu(x, approximate=False), ops.leaky_relu(x, 0.3),
            ops.log_sigmoid(x), ops.hard_silu(x), ops.celu(x, 0.7), ops.squareplus(x), ops.tanh_shrink(x), ops.soft_shrink(x, 0.3),
            ops.maximum(x, 0.2), ops.minimum(x, -x), x / above, 2.0 / above, ops.where(x > 0.3, x, ops.tanh(x)),
            x * np.linspace(0.5, 1.5, 4).astype("float32"), ops.stop_gradient(x) * x, ops.expm1(0.3 * x), ops.cos(x),
        ]
        return joined(parts)

    return function(build)


def places():
    ops = keras.ops

    def build(x):
        x = L.Conv2D(6, 3, name="conv")(x)
        turned = ops.reshape(ops.transpose(ops.reshape(x, (-1, *x.shape[1:3], 2, 3)), (0, 1, 2, 4, 3)), (-1, *x.shape[1:]))
        parts = [
            turned, x[..., ::-1], ops.roll(x, (1, -2), axis=(1, 3)), ops.take(x, [0, 5, 5, 1], axis=3), ops.flip(x, axis=2),
            ops.pad(x[:, 1:, :-1], ((0, 0), (1, 0), (0, 1), (0, 0)), constant_values=0.5), ops.split(x, [1, 4], axis=-1)[1],
            ops.pad(x[:, 1:-1], ((0, 0), (1, 1), (0, 0), (0, 0)), mode="reflect"), ops.repeat(x[..., :2], 2, axis=3),
            ops.tile(x[:, :1], (1, x.shape[1], 1, 1)), ops.stack([x[..., 2], x[..., 0]], axis=-1), ops.swapaxes(ops.swapaxes(x, 1, 3), 1, 3),
            ops.concatenate([x[:, :1] * 0.0 + np.ones((1, 1, x.shape[2], 6), "float32"), x[:, 1:]], axis=1),
        ]
        return joined(parts)

    return function(build)


def reductions():
    ops = keras.ops

    def build(x):
        x = L.Conv2D(4, 3, name="conv")(x)
        parts = [
            ops.mean(x, axis=(1, 2)), ops.max(x, axis=(1, 2)), ops.min(x, axis=(1, 2)), ops.sum(ops.mean(x, axis=1), axis=1),
            ops.var(x, axis=(1, 2)), ops.std(x, axis=[1, 2]), ops.logsumexp(x, axis=(1, 2)), 0.1 * ops.prod(ops.mean(x, axis=2), axis=1),
            ops.norm(x, axis=(1, 2)), ops.normalize(ops.mean(x, axis=(1, 2)), axis=-1), ops.mean(ops.softmax(x, axis=1) * x, axis=(1, 2)),
            ops.mean(ops.log_softmax(x, axis=-1), axis=(1, 2)), ops.mean(x * ops.max(x, axis=-1, keepdims=True), axis=(1, 2)),
            ops.mean(ops.layer_normalization(x, axis=-1), axis=1)[:, 0], ops.mean(ops.rms_normalization(x, axis=-1), axis=(1, 2)),
        ]
        return joined(parts)

    return function(build)


def products():
    ops = keras.ops

    def build(x):
        x = L.Conv2D(8, 3, name="conv")(x)
        x = ops.reshape(x, (-1, x.shape[1] * x.shape[2], 8))
        x = x + np.linspace(-1, 1, x.shape[1] * 8).reshape(1, x.shape[1], 8).astype("float32")
        x = ops.concatenate([x[:, :1] * 0.0 + np.linspace(-1, 1, 8).reshape(1, 1, 8).astype("float32"), x], axis=1)
        n = x.shape[1]
        query, key, value = (ops.reshape(t, (-1, n, 2, 4)) for t in (L.Dense(8)(x), L.Dense(8)(x), L.Dense(8)(x)))
        by_hand = ops.einsum("bthd,bshd->bhts", query, key) * 0.5
        by_hand = ops.matmul(ops.softmax(by_hand, axis=-1), ops.transpose(value, (0, 2, 1, 3)))
        by_hand = ops.reshape(ops.transpose(by_hand, (0, 2, 1, 3)), (-1, n, 8))
        fused = ops.reshape(ops.dot_product_attention(query, key, value, is_causal=True), (-1, n, 8))
        x = x + by_hand + fused
        return L.Dense(3)(ops.concatenate([x[:, 0], ops.mean(ops.matmul(x, np.eye(8, 5, dtype="float32")), axis=1)], axis=-1))

    return function(build)


def unet():
    def build(x):
        x = L.Cropping2D(((1, 0), (1, 0)))(x)
        down = L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
        up = L.UpSampling2D(2, interpolation="bilinear")(down)
        return L.Conv2D(2, 1)(L.Concatenate()([up, x]))

    return function(build)


def recurrent_stack(masked):
    """Whole numbers to vectors, recurrent layers of all kinds, and what the mask goes through between them."""

    def build(x):
        x = L.Embedding(9, 6, mask_zero=masked, name="words")(x)
        x = L.LSTM(5, return_sequences=True, activation="relu", recurrent_activation="hard_sigmoid", name="lstm")(x)
        x = L.Dropout(0.0)(L.Dense(5, activation="tanh", name="each")(x))
        x = L.LayerNormalization(epsilon=0.1, name="norm")(L.Add()([x, L.Activation("sigmoid")(x)]))
        x = L.Bidirectional(L.GRU(4, return_sequences=True, name="inner"), merge_mode="ave", name="both")(x)
        x = L.TimeDistributed(L.Dense(6, name="step"), name="steps")(x)
        last = L.Bidirectional(L.LSTM(3, name="inner"), name="ends")(L.GRU(5, return_sequences=True, reset_after=False, name="gru")(x))
        back = L.SimpleRNN(4, go_backwards=True, name="simple")(x)
        mean = L.GlobalAveragePooling1D(name="mean")(x)
        return L.Dense(3, activation="softmax", name="classes")(L.Concatenate()([last, back, mean]))

    return function(build, (7,))


def adapted(model):
    """Gives Normalization layers the statistics of some data."""
    for layer in model.layers:
        if isinstance(layer, L.Normalization) and layer.input_mean is None:
            layer.adapt(np.random.default_rng(3).normal(2.0, 3.0, (64, *IMAGE)).astype("float32"))
    return model


def conv(**settings):
    return lambda: chain(L.Conv2D(**{"filters": 6, "kernel_size": 3, **settings}))


def depthwise(**settings):
    return lambda: chain(L.DepthwiseConv2D(**{"kernel_size": 3, **settings}))


def activation(name):
    return lambda: chain(L.Activation(name))


def layer(make, *args, shape=IMAGE, **settings):
    return lambda: chain(make(*args, **settings), shape=shape)


CASES = {
    "dense": lambda: chain(L.Dense(7, activation="tanh"), L.Dense(4, use_bias=False), shape=(11,)),
    "dense_on_image": lambda: chain(L.Dense(7)),
    "conv_valid": conv(activation="relu"),
    "conv_same_strided": conv(strides=2, padding="same", use_bias=False),
    "conv_uneven": conv(kernel_size=(2, 5), strides=(2, 1), padding="same"),
    "conv_1x1": conv(kernel_size=1),
    "conv_1x1_strided": conv(kernel_size=1, strides=2),
    "conv_dilated": conv(dilation_rate=2, padding="same"),
    "conv_groups": lambda: chain(L.Conv2D(6, 3, groups=3, padding="same"), shape=(9, 7, 6)),
    "conv_wide": conv(filters=70),
    "depthwise_valid": depthwise(activation="relu6"),
    "depthwise_multiplier": depthwise(depth_multiplier=2, strides=2, padding="same"),
    "depthwise_dilated": depthwise(dilation_rate=2, padding="same", use_bias=False),
    "depthwise_5x5": depthwise(kernel_size=5, padding="same"),
    "separable": layer(L.SeparableConv2D, 6, 3, depth_multiplier=2, padding="same", activation="relu"),
    "batch_norm": layer(L.BatchNormalization),
    "batch_norm_bare": layer(L.BatchNormalization, scale=False, center=False, epsilon=0.01),
    "batch_norm_dense": layer(L.BatchNormalization, momentum=0.9, shape=(11,)),
    **{
        f"activation_{name}": activation(name)
        for name in "linear relu relu6 sigmoid tanh softmax silu hard_sigmoid hard_silu elu selu gelu leaky_relu "
        "softplus softsign exponential".split()
    },
    "relu_settings": layer(L.ReLU, max_value=1.5, negative_slope=0.1, threshold=0.2),
    "leaky_relu": layer(L.LeakyReLU, negative_slope=0.15),
    "elu": layer(L.ELU, alpha=0.7),
    "softmax": layer(L.Softmax),
    "softmax_rows": layer(L.Softmax, axis=1),
    "max_pool_valid": layer(L.MaxPooling2D, 3, strides=2),
    "max_pool_same": layer(L.MaxPooling2D, (3, 2), strides=(2, 1), padding="same"),
    "average_pool_valid": layer(L.AveragePooling2D, 2),
    "average_pool_same": layer(L.AveragePooling2D, 3, strides=2, padding="same"),
    "global_average": layer(L.GlobalAveragePooling2D),
    "global_average_keepdims": layer(L.GlobalAveragePooling2D, keepdims=True),
    "global_max": layer(L.GlobalMaxPooling2D),
    "global_max_keepdims": layer(L.GlobalMaxPooling2D, keepdims=True),
    "global_average_first": layer(L.GlobalAveragePooling2D, data_format="channels_first"),
    "global_max_first": layer(L.GlobalMaxPooling2D, data_format="channels_first", keepdims=True),
    "flatten": lambda: chain(L.Flatten(), L.Dense(3)),
    "reshape": lambda: chain(L.Reshape((7, -1, 3)), L.Conv2D(2, 2)),
    "zero_padding": lambda: chain(L.ZeroPadding2D(((1, 2), (0, 3))), L.Conv2D(2, 3)),
    "center_crop": layer(L.CenterCrop, 6, 4),
    "center_crop_enlarged": layer(L.CenterCrop, 12, 4),
    "cropping": layer(L.Cropping2D, ((1, 2), (0, 3))),
    "dropout": lambda: chain(L.Dropout(0.4), L.SpatialDropout2D(0.3), L.Conv2D(2, 3)),
    "add": lambda: function(lambda a: L.Add()([L.Conv2D(5, 1)(a), a, a])),
    "multiply": squeeze_excite,
    "operations": operations,
    "operations_elementwise": elementwise,
    "operations_places": places,
    "operations_products": products,
    "operations_reductions": reductions,
    "other_merges": lambda: function(
        lambda a, b: L.Average()([L.Maximum()([a, b]), L.Minimum()([a, L.Conv2D(5, 1)(b)]), L.Subtract()([a, b])]),
        IMAGE,
        IMAGE,
    ),
    "concatenate": lambda: function(lambda a: L.Concatenate()([L.Conv2D(3, 1)(a), a])),
    "concatenate_rows": lambda: function(lambda a: L.Concatenate(axis=1)([L.Conv2D(5, 2, padding="same")(a), a])),
    "rescaling": layer(L.Rescaling, 1 / 127.5, offset=-1),
    "rescaling_channels": layer(L.Rescaling, [0.1, 0.2, 0.3, 0.4, 0.5], offset=[1.0, 2.0, 3.0, 4.0, 5.0]),
    "normalization_given": layer(L.Normalization, mean=[1.0, 2, 3, 4, 5], variance=[1.0, 4, 9, 16, 25]),
    "normalization_adapted": lambda: adapted(chain(L.Normalization(), L.Conv2D(3, 3))),
    "resizing_bilinear": layer(L.Resizing, 6, 11),
    "resizing_nearest": layer(L.Resizing, 13, 5, interpolation="nearest"),
    "resizing_cropped": lambda: chain(L.Resizing(6, 11, crop_to_aspect_ratio=True), L.Resizing(5, 4, crop_to_aspect_ratio=True)),
    "resizing_padded": lambda: chain(L.Resizing(6, 11, pad_to_aspect_ratio=True, fill_value=0.5), L.Resizing(7, 4, pad_to_aspect_ratio=True)),
    "unet": unet,
    "augmentation": lambda: chain(
        L.RandomFlip(), L.RandomRotation(0.1), L.RandomZoom(0.1), L.RandomContrast(0.1), L.RandomTranslation(0.1, 0.1),
        L.GaussianNoise(0.1), L.Conv2D(2, 3),
    ),
    "layer_norm": layer(L.LayerNormalization, epsilon=0.1),
    "layer_norm_bare": layer(L.LayerNormalization, scale=False, center=False, shape=(11,)),
    "group_norm": lambda: chain(L.Conv2D(6, 3), L.GroupNormalization(3, epsilon=0.1)),
    "instance_norm": layer(L.GroupNormalization, -1, center=False),
    "rms_norm": layer(L.RMSNormalization, epsilon=0.1),
    "unit_norm": layer(L.UnitNormalization),
    "prelu": layer(L.PReLU),
    "prelu_shared": layer(L.PReLU, shared_axes=[1, 2]),
    "conv_transpose": layer(L.Conv2DTranspose, 6, 3, strides=2, padding="same", activation="relu"),
    "conv_transpose_valid": layer(L.Conv2DTranspose, 4, (2, 5), strides=(3, 1), use_bias=False),
    "conv_transpose_padded": layer(L.Conv2DTranspose, 4, 3, strides=2, padding="same", output_padding=0),
    "permute": lambda: chain(L.Permute((3, 1, 2)), L.Conv2D(2, 3)),
    "repeat_vector": lambda: chain(L.RepeatVector(4), L.Conv1D(3, 2), shape=(11,)),
    "conv1d": lambda: chain(
        L.ZeroPadding1D((1, 2)), L.Conv1D(6, 3, strides=2, activation="relu"), L.BatchNormalization(),
        L.SeparableConv1D(7, 3, padding="same", depth_multiplier=2), L.DepthwiseConv1D(2), L.SpatialDropout1D(0.3),
        L.GlobalAveragePooling1D(), shape=(25, 5),
    ),
    "conv1d_causal": lambda: chain(
        L.Conv1D(6, 3, dilation_rate=2, padding="causal", activation="relu"), L.Conv1D(4, 2, padding="causal", strides=2), shape=(11, 5)
    ),
    "pooling_1d": lambda: chain(
        L.MaxPooling1D(2), L.UpSampling1D(3), L.Cropping1D(1), L.AveragePooling1D(3, 2, "same"),
        L.Conv1DTranspose(4, 3, strides=2), L.GlobalMaxPooling1D(), shape=(9, 5),
    ),
    "conv3d": lambda: chain(L.Conv3D(6, (2, 3, 2), strides=(1, 2, 1), padding="same", activation="relu"), L.Conv3D(4, 1), shape=VOLUME),
    "conv3d_dilated": layer(L.Conv3D, 4, (3, 2, 1), dilation_rate=(1, 2, 2), use_bias=False, shape=VOLUME),
    "conv3d_strided": layer(L.Conv3D, 4, (1, 3, 3), strides=2, shape=VOLUME),
    "volumes": lambda: chain(
        L.ZeroPadding3D(((1, 0), (0, 1), (1, 1))), L.Conv3D(5, 2), L.BatchNormalization(), L.MaxPooling3D((1, 2, 2)), L.UpSampling3D((2, 1, 2)),
        L.Cropping3D((1, 0, 1)), L.AveragePooling3D(3, 2, "same"), L.Conv3D(3, 1), L.GlobalAveragePooling3D(), shape=VOLUME,
    ),
    "volume_pooling": lambda: chain(
        L.MaxPooling3D((3, 2, 2), (1, 2, 1), "same"), L.AveragePooling3D(2), L.SpatialDropout3D(0.3), L.GlobalMaxPooling3D(keepdims=True), shape=VOLUME
    ),
    "dot": lambda: function(
        lambda a, b: L.Concatenate()([L.Dot(1)([a, L.Dense(6)(b)]), L.Dot(-1, normalize=True)([a, L.Dense(6)(b)])]), (6,), (4,)
    ),
    "dot_matrices": lambda: function(
        lambda a, b: L.Dot((1, 2))([L.Dense(3)(a), L.Dense(5, activation="tanh")(b)]), (5, 4), (7, 2)
    ),
    "attention": lambda: function(lambda x: L.MultiHeadAttention(2, 3, value_dim=4, name="heads")(x, x), (6, 8)),
    "attention_cross": lambda: function(
        lambda query, key, value: L.MultiHeadAttention(2, 3, use_bias=False, output_shape=(2, 5), name="heads")(
            query, key=key, value=value
        ),
        (6, 8), (7, 5), (7, 9),
    ),
    "attention_images": attention_images,
    "attention_causal": lambda: function(lambda x: L.MultiHeadAttention(2, 3, name="heads")(x, x, use_causal_mask=True), (6, 8)),
    "attention_masked": attention_masked,
    "attention_dot": lambda: function(lambda query, value: L.Attention(use_scale=True, name="dot")([query, value]), (6, 4), (5, 4)),
    "attention_concat": lambda: function(
        lambda x: L.Attention(use_scale=True, score_mode="concat", name="concat")([x, L.Dense(3)(x), x], use_causal_mask=True), (6, 4)
    ),
    "attention_additive": lambda: function(lambda query, value: L.AdditiveAttention(name="sum")([query, value]), (6, 4), (5, 4)),
    "einsum_dense": lambda: chain(
        L.EinsumDense("abc,bd->adc", (4, 5)), L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", activation="tanh"),
        L.EinsumDense("abcd,cde->abe", (None, 5), bias_axes="e"), L.EinsumDense("...x,xy->...y", 6, bias_axes="y"), L.GlobalMaxPooling1D(),
        shape=(6, 5),
    ),
    "embedding": lambda: chain(L.Embedding(9, 4), L.Flatten(), L.Dense(3), shape=(7,)),
    "lstm": layer(L.LSTM, 4, shape=(5, 3)),
    "lstm_bare": layer(L.LSTM, 4, use_bias=False, return_sequences=True, go_backwards=True, shape=(5, 3)),
    "gru": layer(L.GRU, 4, shape=(5, 3)),
    "gru_before": layer(L.GRU, 4, reset_after=False, return_sequences=True, activation="softsign", shape=(5, 3)),
    "simple_rnn": layer(L.SimpleRNN, 4, activation="relu", shape=(5, 3)),
    **{f"bidirectional_{mode}": layer(L.Bidirectional, L.LSTM(4, return_sequences=True), merge_mode=mode, shape=(5, 3)) for mode in ("concat", "sum", "mul")},
    "bidirectional_two": layer(L.Bidirectional, L.GRU(4), backward_layer=L.LSTM(4, go_backwards=True), shape=(5, 3)),
    "time_distributed": lambda: chain(L.TimeDistributed(L.Conv2D(4, 3, activation="relu")), L.TimeDistributed(L.Flatten()), L.LSTM(3), shape=(3, 6, 5, 2)),
    "recurrent": lambda: recurrent_stack(False),
    "masked": lambda: recurrent_stack(True),
    "masking": lambda: chain(L.Masking(0.5), L.LSTM(4, return_sequences=True), L.LSTM(3), shape=(6, 2)),
    "nested_recurrent": lambda: chain(keras.Sequential([keras.Input((7,)), L.Embedding(9, 4, mask_zero=True), L.Bidirectional(L.LSTM(3))], name="inner"), L.Dense(2), shape=(7,)),
    "nested_in_sequential": lambda: chain(backbone(), L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")),
    "sequential_in_functional": lambda: function(
        lambda x: L.Dense(1, activation="sigmoid")(
            L.Flatten()(keras.Sequential([L.Conv2D(4, 3), L.BatchNormalization(), L.MaxPooling2D()], name="stem")(x))
        )
    ),
    "deeply_nested": deeply_nested,
    "shared_layer": shared_layer,
    "shared_model": shared_model,
    "two_in_two_out": two_in_two_out,
}

# dropout and augmentation would make the pass in training mode random
RANDOM = {"dropout", "augmentation", "conv1d", "volume_pooling"}
# whole numbers go in
WORDS = {"attention_masked", "embedding", "recurrent", "masked", "nested_recurrent"}
# these are also saved in the other formats
ALSO_H5 = {"dense", "batch_norm", "nested_in_sequential", "sequential_in_functional", "deeply_nested", "shared_layer",
           "shared_model", "separable", "depthwise_multiplier", "normalization_adapted", "unet", "layer_norm", "prelu", "conv1d",
           "conv_transpose", "einsum_dense", "recurrent", "nested_recurrent", "time_distributed", "bidirectional_two", "attention_cross", "attention_images", "attention_causal", "conv3d", "attention_concat"}


def inner_name(layer, variable):
    """What a layer made of layers puts before the names of the inner layers' variables."""
    above = variable.path.split("/")
    if isinstance(layer, L.MultiHeadAttention):
        return above[-2] + "_"
    if isinstance(layer, L.Bidirectional):
        return ("forward" if any(w is variable for w in layer.forward_layer.weights) else "backward") + "_cell_"
    if isinstance(layer, L.TimeDistributed):
        return "layer_"
    return "cell_" if isinstance(layer, (L.LSTM, L.GRU, L.SimpleRNN)) else ""


def sequence_of(name, rng, shape):
    """Whole numbers for models that begin with an Embedding, and steps that a mask leaves out for those that have one."""
    if name in WORDS:
        return rng.integers(0, 9, (BATCH, *shape)).astype("float32")
    values = rng.normal(0.3, 1.5, (BATCH, *shape)).astype("float32")
    if name == "masking":
        values[0, 1:3], values[1, 4:] = 0.5, 0.5
    return values


def paths(model, prefix=""):
    """Every variable of a model with its path: layer names and the variable's name."""
    for layer in model.layers:
        path = f"{prefix}{layer.name}"
        if hasattr(layer, "layers"):
            yield from paths(layer, path + "/")
        else:
            for variable in layer.weights:
                inner = inner_name(layer, variable)
                yield f"{path}/{inner}{variable.name}", variable


def liven(model, rng):
    """Random weights whose BatchNormalization statistics are not the trivial ones."""
    for path, variable in paths(model):
        name = path.rsplit("/", 1)[-1]
        if name in ("count", "mean", "variance"):
            continue
        noise = rng.normal(0.0, 1.0, variable.shape)
        value = {
            "moving_variance": np.abs(noise) + 0.5,
            "gamma": 1.0 + 0.3 * noise,
        }.get(name, 0.4 * noise)
        variable.assign(value.astype("float32"))


def loss_of(model, rng):
    """A loss that suits the model's first output, and targets for it."""
    output = model.outputs[0]
    shape = (BATCH, *output.shape[1:])
    last = model.layers[-1]
    function = getattr(getattr(last, "activation", None), "__name__", "")
    if len(shape) == 2 and function == "softmax":
        return "sparse_categorical_crossentropy", rng.integers(0, shape[1], (BATCH,))
    if len(shape) == 2 and function == "sigmoid" and shape[1] == 1:
        return "binary_crossentropy", rng.integers(0, 2, (BATCH, 1)).astype("float32")
    return "mean_squared_error", rng.normal(0.0, 1.0, shape).astype("float32")


def record(name, model):
    """Inputs, outputs, loss and gradients of a model."""
    seed = sum(map(ord, name))
    rng = np.random.default_rng(seed)
    liven(model, rng)
    inputs = [sequence_of(name, rng, tensor.shape[1:]) for tensor in model.inputs]
    given = inputs if len(inputs) > 1 else inputs[0]
    outputs = model(given, training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    arrays = {f"input_{i}": x for i, x in enumerate(inputs)}
    arrays |= {f"output_{i}": keras.ops.convert_to_numpy(y) for i, y in enumerate(outputs)}
    loss_name, target = loss_of(model, rng)
    training = name not in RANDOM
    state = [(variable, variable.numpy()) for _, variable in paths(model)]
    with tf.GradientTape() as tape:
        prediction = model(given, training=training)
        prediction = prediction[0] if isinstance(prediction, (list, tuple)) else prediction
        loss = tf.reduce_mean(keras.losses.get(loss_name)(target, prediction))
    trainable = [(path, variable) for path, variable in paths(model) if variable.trainable]
    gradients = tape.gradient(loss, [variable.value for _, variable in trainable])
    for variable, value in state:  # the pass in training mode has moved the statistics
        variable.assign(value)
    arrays |= {"target_0": target, "loss": np.float64(loss), "loss_name": np.array(loss_name)}
    arrays["training"] = np.int64(training)
    for (path, _), gradient in zip(trainable, gradients):
        if gradient is not None:
            arrays[f"grad/{path}"] = tf.convert_to_tensor(gradient).numpy()
    return arrays


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    folder, cases = arguments.folder, arguments.cases
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in CASES.items():
        if cases and name not in cases:
            continue
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)
        model = make()
        arrays = record(name, model)
        np.savez_compressed(folder / f"{name}.npz", **arrays)
        model.save(folder / f"{name}.keras")
        if name in ALSO_H5:
            model.save(folder / f"{name}.h5")
            model.save_weights(folder / f"{name}.weights.h5")
    if cases:
        return
    bad = folder.parent / "bad"
    bad.mkdir(exist_ok=True)
    keras.backend.clear_session()
    model = chain(L.Conv2D(4, 3, name="conv"), L.GlobalAveragePooling2D(name="pool"), L.Lambda(lambda x: x * 2, name="code"),
                  L.Dense(3, name="dense"))
    model.save(bad / "lambda.keras")
    model.save(bad / "lambda.h5")
    odd = {
        "axis_1": lambda x: L.BatchNormalization(axis=1, name="odd")(x),
        "concatenate_0": lambda x: L.Concatenate(axis=0, name="odd")([x, x]),
        "over_the_batch": lambda x: keras.ops.flip(x, axis=0),
        "attention_mask": lambda x: L.MultiHeadAttention(1, 2, name="odd")(x, x, attention_mask=np.ones((1, 63, 63))),
    }
    for name, make in odd.items():
        keras.backend.clear_session()
        keras.utils.set_random_seed(1)

        def build(x, make=make):
            x = make(L.Conv2D(3, 1, name="conv")(x))
            return L.Dense(2, name="dense")(L.GlobalAveragePooling2D(name="pool")(x))

        function(build).save(bad / f"{name}.keras")


if __name__ == "__main__":
    main()
