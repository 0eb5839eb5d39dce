"""Every operation of `keras.ops` that frostline has, as a layer of a Functional model: what it gives is what Keras gives, the file that
is written back loads in Keras, and the ONNX file runs in ONNX Runtime and is read again, each to the same numbers."""

import re

import keras
import numpy as np
import onnxruntime
import pytest
from conftest import ROOT
from keras import layers as L
from keras import ops

SHAPE = (6, 4, 8)
# The largest difference as a share of the largest output.
TOLERANCE = 1e-5
RNG = np.random.default_rng(1)


def array(*shape):
    return RNG.uniform(0.5, 1.5, shape).astype("float32")


def positive(x):
    return ops.abs(x) + 0.5


def tokens(x):
    """`[24, 8]`"""
    return ops.reshape(x, (-1, 24, 8))


def heads(x):
    """Queries, keys and values of two heads: `[24, 2, 4]` each."""
    return [ops.reshape(t, (-1, 24, 2, 4)) for t in (x, 2.0 * x, x + 1.0)]


# class of Keras -> calls of it
CASES = {
    "Abs": [],
    "Absolute": [ops.abs, ops.absolute],
    "All": [lambda x: ops.all(x > 0.0, axis=-1)],
    "Amax": [lambda x: ops.amax(x, axis=1)],
    "Amin": [lambda x: ops.amin(x, axis=(1, 3), keepdims=True)],
    "Any": [lambda x: ops.any(x > 1.5, axis=2)],
    "Argmax": [lambda x: ops.argmax(x, axis=-1), lambda x: ops.argmax(x, axis=1, keepdims=True)],
    "Argmin": [lambda x: ops.argmin(x, axis=2)],
    "BroadcastTo": [lambda x: ops.broadcast_to(x[:, :, :1], (3, 6, 5, 8))],
    "Ceil": [ops.ceil],
    "Clip": [lambda x: ops.clip(x, -0.5, 1.0)],
    "Copy": [ops.copy],
    "Cos": [ops.cos],
    "CountNonzero": [lambda x: ops.count_nonzero(ops.relu(x), axis=-1)],
    "Exp": [ops.exp],
    "ExpandDims": [lambda x: ops.expand_dims(x, -1), lambda x: ops.expand_dims(x, 1)],
    "Expm1": [ops.expm1],
    "Flip": [lambda x: ops.flip(x, axis=2), lambda x: ops.flip(x, axis=(1, -1))],
    "Floor": [ops.floor],
    "Log": [lambda x: ops.log(positive(x))],
    "Log10": [lambda x: ops.log10(positive(x))],
    "Log1p": [lambda x: ops.log1p(positive(x))],
    "Log2": [lambda x: ops.log2(positive(x))],
    "LogicalNot": [lambda x: ops.logical_not(x > 0.0)],
    "Max": [lambda x: ops.max(x, axis=(1, 2)), lambda x: ops.max(x, axis=-1, keepdims=True)],
    "Mean": [
        lambda x: ops.mean(x, axis=(1, 2)),
        lambda x: ops.mean(x, axis=[1, 2], keepdims=True),
        lambda x: ops.mean(x, axis=-1, keepdims=True),
        lambda x: ops.mean(x, axis=1),
    ],
    "Min": [lambda x: ops.min(x, axis=3)],
    "Moveaxis": [lambda x: ops.moveaxis(x, 3, 1), lambda x: ops.moveaxis(x, (1, 2), (-1, 1))],
    "Negative": [lambda x: -x],
    "OnesLike": [lambda x: x + ops.ones_like(x)],
    "Prod": [lambda x: ops.prod(x, axis=2)],
    "Reciprocal": [lambda x: ops.reciprocal(positive(x))],
    "Repeat": [lambda x: ops.repeat(x, 3, axis=1), lambda x: ops.repeat(x, [1, 0, 2, 1], axis=2)],
    "Reshape": [lambda x: ops.reshape(x, (-1, 8, 24)), lambda x: ops.reshape(x, (-1, 192))],
    "Roll": [lambda x: ops.roll(x, 2, axis=1), lambda x: ops.roll(x, (-1, 3), axis=(1, 3))],
    "Round": [lambda x: ops.round(x * 3.0)],
    "Sign": [ops.sign],
    "Sin": [ops.sin],
    "Split": [
        lambda x: ops.split(x, 2, axis=-1)[1],
        lambda x: ops.concatenate(ops.split(x, [1, 4], axis=1)[::-1], axis=1),
    ],
    "Sqrt": [lambda x: ops.sqrt(positive(x))],
    "Square": [ops.square],
    "Squeeze": [lambda x: ops.squeeze(x[:, :1], axis=1), lambda x: ops.squeeze(x[:, :, :1], 2)],
    "Stack": [
        lambda x: ops.stack([x, 2.0 * x], axis=-1),
        lambda x: ops.stack([x[..., 2], x[..., 1], x[..., 0]], axis=1),
    ],
    "Std": [lambda x: ops.std(x, axis=-1)],
    "Sum": [lambda x: ops.sum(x, axis=(1, 3)), lambda x: ops.sum(x, axis=-1, keepdims=True)],
    "Swapaxes": [lambda x: ops.swapaxes(x, 1, -1)],
    "Tanh": [ops.tanh],
    "Tile": [lambda x: ops.tile(x, (1, 2, 1, 3)), lambda x: ops.tile(x, (2, 2))],
    "Transpose": [lambda x: ops.transpose(x, (0, 3, 1, 2)), lambda x: ops.transpose(x, (0, -2, 1, 3))],
    "Trunc": [lambda x: ops.trunc(x * 3.0)],
    "Var": [lambda x: ops.var(x, axis=(1, 2), keepdims=True)],
    "ZerosLike": [lambda x: x - ops.zeros_like(x)],
    "Pad": [
        lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0), (0, 1))),
        lambda x: ops.pad(x, ((0, 0), (1, 2), (2, 0), (0, 0)), constant_values=3.0),
        lambda x: ops.pad(x, ((0, 0), (1, 2), (2, 1), (0, 0)), mode="reflect"),
        lambda x: ops.pad(x, ((0, 0), (1, 2), (2, 1), (0, 0)), mode="symmetric"),
    ],
    "FullLike": [lambda x: x * ops.full_like(x, 2.5)],
    "Take": [
        lambda x: ops.take(x, [3, 0, 3], axis=2),
        lambda x: ops.take(x, -1, axis=1),
        lambda x: ops.take(x, np.array([[0, 1], [2, 5]]), axis=3),
    ],
    "GetItem": [
        lambda x: x[:, 0],
        lambda x: x[:, ::2, 1:, :],
        lambda x: x[..., ::-1],
        lambda x: x[:, -2, None, 1:-1],
        lambda x: x[..., 3],
        lambda x: x[:, :, ::-2, 2:7:3],
    ],
    "Concatenate": [
        lambda x: ops.concatenate([x, ops.relu(x)], axis=-1),
        lambda x: ops.concatenate([x[:, :1] * 0.0 + array(1, 1, 4, 8), x], axis=1),
    ],
    "Hstack": [lambda x: ops.hstack([x, x])],
    "Add": [
        lambda x: x + 2.0,
        lambda x: 1.5 + x,
        lambda x: x + array(8),
        lambda x: x + array(1, 6, 4, 8),
        lambda x: x + array(4, 1),
        lambda x: ops.add(array(6, 1, 8), x),
        lambda x: x[:, :1] + array(6, 4, 8),
    ],
    "Append": [lambda x: ops.append(x, x, axis=1)],
    "Divide": [lambda x: ops.divide(x, 3.0), lambda x: ops.divide(x, positive(x))],
    "DivideNoNan": [lambda x: ops.divide_no_nan(x, ops.relu(x))],
    "Equal": [lambda x: ops.equal(ops.round(x), 1.0)],
    "FloorDivide": [lambda x: ops.floor_divide(x, 0.7)],
    "Greater": [lambda x: x > 0.3, lambda x: x > x[:, :1]],
    "GreaterEqual": [lambda x: ops.round(x) >= 1.0],
    "Less": [lambda x: x < array(8)],
    "LessEqual": [lambda x: ops.round(x) <= 1.0],
    "LogicalAnd": [lambda x: ops.logical_and(x > 0.0, x < 1.0)],
    "LogicalOr": [lambda x: ops.logical_or(x < 0.0, x > 1.0)],
    "LogicalXor": [lambda x: ops.logical_xor(x < 1.0, x > 0.0)],
    "Matmul": [
        lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2))),
        lambda x: ops.matmul(tokens(x), array(8, 5)),
        lambda x: ops.matmul(array(7, 24), tokens(x)),
        lambda x: ops.matmul(x, ops.transpose(x[:, :1], (0, 1, 3, 2))),
    ],
    "Maximum": [lambda x: ops.maximum(x, 0.2), lambda x: ops.maximum(x, x[:, ::-1])],
    "Minimum": [lambda x: ops.minimum(array(8) * 0.1, x), lambda x: ops.minimum(x, -x)],
    "Mod": [lambda x: ops.mod(x, 0.7), lambda x: ops.mod(x, -positive(x))],
    "Multiply": [lambda x: x * 0.5, lambda x: x * array(6, 1, 1), lambda x: x * ops.mean(x, axis=(1, 2), keepdims=True)],
    "NotEqual": [lambda x: ops.not_equal(ops.round(x), 1.0)],
    "Power": [lambda x: x**2, lambda x: positive(x) ** 0.3, lambda x: 2.0**x, lambda x: ops.power(positive(x), x)],
    "Subtract": [lambda x: x - 1.0, lambda x: 1.0 - x, lambda x: ops.subtract(array(8), x), lambda x: x - ops.mean(x, axis=-1, keepdims=True)],
    "TrueDivide": [lambda x: x / 127.5, lambda x: 2.0 / positive(x), lambda x: x / array(8), lambda x: x / positive(x)],
    "Where": [
        lambda x: ops.where(x > 0.5, x, 0.0),
        lambda x: ops.where(np.arange(8) % 2 == 0, x, -x),
        lambda x: ops.where(x > 0.0, array(8), ops.exp(x)),
    ],
    "Einsum": [
        lambda x: ops.einsum("bhwc,cd->bhwd", x, array(8, 5)),
        lambda x: ops.einsum("bhwc,bhvc->bhwv", x, x + 1.0),
        lambda x: ops.einsum("bhwc->bch", x),
        lambda x: ops.einsum("bthd,bshd->bhts", *heads(x)[:2]),
    ],
    "Celu": [lambda x: ops.celu(x, alpha=0.7)],
    "DepthToSpace": [lambda x: ops.nn.depth_to_space(x, 2)] if hasattr(ops.nn, "depth_to_space") else [],
    "Elu": [ops.elu, lambda x: ops.elu(x, alpha=0.5)],
    "Gelu": [ops.gelu, lambda x: ops.gelu(x, approximate=False)],
    "Glu": [lambda x: ops.glu(x, axis=-1), lambda x: ops.glu(x, axis=1)],
    "HardShrink": [lambda x: ops.hard_shrink(x, threshold=0.6)],
    "HardSigmoid": [ops.hard_sigmoid],
    "HardSilu": [ops.hard_silu],
    "HardTanh": [ops.hard_tanh],
    "LeakyRelu": [ops.leaky_relu, lambda x: ops.leaky_relu(x, negative_slope=0.3)],
    "LogSigmoid": [ops.log_sigmoid],
    "LogSoftmax": [ops.log_softmax, lambda x: ops.log_softmax(x, axis=1)],
    "Moments": [lambda x: ops.concatenate(ops.moments(x, axes=[1, 2], keepdims=True), axis=-1)],
    "Normalize": [
        lambda x: ops.normalize(x, axis=-1),
        lambda x: ops.normalize(x, axis=(1, 2)),
        lambda x: ops.normalize(x, axis=1, order=3),
    ],
    "Relu": [ops.relu],
    "Relu6": [lambda x: ops.relu6(4.0 * x)],
    "Selu": [ops.selu],
    "Sigmoid": [ops.sigmoid],
    "Silu": [ops.silu],
    "SoftShrink": [lambda x: ops.soft_shrink(x, threshold=0.3)],
    "Softmax": [lambda x: ops.softmax(x, axis=-1), lambda x: ops.softmax(x, axis=1), lambda x: ops.softmax(x, axis=2)],
    "Softplus": [ops.softplus],
    "Softsign": [ops.softsign],
    "SpaceToDepth": [lambda x: ops.nn.space_to_depth(x, 2)] if hasattr(ops.nn, "space_to_depth") else [],
    "Squareplus": [lambda x: ops.squareplus(x, b=3)],
    "TanhShrink": [ops.tanh_shrink],
    "Threshold": [lambda x: ops.threshold(x, 0.4, -1.0)],
    "AveragePool": [
        lambda x: ops.average_pool(x, 2),
        lambda x: ops.average_pool(x, (3, 2), strides=(2, 1), padding="same"),
    ],
    "MaxPool": [lambda x: ops.max_pool(x, 2), lambda x: ops.max_pool(x, 3, strides=2, padding="same")],
    "DotProductAttention": [
        lambda x: ops.dot_product_attention(*heads(x)),
        lambda x: ops.dot_product_attention(*heads(x), is_causal=True, scale=0.3),
        lambda x: ops.dot_product_attention(*heads(x), mask=np.arange(24 * 24).reshape(1, 1, 24, 24) % 3 > 0),
        lambda x: ops.dot_product_attention(*heads(x), bias=array(1, 2, 24, 24)),
    ],
    "LayerNorm": [
        lambda x: ops.layer_normalization(x, axis=-1),
        lambda x: ops.layer_normalization(x, gamma=array(8), beta=array(8), axis=-1, epsilon=1e-5),
    ],
    "RMSNorm": [
        lambda x: ops.rms_normalization(x),
        lambda x: ops.rms_normalization(x, scale=array(8), axis=-1, epsilon=1e-6),
    ],
    "Erf": [ops.erf],
    "Logsumexp": [lambda x: ops.logsumexp(x, axis=-1), lambda x: ops.logsumexp(x, axis=(1, 2), keepdims=True)],
    "Rsqrt": [lambda x: ops.rsqrt(positive(x))],
    "Norm": [
        lambda x: ops.norm(x, axis=-1),
        lambda x: ops.norm(x, ord=1, axis=2, keepdims=True),
        lambda x: ops.norm(x, ord=np.inf, axis=1),
        lambda x: ops.norm(x, axis=(1, 2)),
    ],
    "Cast": [lambda x: ops.cast(x > 0.2, "float32"), lambda x: ops.cast(ops.cast(x * 3.0, "int32"), "float32")],
    "ConvertToTensor": [ops.convert_to_tensor],
    "SaturateCast": [lambda x: ops.cast(ops.saturate_cast(x * 3.0, "int32"), "float32")],
    "Unstack": [lambda x: ops.unstack(x, axis=1)[2], lambda x: ops.concatenate(ops.unstack(x, axis=-1)[:3], axis=-1)],
    "StopGradient": [ops.stop_gradient],
    "Slice": [lambda x: ops.slice(x, [0, 1, 0, 2], [-1, 3, 4, 5])],
    "CropImages": [lambda x: ops.image.crop_images(x, top_cropping=1, left_cropping=2, target_height=4, target_width=2)],
    "PadImages": [lambda x: ops.image.pad_images(x, top_padding=1, left_padding=2, bottom_padding=0, right_padding=3)],
    "RGBToGrayscale": [lambda x: ops.image.rgb_to_grayscale(x[..., :3])],
    "Resize": [
        lambda x: ops.image.resize(x, (9, 7)),
        lambda x: ops.image.resize(x, (3, 8), interpolation="nearest"),
    ],
}


