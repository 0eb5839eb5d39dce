"""Pixels: decoders and resize kernels against Pillow and TensorFlow, through a model that returns its
input."""

import io
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import relative
from PIL import Image, ImageOps

# As a share of the largest value: f32 sums in another order.
FLOAT = 1e-6
# TensorFlow places its windows in float32, which moves its own tf-area by up to 5e-6 from the exact areas.
AREA = 1e-5
SOURCES = [(40, 60), (61, 33), (7, 5), (128, 96)]
TARGETS = [(32, 32), (50, 21), (3, 90)]
PIL = {
    "pil-nearest": Image.NEAREST,
    "pil-box": Image.BOX,
    "pil-bilinear": Image.BILINEAR,
    "pil-hamming": Image.HAMMING,
    "pil-bicubic": Image.BICUBIC,
    "pil-lanczos": Image.LANCZOS,
}
TENSORFLOW = {"tf-nearest": "nearest", "tf-bilinear": "bilinear", "tf-bicubic": "bicubic", "tf-area": "area"}


def picture(seed, height, width, channels=3):
    """Soft shapes and noise, so that subsampled colours and the ends of the range both matter."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (max(height // 8, 2), max(width // 8, 2), 3), dtype="uint8")
    soft = np.asarray(Image.fromarray(small).resize((width, height), Image.BICUBIC), "float32")
    pixels = np.clip(soft + random.normal(0, 12, soft.shape), 0, 255).astype("uint8")
    return Image.fromarray(pixels) if channels == 3 else Image.fromarray(pixels).convert("L")


@pytest.fixture(scope="module")
def pixels_of(frostline, tmp_path_factory):
    """What a model of that input size is given for pictures."""
    folder = tmp_path_factory.mktemp("identity")

    def read(files, shape, *flags):
        model = folder / f"{'x'.join(map(str, shape))}.keras"
        if not model.exists():
            keras.Sequential([keras.Input(shape), keras.layers.Activation("linear")]).save(model)
        out = folder / "pixels.npz"
        frostline.done("predict", model, *files, "-o", out, "--preprocess", "none", *flags)
        return np.load(out)["output_0"]

    return read


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for seed, size in enumerate(SOURCES):
        picture(seed, *size).save(folder / f"{seed}.png")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: "x".join(map(str, target)))
@pytest.mark.parametrize("kernel", PIL)
def test_pil_kernels_give_the_pixels_of_pillow(kernel, target, pixels_of, pictures):
    own = pixels_of(pictures, (*target, 3), "--resize", kernel)
    expected = np.stack([np.asarray(Image.open(path).resize(target[::-1], PIL[kernel])) for path in pictures])
    print(f"{kernel} to {target}: largest difference {np.abs(own - expected).max():.0f} of 255")
    assert np.array_equal(own, expected)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: "x".join(map(str, target)))
@pytest.mark.parametrize("kernel", TENSORFLOW)
def test_tf_kernels_give_the_pixels_of_tensorflow(kernel, target, pixels_of, pictures):
    own = pixels_of(pictures, (*target, 3), "--resize", kernel)
    images = [np.asarray(Image.open(path)) for path in pictures]
    expected = np.stack([tf.image.resize(image, target, TENSORFLOW[kernel]).numpy() for image in images])
    difference = relative(own, expected.astype("float32"))
    print(f"{kernel} to {target}: {difference:.1e}")
    assert difference < (AREA if kernel == "tf-area" else FLOAT)


JPEGS = [
    *(
        {"size": size, "quality": quality, "subsampling": subsampling, "progressive": progressive}
        for size, quality, subsampling, progressive in itertools.product(
            [(64, 48), (37, 51)], [40, 92], ["4:4:4", "4:2:2", "4:2:0"], [False, True]
        )
    ),
    *(
        {"size": size, "subsampling": "4:2:0"}
        for size in [(1, 1), (2, 2), (3, 5), (16, 4), (17, 1), (9, 130)]
    ),
    *({"size": size, "subsampling": "4:2:2"} for size in [(1, 2), (5, 3), (8, 17)]),
    {"size": (64, 48), "channels": 1},
    {"size": (37, 51), "channels": 1, "progressive": True},
    {"size": (64, 48), "optimize": True, "restart_marker_blocks": 3},
    {"size": (64, 48), "progressive": True, "restart_marker_rows": 1},
    {"size": (64, 48), "keep_rgb": True},
]


def test_jpegs_give_the_pixels_of_libjpeg(pixels_of, tmp_path):
    worst = 0
    for index, settings in enumerate(JPEGS):
        settings = {"channels": 3, **settings}
        file = tmp_path / f"{index}.jpg"
        size, channels = settings.pop("size"), settings.pop("channels")
        picture(index, *size, channels).save(file, **settings)
        (own,) = pixels_of([file], (*size, channels))
        expected = np.asarray(Image.open(file)).reshape(own.shape)
        difference = np.abs(own - expected).max()
        assert difference == 0, f"{size} {settings}: {difference}"
        worst = max(worst, difference)
    print(f"{len(JPEGS)} kinds of JPEG: largest difference {worst:.0f} of 255")


LARGE = [
    *(
        {"size": size, "subsampling": subsampling, "progressive": progressive}
        for size, subsampling, progressive in itertools.product(
            [(192, 256), (131, 203)], ["4:4:4", "4:2:2", "4:2:0"], [False, True]
        )
    ),
    {"size": (131, 203), "channels": 1},
    {"size": (192, 256), "restart_marker_blocks": 3},
    {"size": (192, 256), "keep_rgb": True},
]


SMALL = [(16, 25), (24, 32), (40, 61), (96, 128)]


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("target", SMALL, ids=lambda target: "x".join(map(str, target)))
def test_jpegs_decoded_small_give_the_pixels_of_draft(target, times, pixels_of, tmp_path):
    shrunk = set()
    for index, settings in enumerate(LARGE):
        settings = {"channels": 3, **settings}
        file = tmp_path / f"{index}.jpg"
        size, channels = settings.pop("size"), settings.pop("channels")
        picture(index, *size, channels).save(file, **settings)
        drafted = Image.open(file)
        drafted.draft(None, (times * target[1], times * target[0]))
        shrunk.add(round(size[0] / drafted.height))
        for kernel in ["pil-nearest", "pil-bilinear"]:
            flags = ["--resize", kernel, f"--scaled-decode={times}"]
            (own,) = pixels_of([file], (*target, channels), *flags)
            expected = np.asarray(drafted.resize(target[::-1], PIL[kernel])).reshape(own.shape)
            assert np.array_equal(own, expected), f"{size} {settings} {kernel}"
    print(f"to {target}, {times} times: shrunk by {sorted(shrunk)}, the pixels of Pillow's draft")


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photo_on_its_side_is_measured_upright(orientation, pixels_of, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / "photo.jpg"
    picture(2, 128, 256).save(file, exif=exif)
    target = (32, 64) if orientation < 5 else (64, 32)
    drafted = Image.open(file)
    drafted.draft(None, (64, 32))
    assert drafted.size == (64, 32)
    (own,) = pixels_of([file], (*target, 3), "--scaled-decode=1")
    assert np.array_equal(own, np.asarray(ImageOps.exif_transpose(drafted)))


@pytest.mark.parametrize("progressive", [False, True], ids=["baseline", "progressive"])
def test_the_same_files_are_damaged_when_they_are_decoded_small(progressive, frostline, tmp_path):
    random = np.random.default_rng(1)
    stream = io.BytesIO()
    picture(3, 128, 128).save(stream, "jpeg", progressive=progressive)
    for index in range(60):
        damaged = bytearray(stream.getvalue())
        start, length = random.integers(20, len(damaged) - 20), random.integers(1, 12)
        damaged[start : start + length] = random.integers(0, 256, len(damaged[start : start + length])).tobytes()
        (tmp_path / f"{index:02}.jpg").write_bytes(damaged)
    model = tmp_path / "model.keras"
    head = [keras.layers.GlobalAveragePooling2D(), keras.layers.Activation("softmax")]
    keras.Sequential([keras.Input((16, 16, 3)), *head]).save(model)
    found = []
    for times in range(3):
        ran = frostline.run("predict", model, tmp_path, "--preprocess", "none", f"--scaled-decode={times}")
        found.append([line for line in ran.stderr.splitlines() if ".jpg" in line])
    print(f"{len(found[0])} of 60 are damaged, decoded whole and small")
    assert found[0] == found[1] == found[2]
    assert 0 < len(found[0]) < 60


PNGS = {
    "rgb": lambda image: image,
    "grey": lambda image: image.convert("L"),
    "palette": lambda image: image.quantize(60),
    "alpha": lambda image: Image.merge("RGBA", (*image.split(), image.convert("L"))),
    "grey and alpha": lambda image: Image.merge("LA", (image.convert("L"), image.convert("L"))),
    "bits": lambda image: image.convert("1"),
}


@pytest.mark.parametrize("channels", [3, 1])
@pytest.mark.parametrize("kind", PNGS)
def test_pngs_give_the_pixels_of_pillow(kind, channels, pixels_of, tmp_path):
    image = PNGS[kind](picture(1, 24, 31))
    image.save(tmp_path / "image.png")
    (own,) = pixels_of([tmp_path / "image.png"], (24, 31, channels))
    expected = np.asarray(image.convert("RGB").convert("L" if channels == 1 else "RGB")).reshape(own.shape)
    print(f"{kind} as {channels} channels: largest difference {np.abs(own - expected).max():.0f} of 255")
    assert np.array_equal(own, expected)


OTHER_KINDS = {
    "bmp": ("RGB", {}),
    "bmp-grey": ("L", {}),
    "bmp-palette": ("P", {}),
    "gif": ("P", {}),
    "gif-moving": ("P", {"moving": True}),
    "tiff": ("RGB", {}),
    "tiff-grey": ("L", {}),
    "tiff-lzw": ("RGB", {"compression": "tiff_lzw"}),
    "tiff-deflate": ("RGB", {"compression": "tiff_adobe_deflate"}),
    "tiff-pages": ("RGB", {"moving": True}),
    "tiff-alpha": ("RGBA", {}),
    "webp": ("RGB", {"quality": 85}),
    "webp-low": ("RGB", {"quality": 20}),
    "webp-lossless": ("RGB", {"lossless": True}),
    "webp-alpha": ("RGBA", {"lossless": True, "exact": True}),
    "webp-moving": ("RGB", {"lossless": True, "moving": True}),
}


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_other_kinds_give_the_pixels_of_pillow(kind, pixels_of, tmp_path):
    """The first picture of a GIF, the first page of a TIFF; the ending does not decide."""
    mode, settings = OTHER_KINDS[kind]
    image = picture(3, 37, 51).convert(mode)
    settings = dict(settings)
    if settings.pop("moving", False):
        settings |= {"save_all": True, "append_images": [picture(4, 37, 51).convert(mode)]}
    file = tmp_path / "image.jpg"
    image.save(file, format=kind.split("-")[0], **settings)
    read = Image.open(file)
    channels = 1 if read.mode == "L" else 3
    (own,) = pixels_of([file], (37, 51, channels))
    expected = np.asarray(read.convert("L" if channels == 1 else "RGB")).reshape(37, 51, channels)
    print(f"{kind}: largest difference {np.abs(own - expected).max():.0f} of 255")
    assert np.array_equal(own, expected)


def test_kinds_that_are_not_read_are_named_and_not_called_damaged(frostline, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(4):
            picture(index, 24, 24).save(tmp_path / "photos" / name / f"{index}.png")
    container = lambda brand: (24).to_bytes(4, "big") + b"ftyp" + brand + bytes(12) + bytes(100)
    (tmp_path / "photos/a/phone.heic").write_bytes(container(b"heic"))
    (tmp_path / "photos/b/web.jpg").write_bytes(container(b"avif"))
    model = tmp_path / "model.keras"
    inputs = keras.Input((24, 24, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(pooled)).save(model)
    ran = frostline.run("train", model, tmp_path / "photos", "-o", tmp_path / "run", "--preprocess", "unit", "--epochs", "1")
    assert ran.returncode == 0, ran.stderr
    told = ran.stderr + ran.stdout
    assert "2 of 10 images are of a kind that is not read" in told and "HEIC" in told and "AVIF" in told
    assert "damaged" not in told
    refused = frostline.run("predict", tmp_path / "run", tmp_path / "photos/a/phone.heic")
    assert refused.returncode == 1 and "is a HEIC file" in refused.stderr and "help: convert it" in refused.stderr


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_its_camera_says(orientation, pixels_of, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    picture(2, 24, 40).save(stream, "jpeg", exif=exif)
    (tmp_path / "photo.jpg").write_bytes(stream.getvalue())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(stream)))
    (own,) = pixels_of([tmp_path / "photo.jpg"], expected.shape)
    print(f"orientation {orientation}: largest difference {np.abs(own - expected).max():.0f} of 255")
    assert np.array_equal(own, expected)
