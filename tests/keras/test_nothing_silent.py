"""What was wrong without a word: models that scale their input, classes of others, weights that nobody reads, old classifiers
kept as features, files that Keras cannot load, arrays on another scale. Each beside real Keras."""

import json
import zipfile

import h5py
import keras
import numpy as np
import pytest
from conftest import ROOT, relative
from keras import layers as L
from PIL import Image

# The largest difference as a share of the largest output.
OUTPUT = 1e-4
SIDE = 32


@keras.saving.register_keras_serializable("my")
class Conv2D(L.Conv2D):
    """A layer of the user's own with the name of one of Keras's."""

    def call(self, inputs):
        return 2.0 * super().call(inputs)


@keras.saving.register_keras_serializable("my")
class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


def classifier(x, classes=3):
    for filters in (6, 8):
        x = L.Conv2D(filters, 3, strides=2, padding="same", activation="relu")(x)
    return L.Dense(classes, activation="softmax", name="classes")(L.GlobalAveragePooling2D()(x))


def scaled_by(function, name="model"):
    x = keras.Input((SIDE, SIDE, 3))
    return keras.Model(x, classifier(function(x)), name=name)


def photo(folder):
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype="uint8")
    Image.fromarray(pixels).save(folder / "photo.png")
    return folder / "photo.png", pixels[None].astype("float32")


def normalization_of(mean, variance):
    return L.Normalization(mean=mean, variance=variance)


def batch_normalization(x):
    layer = L.BatchNormalization()
    y = layer(x)
    layer.moving_mean.assign([123.0, 116.0, 103.0])
    layer.moving_variance.assign([58.0**2] * 3)
    return y


# What a model does to its input, and the range of pixels that it therefore wants: 0 to 255 or 0 to 1.
SCALES = {
    "preprocess_input": (keras.applications.mobilenet_v2.preprocess_input, 255),
    "by_255": (lambda x: x / 255.0, 255),
    "rescaling": (L.Rescaling(1 / 127.5, offset=-1), 255),
    "imagenet_of_bytes": (normalization_of([123.7, 116.3, 103.5], [58.4**2, 57.1**2, 57.4**2]), 255),
    "imagenet_of_units": (normalization_of([0.485, 0.456, 0.406], [0.229**2, 0.224**2, 0.225**2]), 1),
    "mean_alone": (lambda x: x - 117.0, 255),
    "twice_less_one": (lambda x: x * 2.0 - 1.0, 1),
    "back_to_bytes": (lambda x: (x * 255.0 - 120.0) / 60.0, 1),
    "batch_normalization": (batch_normalization, 255),
    "there_and_back": (lambda x: (x / 255.0) * 255.0 - 110.0, 255),
}


@pytest.mark.parametrize("name", SCALES)
def test_what_a_model_does_to_its_input_decides_what_it_is_given(name, frostline, tmp_path):
    keras.backend.clear_session()
    function, largest = SCALES[name]
    # a name that means `caffe` where the graph does nothing
    model = scaled_by(function, "resnet50")
    model.save(tmp_path / "model.keras")
    file, pixels = photo(tmp_path)
    ran = frostline.run("predict", tmp_path / "model.keras", file, "-o", tmp_path / "o.npz")
    assert ran.returncode == 0 and "--preprocess" not in ran.stderr, ran.stderr
    expected = model.predict(pixels * (largest / 255), verbose=0)
    assert relative(np.load(tmp_path / "o.npz")["output_0"], expected) <= OUTPUT


def test_the_name_of_an_architecture_counts_where_the_graph_does_nothing(frostline, tmp_path):
    for function, expected in ((lambda x: x, "caffe"), (L.Rescaling(1.0), "caffe"), (L.Rescaling(1 / 255), "none")):
        scaled_by(function, "resnet50").save(tmp_path / "model.keras")
        assert frostline.json("inspect", tmp_path / "model.keras")["preprocess"] == expected
    # a factor that suits no range is not guessed
    scaled_by(lambda x: x * 0.3 + 0.1).save(tmp_path / "model.keras")
    assert frostline.json("inspect", tmp_path / "model.keras")["preprocess"] is None
    file, _ = photo(tmp_path)
    assert "suits no range of pixels" in frostline.run("predict", tmp_path / "model.keras", file).stderr


def test_a_batch_in_the_models_own_range_is_not_warned_of_and_another_is(frostline, tmp_path):
    scaled_by(lambda x: x / 255.0).save(tmp_path / "model.keras")
    _, pixels = photo(tmp_path)
    np.save(tmp_path / "bytes.npy", pixels)
    np.save(tmp_path / "units.npy", pixels / 255)
    assert "lie in" not in frostline.run("predict", tmp_path / "model.keras", tmp_path / "bytes.npy").stderr
    assert "lie in [0, 1]" in frostline.run("predict", tmp_path / "model.keras", tmp_path / "units.npy").stderr


