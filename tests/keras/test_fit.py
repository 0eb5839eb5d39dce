"""What becomes of the shape of photos: squashed, cropped as torchvision does it, padded as Pillow does it."""

import json

import keras
import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageOps

from conftest import small_backbone  # sets the backend
from test_images import PIL, pictures, pixels_of  # noqa: F401 (fixtures)

# height and width: as the photos, wider, narrower, larger and smaller than they are
SHAPES = [(32, 32), (24, 61), (57, 20), (1, 90)]
# Scores of a graph in ONNX Runtime, whose averages of pixels may be rounded to another level.
SHARE = 1e-4


def cropped(image, shape, kernel):
    """torchvision's `Resize` and `CenterCrop`, for any shape: the side that is not decisive is rounded down."""
    (width, height), (tall, wide) = image.size, shape
    is_wide = width * tall >= height * wide
    size = (max(int(tall * width / height), wide), tall) if is_wide else (wide, max(int(wide * height / width), tall))
    left, top = round((size[0] - wide) / 2.0), round((size[1] - tall) / 2.0)
    return image.resize(size, kernel).crop((left, top, left + wide, top + tall))


def padded(image, shape, kernel):
    return ImageOps.pad(image, shape[::-1], kernel)


FITS = {"crop": cropped, "pad": padded}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("kernel", PIL)
@pytest.mark.parametrize("fit", FITS)
def test_pixels_are_those_of_pillow(fit, kernel, shape, pixels_of, pictures):  # noqa: F811
    own = pixels_of(pictures, (*shape, 3), "--resize", kernel, "--fit", fit)
    expected = np.stack([np.asarray(FITS[fit](Image.open(path), shape, PIL[kernel])) for path in pictures])
    print(f"{fit} by {kernel} to {shape}: largest difference {np.abs(own - expected).max():.0f} of 255")
    assert np.array_equal(own, expected)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Wide and tall photos of two classes, told by the colour of their middle."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(3)
    for name, colour in (("blue", (20, 40, 200)), ("red", (200, 40, 20))):
        (folder / name).mkdir()
        for index in range(6):
            size = (90, 40) if index % 2 else (37, 80)
            pixels = random.integers(0, 256, (size[1], size[0], 3), dtype="uint8")
            pixels[size[1] // 4 : -size[1] // 4, size[0] // 4 : -size[0] // 4] = colour
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return small_backbone(tmp_path_factory.mktemp("backbone"), 8, 8)


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("kernel", ["tf-bilinear", "pil-bilinear"])
def test_a_run_predicts_as_it_was_trained_and_onnx_runtime_does_so_from_pixels(
    fit, kernel, frostline, backbone, photos, tmp_path
):
    record = frostline.json("train", backbone, photos, "-o", tmp_path / "run", "--fit", fit, "--resize", kernel)
    assert record["recipe"]["fit"] == fit and record["solved"]["views"] == ["own"]
    assert frostline.json("inspect", tmp_path / "run")["fit"] == fit
    frostline.done("convert", tmp_path / "run", "-o", tmp_path / "pixels.onnx", "--embed-preprocessing")
    session = onnxruntime.InferenceSession(tmp_path / "pixels.onnx", providers=["CPUExecutionProvider"])
    files = sorted(photos.glob("*/*"))
    lines = frostline.done("predict", tmp_path / "run", *files, "--json").splitlines()
    squashed = frostline.run("predict", tmp_path / "run", *files, "--json", "--fit", "squash")
    assert f"with them it was --fit {fit}" in squashed.stderr
    model = keras.saving.load_model(tmp_path / "run/model.keras")
    for path, line, other in zip(files, lines, squashed.stdout.splitlines(), strict=True):
        scores, image = json.loads(line)["scores"], Image.open(path)
        found = session.run(None, {session.get_inputs()[0].name: np.asarray(image)[None]})[0][0][0]
        # ONNX Runtime rounds averages of pixels otherwise than Pillow, by one of 255 at most
        assert abs(found - scores[1]) < (SHARE if kernel == "tf-bilinear" else 0.01), path
        assert json.loads(other)["scores"] != scores
        if kernel == "pil-bilinear":
            pixels = np.asarray(FITS[fit](image, (32, 32), Image.BILINEAR), "float32")[None]
            assert abs(model.predict(pixels, verbose=0)[0][0] - scores[1]) < SHARE


def test_features_of_another_fit_are_not_taken_from_the_cache(frostline, backbone, photos, tmp_path):
    def estimates(*flags):
        found = {}
        for fit in ("squash", "crop", "pad"):
            run = tmp_path / f"{fit}{len(flags)}"
            frostline.done("train", backbone, photos, "-o", run, "--fit", fit, "--quiet", *flags)
            found[fit] = (run / "left-out.csv").read_text()
        return found

    kept = estimates("--cache", tmp_path / "cache")
    assert kept == estimates("--no-cache") and len(set(kept.values())) == 3


def test_two_fits_are_refused(frostline, backbone, photos):
    result = frostline.run("predict", backbone, photos, "--resize", "crop", "--fit", "pad")
    assert result.returncode == 2 and "--fit" in result.stderr
