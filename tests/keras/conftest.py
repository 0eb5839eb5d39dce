"""What the tests against real Keras share: the binary, and runs of it."""

import json
import os
import pathlib
import subprocess

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("FROSTLINE", TARGET / "release" / "frostline"))


# The files that take longest, in the order in which they begin: then the processes that share the tests end together.
LONGEST = [
    "test_gallery.py", "test_keras_versions.py", "test_labdog.py", "test_onnx.py", "test_book.py", "test_step_parity.py", "test_round_trip.py",
    "test_stores.py", "test_solved.py", "test_depth.py",
]


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


class Frostline:
    """Runs the binary, with a cache of its own."""

    def __init__(self, folder):
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(folder)}

    def run(self, *arguments):
        return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, env=self.environment)

    def done(self, *arguments):
        """Standard output of a run that must succeed."""
        result = self.run(*arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def json(self, *arguments):
        return json.loads(self.done(*arguments, "--json"))

    def outputs(self, model, inputs, folder):
        """The raw outputs for a batch in the model's own layout."""
        np.savez(folder / "inputs.npz", input_0=inputs.astype("float32"))
        self.done("predict", model, folder / "inputs.npz", "-o", folder / "outputs.npz")
        return np.load(folder / "outputs.npz")["output_0"]


@pytest.fixture(autouse=True)
def names_begin_anew():
    """Keras numbers the names of layers in a process: what a test sees must not depend on those that ran before it."""
    import keras

    keras.utils.clear_session(free_memory=False)


@pytest.fixture(scope="session")
def frostline(tmp_path_factory):
    assert BINARY.exists(), f"{BINARY} is missing: cargo build --release"
    return Frostline(tmp_path_factory.mktemp("cache"))


def relative(found, expected):
    """The largest difference as a share of the largest value."""
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


def small_backbone(folder, *filters):
    """A classifier of images of 32 pixels, two convolutions with random weights, as real Keras saves it."""
    import keras

    keras.utils.set_random_seed(1)
    convolutions = [keras.layers.Conv2D(count, 3, 2, activation="relu") for count in filters]
    ends = [keras.layers.Flatten(), keras.layers.Dense(4, "softmax")]
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Rescaling(1 / 255), *convolutions, *ends])
    model.save(folder / "model.keras")
    return folder / "model.keras"