@pytest.mark.parametrize("scale", ["bytes", "units", "signed"])
def test_arrays_on_any_scale_are_trained_and_predicted_alike(scale, frostline, tmp_path):
    """Floats of 0 to 255, of 0 to 1 and of -1 to 1 give the model that bytes give."""
    to = {"bytes": lambda x: x, "units": lambda x: x / 255, "signed": lambda x: x / 127.5 - 1}[scale]
    scaled_by(lambda x: x / 255.0).save(tmp_path / "model.keras")
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 2
    pixels = np.clip(rng.normal(90 + 70 * labels[:, None, None, None], 30, (48, SIDE, SIDE, 3)), 0, 255).astype("uint8")
    pixels[0, 0, 0], pixels[1, 0, 0] = 0, 255
    outputs = []
    for name, x in (("uint8", pixels), (scale, to(pixels.astype("float32")))):
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=labels)
        run = tmp_path / f"run_{name}"
        ran = frostline.run(
            *("train", tmp_path / "model.keras", tmp_path / f"{name}.npz", "-o", run, "--epochs", 4, "--no-cache")
        )
        assert ran.returncode == 0, ran.stderr
        assert ("lie in" in ran.stderr) == (name not in ("uint8", "bytes")), ran.stderr
        Image.fromarray(pixels[3]).save(tmp_path / "one.png")
        outputs.append(frostline.json("predict", run, tmp_path / "one.png")["scores"])
        # the same file is evaluated as it was trained on
        assert frostline.json("evaluate", run, tmp_path / f"{name}.npz")["loss"] < 0.8
    assert np.allclose(*outputs, atol=1e-3)


def test_classes_of_others_are_not_run_as_kerass_own(frostline, tmp_path):
    x = keras.Input((SIDE, SIDE, 3))
    keras.Model(x, classifier(Conv2D(4, 3, name="own")(x))).save(tmp_path / "own.keras")
    keras.Model(x, classifier(Conv2D(4, 3, name="own")(x))).save(tmp_path / "own.h5")
    file, _ = photo(tmp_path)
    for ending in ("keras", "h5"):
        ran = frostline.run("predict", tmp_path / f"own.{ending}", file)
        assert ran.returncode == 1 and "`my>Conv2D` is not a layer of Keras's own" in ran.stderr, ran.stderr


def test_a_model_that_only_trains_otherwise_is_read_as_the_functional_model_it_is(frostline, tmp_path):
    x = keras.Input((SIDE, SIDE, 3))
    model = OwnStep(x, classifier(x / 255.0))
    model.save(tmp_path / "model.keras")
    file, pixels = photo(tmp_path)
    frostline.done("predict", tmp_path / "model.keras", file, "-o", tmp_path / "o.npz")
    assert relative(np.load(tmp_path / "o.npz")["output_0"], model.predict(pixels, verbose=0)) <= OUTPUT
    assert any("OwnStep" in note for note in frostline.json("inspect", tmp_path / "model.keras")["load"]["notes"])


def test_numbers_in_bfloat16_are_read(frostline, tmp_path):
    keras.config.set_dtype_policy("bfloat16")
    try:
        model = scaled_by(lambda x: x)
    finally:
        keras.config.set_dtype_policy("float32")
    model.save(tmp_path / "model.keras")
    frostline.done("convert", tmp_path / "model.keras", "-o", tmp_path / "out.weights.h5")
    with h5py.File(tmp_path / "out.weights.h5") as file:
        found = file["layers/dense/vars/0"][:]
    assert np.array_equal(found, np.asarray(model.get_layer("classes").kernel).astype("float32"))


def convolutional_top(x):
    x = L.Conv2D(12, 3, activation="relu")(x)
    x = L.Conv2D(3, 1, name="scores")(L.Dropout(0.2, name="features")(x))
    return L.Activation("softmax")(L.GlobalAveragePooling2D()(x))


def reshaped_top(x):
    x = L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(12, 3, activation="relu")(x))
    x = L.Conv2D(3, 1, name="scores")(L.Dropout(0.2, name="features")(x))
    return L.Activation("softmax")(L.Reshape((3,))(x))


def normalised_top(x):
    x = L.GlobalAveragePooling2D(name="features")(L.Conv2D(12, 3, activation="relu")(x))
    return L.Activation("softmax")(L.BatchNormalization()(L.Dense(3)(x)))