def numbers():
    """Inputs that are on no edge of a rounding or a comparison."""
    values = np.random.default_rng(0).uniform(-2.0, 2.0, (3, *SHAPE))
    return (np.round(values * 64.0) / 64.0 + 0.003).astype("float32")


@pytest.mark.parametrize("name", [name for name, calls in CASES.items() if calls])
def test_an_operation_is_keras_s(frostline, tmp_path, name):
    batch = numbers()
    for index, call in enumerate(CASES[name]):
        x = keras.Input(SHAPE)
        model = keras.Model(x, L.Rescaling(1.0)(ops.cast(call(x), "float32")))
        written = [type(layer).__name__ for layer in model._operations]
        assert name in written or name == "Abs", f"{name} is not in {written}"
        expected = model.predict(batch, verbose=0)

        def close(found):
            assert found.shape == expected.shape
            assert np.abs(found - expected).max() <= TOLERANCE * max(1.0, np.abs(expected).max()), f"call {index}"

        file = tmp_path / f"{name}-{index}.keras"
        model.save(file)
        close(frostline.outputs(file, batch, tmp_path))
        frostline.done("convert", file, "-o", tmp_path / f"{name}-{index}-again.keras")
        close(keras.models.load_model(tmp_path / f"{name}-{index}-again.keras", compile=False).predict(batch, verbose=0))
        frostline.done("convert", file, "-o", tmp_path / f"{name}-{index}-again.onnx")
        session = onnxruntime.InferenceSession(tmp_path / f"{name}-{index}-again.onnx", providers=["CPUExecutionProvider"])
        close(session.run(None, {session.get_inputs()[0].name: batch})[0])
        close(frostline.outputs(tmp_path / f"{name}-{index}-again.onnx", batch, tmp_path))


