"""Files of weights for a model whose layers have other names, or other shapes at the top: by order and with mismatches only where
that is asked for, and what is not filled is listed."""

import keras
import numpy as np
import pytest
from keras import layers as L

SHAPE = (8, 8, 3)


def network(prefix, classes=3):
    inner = keras.Sequential(
        [keras.Input((6, 6, 4)), L.Conv2D(4, 3, name=f"{prefix}_inner"), L.BatchNormalization(name=f"{prefix}_norm")], name=f"{prefix}_block"
    )
    stack = [
        L.Conv2D(4, 3, name=f"{prefix}_a"), inner, L.Conv2D(4, 1, name=f"{prefix}_b"), L.Conv2D(4, 1, name=f"{prefix}_c"),
        L.GlobalAveragePooling2D(), L.Dense(classes, name=f"{prefix}_top"),
    ]
    return keras.Sequential([keras.Input(SHAPE), *stack])


def lively(model, seed):
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 1.0, weight.shape))
    return model


def saved(tmp_path, ending, classes=3):
    """A file of weights, and a model of other names."""
    source = lively(network("first", classes), 1)
    file = tmp_path / f"w.{ending}"
    if ending == "h5":
        source.save(file)
    else:
        source.save_weights(file, **({"max_shard_size": 2e-6} if ending.endswith("json") else {}))
    lively(network("second"), 2).save(tmp_path / "model.keras")
    return source, file, keras.saving.load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("ending", ["weights.h5", "h5", "weights.json"])
def test_by_order_names_mean_nothing(ending, frostline, tmp_path):
    source, file, _ = saved(tmp_path, ending)
    arguments = ("convert", tmp_path / "model.keras", "--weights", file, "-o", tmp_path / "out.keras")
    if ending == "h5":
        refused = frostline.run(*arguments)
        assert refused.returncode == 1 and "second_a" in refused.stderr, refused.stderr
    frostline.done(*arguments, "--weights-by", "order")
    for found, expected in zip(keras.saving.load_model(tmp_path / "out.keras").weights, source.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_names_that_fit_half_are_not_taken_for_half(frostline, tmp_path):
    # one layer of the model has the name of another in the file
    source = lively(network("first"), 1)
    source.save_weights(tmp_path / "w.weights.h5")
    other = network("second")
    other.get_layer("second_c").name = "first_b"
    lively(other, 2).save(tmp_path / "model.keras")
    frostline.done("convert", tmp_path / "model.keras", "--weights", tmp_path / "w.weights.h5", "-o", tmp_path / "out.keras")
    for found, expected in zip(keras.saving.load_model(tmp_path / "out.keras").weights, source.weights, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("ending", ["weights.h5", "h5"])
def test_a_mismatch_is_skipped_where_that_is_said_and_listed(ending, frostline, tmp_path):
    source, file, before = saved(tmp_path, ending, classes=5)
    arguments = ("convert", tmp_path / "model.keras", "--weights", file, "-o", tmp_path / "out.keras", "--weights-by", "order")
    refused = frostline.run(*arguments)
    assert refused.returncode == 1 and "second_top/kernel" in refused.stderr, refused.stderr
    ran = frostline.run(*arguments, "--skip-mismatch")
    assert ran.returncode == 0, ran.stderr
    assert "does not fill 2 of" in ran.stderr and "`second_top/kernel` wants" in ran.stderr and "`second_top/bias`" in ran.stderr
    found = keras.saving.load_model(tmp_path / "out.keras").weights
    for weight, expected in zip(found, source.weights[:-2] + before.weights[-2:], strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_file_of_which_nothing_fits_is_refused_all_the_same(frostline, tmp_path):
    _, _, _ = saved(tmp_path, "weights.h5")
    keras.Sequential([keras.Input((7,)), L.Dense(2)]).save_weights(tmp_path / "other.weights.h5")
    arguments = ("convert", tmp_path / "model.keras", "--weights", tmp_path / "other.weights.h5", "-o", tmp_path / "o.keras")
    refused = frostline.run(*arguments, "--skip-mismatch")
    assert refused.returncode == 1 and "do not fit" in refused.stderr, refused.stderr