def logits_top(x):
    return L.Dense(3)(L.GlobalAveragePooling2D(name="features")(L.Conv2D(12, 3, activation="relu")(x)))


@pytest.mark.parametrize("top", [convolutional_top, reshaped_top, normalised_top, logits_top])
def test_the_whole_classifier_goes(top, frostline, tmp_path):
    x = keras.Input((SIDE, SIDE, 3))
    keras.Model(x, top(x)).save(tmp_path / "model.keras")
    names, width = retrained(frostline, tmp_path)
    assert "features" in names and "scores" not in names and width == 12


def test_a_backbone_without_a_classifier_is_kept_whole(frostline, tmp_path):
    """The output of `include_top=False` is a feature map, or its pooled mean: no layer of it goes."""
    for pooling in (None, "avg"):
        model = keras.applications.MobileNetV2(
            input_shape=(SIDE, SIDE, 3), alpha=0.35, include_top=False, pooling=pooling, weights=None
        )
        model.save(tmp_path / "model.keras")
        assert retrained(frostline, tmp_path)[1] == 1280


def retrained(frostline, folder):
    """The layers of the model with its new head, and how many numbers the head reads."""
    rng = np.random.default_rng(0)
    data = {"x_train": rng.integers(0, 256, (12, SIDE, SIDE, 3), dtype="uint8"), "y_train": np.arange(12) % 2}
    np.savez(folder / "data.npz", **data)
    frostline.done(
        *("train", folder / "model.keras", folder / "data.npz", "-o", folder / "run", "--epochs", 1, "--val", 0),
        *("--preprocess", "unit", "--no-cache"),
    )
    layers = keras.models.load_model(folder / "run/model.keras").layers
    for path in (folder / "run").iterdir():
        path.unlink()
    (folder / "run").rmdir()
    return [layer.name for layer in layers], layers[-1].kernel.shape[0]


