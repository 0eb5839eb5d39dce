"""Arrays of every type and layout: what numpy saves is what the model is given."""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import pytest

SHAPE = (12, 16, 3)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    keras.utils.set_random_seed(1)
    layers = [
        keras.Input(SHAPE),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(8, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(4, "softmax"),
    ]
    path = tmp_path_factory.mktemp("backbone") / "model.keras"
    keras.Sequential(layers).save(path)
    return path


def pixels(count=24):
    """Two classes, told by their brightness; whole numbers of 0 to 255, which every type holds."""
    random = np.random.default_rng(5)
    kinds = np.arange(count) % 2
    return np.clip(random.normal(90 + 60 * kinds[:, None, None, None], 60, (count, *SHAPE)), 0, 255).round(), kinds


LAYOUTS = {
    "float32": lambda x: x.astype("<f4"),
    "float32, big-endian": lambda x: x.astype(">f4"),
    "float32, by columns": lambda x: np.asfortranarray(x.astype("f4")),
    "float64": lambda x: x.astype("f8"),
    "float16": lambda x: x.astype("f2"),
    "uint8": lambda x: x.astype("u1"),
    "uint16": lambda x: x.astype("u2"),
    "int16, big-endian": lambda x: x.astype(">i2"),
    "int64": lambda x: x.astype("i8"),
}


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_of_any_type_is_predicted_as_keras_does(layout, ending, frostline, backbone, tmp_path):
    x, _ = pixels()
    path = tmp_path / f"x.{ending}"
    np.save(path, LAYOUTS[layout](x)) if ending == "npy" else np.savez(path, x=LAYOUTS[layout](x))
    frostline.done("predict", backbone, path, "-o", tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")["output_0"]
    assert np.abs(found - keras.saving.load_model(backbone).predict(x, verbose=0)).max() < 1e-5


def trained(frostline, backbone, folder, name, x, y, *flags):
    np.savez(folder / f"{name}.npz", x_train=x, y_train=y)
    run = folder / name
    result = frostline.run("train", backbone, folder / f"{name}.npz", "-o", run, "--no-cache", *flags)
    assert result.returncode == 0, result.stderr
    return (run / "left-out.csv").read_text(), result.stderr


def test_pixels_of_16_bits_are_brought_to_8_or_refused(frostline, backbone, tmp_path):
    x, y = pixels()
    full = (x * 257).astype("u2")
    found, told = trained(frostline, backbone, tmp_path, "words", full, y)
    assert "`x_train` holds uint16" in told and "divided by 257" in told
    expected, _ = trained(frostline, backbone, tmp_path, "floats", x.astype("f4"), y)
    assert found == expected
    # bytes in too large a type stay what they are
    found, told = trained(frostline, backbone, tmp_path, "bytes", x.astype("u2"), y)
    assert found == expected and "uint16" not in told
    np.savez(tmp_path / "twelve.npz", x_train=(x * 16).astype("u2"), y_train=y)
    refused = frostline.run("train", backbone, tmp_path / "twelve.npz", "-o", tmp_path / "twelve")
    assert refused.returncode == 1 and "not clear which value is white" in refused.stderr


def test_channels_may_come_first(frostline, backbone, tmp_path):
    x, y = pixels()
    expected, _ = trained(frostline, backbone, tmp_path, "last", x.astype("u1"), y)
    first = x.transpose(0, 3, 1, 2).astype("u1")
    found, told = trained(frostline, backbone, tmp_path, "first", first, y, "--channels", "first")
    assert found == expected and "channels" not in told
    np.save(tmp_path / "x.npy", first.astype("f4"))
    refused = frostline.run("predict", backbone, tmp_path / "x.npy")
    assert refused.returncode == 1 and "give --channels first" in refused.stderr
    frostline.done("predict", backbone, tmp_path / "x.npy", "--channels", "first", "-o", tmp_path / "out.npz")
    found = np.load(tmp_path / "out.npz")["output_0"]
    assert np.abs(found - keras.saving.load_model(backbone).predict(x, verbose=0)).max() < 1e-5


def test_what_is_no_number_in_a_mapped_batch_is_named(frostline, backbone, tmp_path):
    x = pixels()[0].astype("f4")
    x[17, 3, 4, 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    result = frostline.run("predict", backbone, tmp_path / "x.npy")
    assert result.returncode == 1 and "row 17 of input 0 holds NaN" in result.stderr


def test_parts_on_two_scales_are_told(frostline, backbone, tmp_path):
    x, y = pixels()
    np.savez(tmp_path / "two.npz", x_train=x.astype("uint8"), y_train=y, x_test=(x / 255).astype("float32"), y_test=y)
    told = frostline.run("train", backbone, tmp_path / "two.npz", "-o", tmp_path / "run")
    assert told.returncode == 0 and "`x_test` lies in [0, 1], `x_train` in [0, 255]" in told.stderr, told.stderr
    np.savez(tmp_path / "one.npz", x_train=x.astype("uint8"), y_train=y, x_test=x.astype("float32"), y_test=y)
    assert "lies in" not in frostline.run("check", tmp_path / "one.npz").stdout


@pytest.mark.parametrize("of", [lambda x: x > 128, lambda x: (x > 128).astype("uint8")], ids=["truths", "bytes"])
def test_black_and_white_is_0_to_255(of, frostline, backbone, tmp_path):
    x, y = pixels()
    for name, values in {"marks": of(x), "pixels": 255 * of(x).astype("uint8")}.items():
        np.savez(tmp_path / f"{name}.npz", x_train=values, y_train=y)
        frostline.done("train", backbone, tmp_path / f"{name}.npz", "-o", tmp_path / name)
    found = [frostline.outputs(tmp_path / name, 255 * of(x).astype("float32"), tmp_path) for name in ("marks", "pixels")]
    assert np.abs(found[0] - found[1]).max() < 1e-6


def test_labels_may_count_from_1(frostline, backbone, tmp_path):
    x, y = pixels()
    np.savez(tmp_path / "one.npz", x_train=x.astype("uint8"), y_train=np.arange(len(x)) % 3 + 1)
    told = frostline.done("check", tmp_path / "one.npz")
    assert "in 3 classes: 1 8, 2 8, 3 8" in told and "counts classes from 1" in told, told