def test_every_operation_of_the_list_has_a_case():
    text = (ROOT / "docs" / "layers.md").read_text()
    listed = re.findall(r"`keras\.ops\.\w+\.(\w+)`", text)
    assert listed, "docs/layers.md lists no operations"
    assert sorted(listed) == sorted(CASES)


ACTIVATIONS = {
    "leaky": L.LeakyReLU(negative_slope=0.1),
    "relu": L.ReLU(max_value=2.5, negative_slope=0.2),
    "elu": L.ELU(alpha=0.4),
    **{
        name: name
        for name in (
            *("mish", "log_softmax", "celu", "hard_shrink", "hard_tanh", "log_sigmoid", "soft_shrink", "squareplus"),
            "tanh_shrink",
        )
    },
}

@pytest.mark.parametrize("name", ACTIVATIONS)
def test_an_activation_of_a_layer_is_keras_s(frostline, tmp_path, name):
    """Newer names, and layers with settings in the place of a name."""
    batch = numbers()
    x = keras.Input(SHAPE)
    y = L.Dense(5, activation=ACTIVATIONS[name])(L.Conv2D(6, 3, activation=ACTIVATIONS[name])(x))
    model = keras.Model(x, y)
    expected = model.predict(batch, verbose=0)
    close = lambda found: np.abs(found - expected).max() <= TOLERANCE * max(1.0, np.abs(expected).max())
    file = tmp_path / "model.keras"
    model.save(file)
    assert close(frostline.outputs(file, batch, tmp_path))
    frostline.done("convert", file, "-o", tmp_path / "again.keras")
    assert close(keras.models.load_model(tmp_path / "again.keras", compile=False).predict(batch, verbose=0))
    frostline.done("convert", file, "-o", tmp_path / "again.onnx")
    assert close(frostline.outputs(tmp_path / "again.onnx", batch, tmp_path))
    session = onnxruntime.InferenceSession(tmp_path / "again.onnx", providers=["CPUExecutionProvider"])
    assert close(session.run(None, {session.get_inputs()[0].name: batch})[0])