def edited(source, out, change):
    """A `.keras` file with another config."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config["config"]["layers"])
                content = json.dumps(config)
            new.writestr(name, content)


def test_names_with_a_slash_are_changed_and_told_and_keras_loads_them(frostline, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            L.Rescaling(1 / 255, name="scaled"),
            L.Conv2D(8, 3, name="conv1__conv"),
            L.BatchNormalization(name="conv1__bn"),
            L.GlobalAveragePooling2D(),
            L.Dense(3, activation="softmax"),
        ]
    )
    model.save(tmp_path / "flat.keras")

    def rename(layers):
        for layer in layers:
            layer["config"]["name"] = layer["config"]["name"].replace("__", "/")

    edited(tmp_path / "flat.keras", tmp_path / "slash.keras", rename)
    model.save(tmp_path / "slash.h5")
    with h5py.File(tmp_path / "slash.h5", "r+") as file:
        file.attrs["model_config"] = file.attrs["model_config"].replace("__", "/")
        weights = file["model_weights"]
        names = [name.replace("__", "/") for name in weights.attrs["layer_names"]]
        for name in ("conv1__conv", "conv1__bn"):
            old = weights[name]
            listed = list(old.attrs["weight_names"])
            new = weights.create_group(name.replace("__", "/"))
            # tf.keras names a weight after its layer, within the layer's group
            new.attrs["weight_names"] = [variable.replace("__", "/") for variable in listed]
            for variable in listed:
                new.create_dataset(variable.replace("__", "/"), data=old[variable][()])
            del weights[name]
        weights.attrs["layer_names"] = names
    file, pixels = photo(tmp_path)
    expected = model.predict(pixels, verbose=0)
    for source in ("slash.keras", "slash.h5"):
        inspected = frostline.json("inspect", tmp_path / source)
        assert "conv1_bn" in [layer["path"] for layer in inspected["layers"]]
        assert any("`conv1/bn`" in note or "`conv1/conv`" in note for note in inspected["load"]["notes"])
        frostline.done("predict", tmp_path / source, file, "-o", tmp_path / "o.npz")
        assert relative(np.load(tmp_path / "o.npz")["output_0"], expected) <= OUTPUT
        for ending in ("keras", "h5"):
            frostline.done("convert", tmp_path / source, "-o", tmp_path / f"back.{ending}")
            back = keras.models.load_model(tmp_path / f"back.{ending}", compile=False)
            assert relative(back.predict(pixels, verbose=0), expected) <= OUTPUT
        with zipfile.ZipFile(tmp_path / "back.keras") as archive:
            assert json.loads(archive.read("frostline.json"))["renamed"]["conv1_bn"] == "conv1/bn"
    # the old name is understood
    np.savez(tmp_path / "data.npz", x_train=np.repeat(pixels, 8, 0).astype("uint8"), y_train=np.arange(8) % 2)
    frostline.done(
        *("train", tmp_path / "slash.keras", tmp_path / "data.npz", "-o", tmp_path / "run", "--keep", "conv1/bn"),
        *("--epochs", 1, "--val", 0, "--no-cache"),
    )
    names = [layer.name for layer in keras.models.load_model(tmp_path / "run/model.keras").layers]
    assert names[:3] == ["scaled", "conv1_conv", "conv1_bn"] and len(names) == 5, names


def test_settings_of_augmentation_that_keras_does_not_take_any_more_are_left_out(frostline, tmp_path):
    layers = [L.RandomFlip("horizontal"), L.RandomRotation(0.2), L.Rescaling(1 / 255), L.Conv2D(4, 3)]
    model = keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers, L.GlobalAveragePooling2D(), L.Dense(3)])
    model.save(tmp_path / "new.keras")

    def old(layers):
        for layer in layers:
            if layer["class_name"].startswith("Random"):
                layer["config"]["value_range"] = [0, 255]  # Keras 3.0 to 3.5
                layer["config"]["batch_input_shape"] = [None, SIDE, SIDE, 3]  # `input_shape=` of tf.keras

    edited(tmp_path / "new.keras", tmp_path / "old.keras", old)
    for ending in ("keras", "h5"):
        frostline.done("convert", tmp_path / "old.keras", "-o", tmp_path / f"out.{ending}")
        loaded = keras.models.load_model(tmp_path / f"out.{ending}", compile=False)
        assert [layer.__class__.__name__ for layer in loaded.layers[:2]] == ["RandomFlip", "RandomRotation"]
        assert loaded.layers[1].get_config()["factor"] == model.layers[1].get_config()["factor"]


def test_what_cannot_be_written_is_refused_before_it_is_trained(frostline, tmp_path):
    source = ROOT / "tests/golden/old/keras-2.15.0-graph.h5"
    shape = np.load(source.with_suffix(".npz"))["input_0"].shape[1:]
    np.savez(tmp_path / "data.npz", x_train=np.zeros((8, *shape), "float32"), y_train=np.arange(8) % 2)
    ran = frostline.run("train", source, tmp_path / "data.npz", "-o", tmp_path / "run", "--preprocess", "none")
    assert ran.returncode == 1 and "hard_sigmoid of Keras 2" in ran.stderr and "epoch" not in ran.stderr, ran.stderr
    assert not (tmp_path / "run").exists()


def test_no_cut_below_the_first_kernel_is_advised_or_taken(frostline, tmp_path):
    layers = [L.RandomFlip(), L.Rescaling(1 / 255, name="scaled"), L.Lambda(lambda x: x * 2.0), L.Conv2D(4, 3), L.Flatten(), L.Dense(3)]
    keras.Sequential([keras.Input((SIDE, SIDE, 3)), *layers]).save(tmp_path / "lambda.keras")
    np.savez(tmp_path / "data.npz", x_train=np.zeros((8, SIDE, SIDE, 3), "uint8"), y_train=np.arange(8) % 2)
    arguments = ("train", tmp_path / "lambda.keras", tmp_path / "data.npz", "-o", tmp_path / "run")
    ran = frostline.run(*arguments)
    assert ran.returncode == 1 and "no layer below it has learned anything" in ran.stderr, ran.stderr
    assert len(ran.stderr) < 1200
    ran = frostline.run(*arguments, "--keep", "scaled")
    assert ran.returncode == 1 and "nothing that was learned would be reused" in ran.stderr, ran.stderr


def test_what_is_no_keras_file_is_called_what_it_is(frostline, tmp_path):
    model = scaled_by(lambda x: x / 255.0)
    model.export(tmp_path / "saved", verbose=False)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "w.weights.h5")
    said = {
        "saved": frostline.run("inspect", tmp_path / "saved").stderr,
        "pb": frostline.run("inspect", tmp_path / "saved/saved_model.pb").stderr,
        "whole": frostline.run(
            "convert", tmp_path / "model.keras", "--weights", tmp_path / "model.keras", "-o", tmp_path / "o.keras"
        ).stderr,
        "weights": frostline.run("inspect", tmp_path / "w.weights.h5").stderr,
    }
    assert "SavedModel" in said["saved"] and "SavedModel" in said["pb"]
    assert "whole model" in said["whole"] and "frostline convert MODEL --weights" in said["weights"]
    assert all("help:" in text for text in said.values()), said


def test_sharded_weights_are_put_onto_their_architecture(frostline, tmp_path):
    keras.utils.set_random_seed(1)
    inner = keras.Sequential([keras.Input((SIDE, SIDE, 3)), L.Conv2D(4, 3), L.BatchNormalization()], name="inner")
    model = scaled_by(inner)
    for variable in model.weights:
        variable.assign(np.random.default_rng(len(variable.path)).uniform(0.1, 1, variable.shape))
    model.save_weights(tmp_path / "w.weights.json", max_shard_size=2e-6)
    assert len(list(tmp_path.glob("w_*.weights.h5"))) > 1
    keras.utils.set_random_seed(2)
    scaled_by(keras.models.clone_model(inner)).save(tmp_path / "empty.keras")
    out = tmp_path / "out.keras"
    frostline.done("convert", tmp_path / "empty.keras", "--weights", tmp_path / "w.weights.json", "-o", out)
    for found, expected in zip(keras.saving.load_model(out).weights, model.weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    alone = frostline.run("inspect", tmp_path / "w.weights.json").stderr
    assert "shards" in alone and "--weights" in alone, alone
    next(tmp_path.glob("w_*.weights.h5")).unlink()
    lost = frostline.run("convert", tmp_path / "empty.keras", "--weights", tmp_path / "w.weights.json", "-o", out)
    assert lost.returncode == 1 and "w_0000" in lost.stderr, lost.stderr


@keras.saving.register_keras_serializable("my")
class HalfSwish(L.Layer):
    """A custom layer without weights, whose code frostline never runs."""

    def call(self, inputs):
        return keras.ops.silu(inputs)


def test_a_custom_layer_is_what_its_user_says(frostline, tmp_path):
    """`--custom` replaces a custom class or a Lambda by an operation; the file that is written needs no class of the user's."""
    x = keras.Input((SIDE, SIDE, 3))
    y = HalfSwish(name="gate")(L.Conv2D(6, 3, strides=2)(L.Rescaling(1 / 255)(x)))
    y = L.Lambda(lambda t: keras.ops.normalize(t, axis=-1), output_shape=(6,), name="l2")(L.GlobalAveragePooling2D()(y))
    model = keras.Model(x, L.Dense(3, activation="softmax")(y))
    file = tmp_path / "custom.keras"
    model.save(file)
    batch = np.random.default_rng(0).uniform(0, 255, (4, SIDE, SIDE, 3)).astype("float32")
    np.save(tmp_path / "x.npy", batch)
    refused = frostline.run("predict", file, tmp_path / "x.npy", "-o", tmp_path / "y.npz")
    assert refused.returncode == 1 and "--custom HalfSwish=identity" in refused.stderr
    custom = ("--custom", "HalfSwish=silu", "--custom", "l2=normalize(axis=-1)")
    expected = model.predict(batch, verbose=0)
    frostline.done("predict", file, tmp_path / "x.npy", "-o", tmp_path / "y.npz", "--preprocess", "none", *custom)
    assert relative(np.load(tmp_path / "y.npz")["output_0"], expected) <= OUTPUT
    frostline.done("convert", file, "-o", tmp_path / "again.keras", *custom)
    again = keras.models.load_model(tmp_path / "again.keras", compile=False)
    assert relative(again.predict(batch, verbose=0), expected) <= OUTPUT
    nonsense = frostline.run("predict", file, tmp_path / "x.npy", "--custom", "HalfSwish=unheard_of")
    assert nonsense.returncode == 2 and "help:" in nonsense.stderr


def test_functions_of_tensorflow_are_written_by_names_that_keras_finds(frostline, tmp_path):
    import tensorflow as tf

    inputs = keras.Input((9,))
    x = L.Dense(5, activation=tf.nn.swish)(inputs)
    x = L.Bidirectional(L.LSTM(3, activation=tf.nn.relu))(L.RepeatVector(4)(x))
    model = keras.Model(inputs, L.Dense(3, activation=tf.nn.softmax)(x))
    model.save(tmp_path / "m.keras")
    # Keras does not load what it has written itself
    with pytest.raises(TypeError):
        keras.saving.load_model(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(size=(6, 9)).astype("float32")
    expected = model.predict(x, verbose=0)
    assert relative(frostline.outputs(tmp_path / "m.keras", x, tmp_path), expected) < 1e-5
    for name in ("back.keras", "back.h5"):
        frostline.done("convert", tmp_path / "m.keras", "-o", tmp_path / name)
        assert relative(keras.saving.load_model(tmp_path / name).predict(x, verbose=0), expected) < 1e-5
