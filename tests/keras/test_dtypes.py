"""Weights and policies other than float32: 16-bit floats, 64-bit ones, 8-bit quantisation, LoRA adapters. frostline computes in
float32 what they stand for, says so in one line, and writes files that Keras loads."""

import keras
import numpy as np
import pytest
from conftest import relative
from keras import layers as L

# The largest difference to the same weights in float32, as a share of the largest output.
OUTPUT = 1e-4
# Keras rounds the inputs of a quantised layer to 127 steps, half a step at most for each, whose errors average out; three
# layers lie one behind the other.
QUANTISED = 0.02
SHAPE = (9, 7, 3)


@pytest.fixture(autouse=True)
def float32_again():
    yield
    keras.config.set_dtype_policy("float32")


def functional(attention=True):
    x = inputs = keras.Input(SHAPE)
    x = L.Conv2D(8, 3, activation="relu", name="conv")(x)
    x = L.Add()([L.BatchNormalization(name="norm")(x), L.Conv2D(8, 1, name="beside")(x)])
    x = L.Reshape((35, 8))(x)
    x = L.Conv1D(6, 3, name="conv1d")(x)
    x = L.EinsumDense("abc,cd->abd", (None, 6), bias_axes="d", name="einsum")(x)
    x = L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 3, name="heads")(x, x) if attention else x)
    x = L.Dense(16, activation="relu", name="hidden")(x)
    return keras.Model(inputs, L.Dense(3, name="classes")(x))


def sequential():
    return keras.Sequential([keras.Input(SHAPE), L.Conv2D(4, 3), L.Flatten(), L.Dense(3)])


def batch():
    return np.random.default_rng(0).normal(0.2, 1.0, (4, *SHAPE)).astype("float32")


def values(model):
    return [np.asarray(keras.ops.cast(weight, "float32")) for weight in model.weights]


def in_float32(build, model):
    """The same weights in a model that computes in float32."""
    keras.config.set_dtype_policy("float32")
    other = build()
    other.set_weights(values(model))
    return other


def loads(file, expected, x, what):
    """Real Keras loads what was written."""
    found = keras.saving.load_model(file, compile=False)
    assert {weight.dtype for weight in found.weights} == {"float32"}
    assert relative(np.asarray(found(x, training=False)), expected) <= OUTPUT, what


@pytest.mark.parametrize("build", [functional, sequential])
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16", "float64"])
def test_weights_are_widened_and_the_policy_is_said(policy, build, frostline, tmp_path):
    keras.config.set_dtype_policy(policy)
    keras.utils.set_random_seed(1)
    model = build()
    x = batch()
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    model.save_weights(tmp_path / "m.weights.h5")
    plain = in_float32(build, model)
    plain.save(tmp_path / "plain.keras")
    expected = np.asarray(plain(x, training=False))
    for ending in "keras", "h5":
        file = tmp_path / f"m.{ending}"
        assert relative(frostline.outputs(file, x, tmp_path), expected) <= OUTPUT
        said = frostline.run("convert", file, "-o", tmp_path / f"back.{ending}").stderr
        assert said.count(f"the dtype policy `{policy}`") == 1 and "float32" in said, said
        loads(tmp_path / f"back.{ending}", expected, x, ending)
        back = keras.saving.load_model(tmp_path / f"back.{ending}", compile=False)
        for found, own in zip(values(back), values(plain), strict=True):
            np.testing.assert_array_equal(found, own)
    frostline.done("convert", tmp_path / "plain.keras", "--weights", tmp_path / "m.weights.h5", "-o", tmp_path / "put.keras")
    loads(tmp_path / "put.keras", expected, x, "weights")


def adapt(model, layers, rng, alpha=3):
    for layer in layers:
        layer.enable_lora(2, lora_alpha=alpha)
    for weight in model.trainable_weights:
        if "lora" in weight.path:
            weight.assign(rng.normal(0.0, 0.3, weight.shape))


def test_adapters_are_merged(frostline, tmp_path):
    keras.utils.set_random_seed(1)
    model = functional()
    names = "conv", "conv1d", "einsum", "hidden", "classes"
    adapt(model, [model.get_layer(name) for name in names], np.random.default_rng(1))
    x = batch()
    expected = np.asarray(model(x, training=False))
    for ending in "keras", "h5":
        model.save(tmp_path / f"m.{ending}")
        assert relative(frostline.outputs(tmp_path / f"m.{ending}", x, tmp_path), expected) <= OUTPUT
        notes = frostline.json("inspect", tmp_path / f"m.{ending}")["load"]["notes"]
        assert any("5 layers have LoRA adapters" in note for note in notes), notes
        frostline.done("convert", tmp_path / f"m.{ending}", "-o", tmp_path / "back.keras")
        loads(tmp_path / "back.keras", expected, x, ending)
        assert not any("lora" in weight.path for weight in keras.saving.load_model(tmp_path / "back.keras").weights)


def test_adapters_whose_scale_is_not_in_the_file_are_refused(frostline, tmp_path):
    model = functional()
    model.get_layer("heads").query_dense.enable_lora(2, lora_alpha=3)
    model.save(tmp_path / "m.h5")
    refused = frostline.run("inspect", tmp_path / "m.h5")
    assert refused.returncode == 1 and "lora_kernel_a" in refused.stderr and "help:" in refused.stderr


@pytest.mark.parametrize("adapted", [False, True])
def test_quantised_layers_run_as_what_they_stand_for(adapted, frostline, tmp_path):
    keras.utils.set_random_seed(1)
    # a quantised attention is saved by Keras, and not read by it again
    model = functional(attention=not adapted)
    model.quantize("int8")
    if adapted:
        adapt(model, [model.get_layer("hidden")], np.random.default_rng(1))
    x = batch()
    model.save(tmp_path / "m.keras")
    model.save(tmp_path / "m.h5")
    # Keras merges adapters when it saves, and rounds the sum to 8 bits
    model = keras.saving.load_model(tmp_path / "m.keras") if adapted else model
    expected = np.asarray(model(x, training=False))
    for file in ["m.keras"] if adapted else ["m.keras", "m.h5"]:
        found = frostline.outputs(tmp_path / file, x, tmp_path)
        print(f"{file}: {relative(found, expected):.1e}")
        assert relative(found, expected) <= QUANTISED
        said = frostline.run("convert", tmp_path / file, "-o", tmp_path / "back.keras").stderr
        assert "the dtype policy `int8`" in said and "computed in float32" in said, said
        loads(tmp_path / "back.keras", found, x, file)


@pytest.mark.parametrize("mode", ["int4", "float8"])
def test_other_quantisations_are_named(mode, frostline, tmp_path):
    model = functional()
    model.quantize(mode)
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", batch())
    refused = frostline.run("predict", tmp_path / "m.keras", tmp_path / "x.npy")
    assert refused.returncode == 1 and f"quantised (`{mode}`)" in refused.stderr and "help:" in refused.stderr
    kept = frostline.run("inspect", tmp_path / "m.keras")
    assert kept.returncode == 0 and "computed in float32" not in kept.stderr, kept.stderr
