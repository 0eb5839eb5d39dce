"""Every kind of data, which are the same images: the same features come out."""

import io
import pathlib
import subprocess
import sys

import frostline as fl
import numpy as np
import pytest
from conftest import ROOT
from PIL import Image


@pytest.fixture(scope="module")
def expected(model, images):
    found = fl.embed(model, images, progress=False)
    assert found.features.shape == (60, 16) and found.features.dtype == np.float32
    assert np.array_equal(found.labels, images[1])
    return found.features


def paths(folder):
    return sorted(folder.glob("*/*"), key=lambda path: path.name)


def encoded(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


class Column:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class ImageFeature:
    def __init__(self, decode=True):
        self.decode = decode


class HuggingFace:
    """What a dataset of the package `datasets` can do, as far as it is asked to."""

    def __init__(self, images, labels, decode=True):
        self.images, self.labels, self.decode = images, labels, decode
        self.column_names = ["image", "label"]
        self.features = {"image": ImageFeature(decode), "label": Column(names=["dark", "bright"])}

    def cast_column(self, name, feature):
        assert name == "image"
        return HuggingFace(self.images, self.labels, feature.decode)

    def __getitem__(self, name):
        if name == "label":
            return self.labels.tolist()
        assert not self.decode, "files are not decoded by others"
        return [{"bytes": encoded(image), "path": None} for image in self.images]


def tf_dataset(images, labels):
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((images, labels))


KINDS = {
    "paths": lambda x, y, folder: (paths(folder), y),
    "pillow": lambda x, y, folder: ([Image.fromarray(one) for one in x], y),
    "bytes": lambda x, y, folder: ([encoded(one) for one in x], y),
    "arrays": lambda x, y, folder: (list(x), y),
    "names": lambda x, y, folder: (x, np.array(["dark", "bright"])[y]),
    "one-hot": lambda x, y, folder: (x, np.eye(2, dtype=int)[y]),
    "float32": lambda x, y, folder: (x.astype("float32"), y),
    "int64": lambda x, y, folder: (x.astype("int64"), y),
    "not contiguous": lambda x, y, folder: (np.asfortranarray(x), y),
    "by name": lambda x, y, folder: {"x_train": x, "y_train": y, "class_names": ["dark", "bright"]},
    "tf.data": lambda x, y, folder: tf_dataset(x, y),
    "tf.data in batches": lambda x, y, folder: tf_dataset(x, y).batch(7),
    "hugging face": lambda x, y, folder: HuggingFace(x, y),
    "path": lambda x, y, folder: folder,
}


@pytest.mark.filterwarnings("ignore::frostline.FrostlineWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_is_the_same_images(kind, model, images, folder, expected):
    data = KINDS[kind](*images, folder)
    found = fl.embed(model, data, progress=False)
    order = np.argsort([pathlib.Path(path).name for path in found.paths]) if kind == "path" else slice(None)
    assert np.abs(found.features[order] - expected).max() < 1e-6
    run = fl.reuse(model, data, head_only=True, progress=False)
    assert run.record["images"] == [60, 0, 0] and run.scores["estimate"]["accuracy"] > 0.9


def test_photos_and_the_cache_in_an_object_store(model, folder, monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    for name, value in [("ACCESS_KEY_ID", "a-key"), ("SECRET_ACCESS_KEY", "a-word"), ("REGION", "us-east-1"), ("ENDPOINT_URL", url)]:
        monkeypatch.setenv(f"AWS_{name}", value)
    try:
        bucket = boto3.resource("s3", endpoint_url=url, region_name="us-east-1").Bucket("of-tests")
        bucket.create()
        for path in folder.glob("*/*"):
            bucket.upload_file(str(path), f"photos/{path.relative_to(folder)}")
        here = fl.reuse(model, folder, progress=False)
        there = fl.reuse(model, "s3://of-tests/photos", cache="s3://of-tests/cache", progress=False)
        for one, other in zip(here.model.get_weights(), there.model.get_weights(), strict=True):
            assert np.array_equal(one, other)
        assert there.scores == here.scores and any(True for _ in bucket.objects.filter(Prefix="cache/"))
        with pytest.raises(fl.ArgumentError, match="give a folder here"):
            fl.reuse(model, folder, output="s3://of-tests/run", progress=False)
    finally:
        server.stop()


def test_a_file_and_its_bytes_are_one_image_in_the_cache(model, images, folder):
    fl.embed(model, folder, progress=False)
    found = fl.embed(model, [path.read_bytes() for path in paths(folder)], progress=False)
    assert found.computed == 0 and (found.labels == -1).all()


def test_parts_are_taken_as_they_are_given(model, images):
    x, y = images
    parts = {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:]}
    run = fl.reuse(model, parts, head_only=True, progress=False)
    assert run.record["images"] == [40, 0, 20] and run.scores["test"]["accuracy"] > 0.9


def test_pictures_of_several_sizes_go_in_as_files_do(model, images, tmp_path):
    random = np.random.default_rng(3)
    pictures = [random.integers(0, 255, (20 + 3 * n, 50 - n, 3)).astype(np.uint8) for n in range(6)]
    files = []
    for index, picture in enumerate(pictures):
        files.append(tmp_path / f"{index}.png")
        Image.fromarray(picture).save(files[-1])
    of_files, of_arrays = (fl.embed(model, given, progress=False, no_cache=True) for given in (files, pictures))
    assert np.array_equal(of_files.features, of_arrays.features)
    assert np.array_equal(fl.predict(model, files).scores, fl.predict(model, pictures).scores)


def test_a_photo_that_lies_on_its_side_is_turned(model, tmp_path):
    random = np.random.default_rng(4)
    image = Image.fromarray(random.integers(0, 255, (40, 60, 3)).astype(np.uint8))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    with Image.open(tmp_path / "a.png") as opened:
        both = [fl.predict(model, one, progress=False).scores for one in (tmp_path / "a.png", opened)]
    assert np.array_equal(*both)


# What the largest memory of a process grows by while it embeds an array, and how large the array is.
GROWN = """
import pathlib, re
import frostline as fl, numpy as np
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1]) << 10
x = np.ones((50_000, 28, 28, 1), dtype={dtype!r})
x *= (np.arange(len(x)) % 200).astype(x.dtype)[:, None, None, None]
fl.embed({model!r}, x[:64], progress=False, no_cache=True)
before = peak()
fl.embed({model!r}, x, progress=False, no_cache=True)
print(peak() - before, x.nbytes)
"""


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_an_array_is_not_copied(dtype):
    """Its rows are read where they lie: what it takes besides, features among it, is far less than the array as float32."""
    model = ROOT / "crates/cli/assets/demo/my_model_A.h5"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", GROWN.format(model=str(model), dtype=dtype)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    grown, _ = map(int, done.stdout.split())
    assert grown < 50_000 * 28 * 28 * 4 / 3, f"{grown >> 20} MiB"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ((np.full((4, 32, 32, 3), np.nan, "float32"), [0, 1, 0, 1]), "`x_train[0]` holds NaN"),
        ((np.zeros((4, 32, 32, 3), "uint8"), [0, 1, 0]), "both count the same examples"),
        ((np.zeros((4, 32, 32, 3), "uint8"), [0, 0, 0, 0]), "class"),
        (([], []), "there is no image"),
        ({"x_train": np.zeros((4, 32, 32, 3), "uint8")}, "there is no `y_train`"),
        (object(), "data of the type `object` are not read"),
        (([b"no picture"] * 4, [0, 1, 0, 1]), "x_train[0]"),
    ],
    ids=["nan", "lengths", "one class", "empty", "no labels", "object", "damaged"],
)
def test_data_that_cannot_be_is_refused_with_a_remedy(model, data, text):
    with pytest.raises(fl.FrostlineError) as raised:
        fl.reuse(model, data, progress=False)
    assert text in str(raised.value) and raised.value.help
