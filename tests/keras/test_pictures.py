"""Rare kinds of pictures, as Pillow decodes them; the common ones are in test_images.py."""

import io
import json
import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import pytest
from PIL import Image

HEIGHT, WIDTH = 24, 40
# From four colours to three by other arithmetic than Pillow's, and from 16 bits to 8 by the high byte: levels of 255.
ROUNDING = 1.0


def colours(mode="RGB"):
    """Smooth, so that what the decoders of JPEG may choose matters little."""
    coarse = np.random.default_rng(5).integers(0, 256, (4, 6, 3)).astype("uint8")
    return Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).convert(mode)


def grey_16():
    values = np.random.default_rng(7).integers(0, 65536, (HEIGHT, WIDTH)).astype("uint16")
    return Image.fromarray(values)


def expected(image):
    """What the picture means, in levels of 255 and three colours."""
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype("float64") / 257.0
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"), "float64")


def encode(image, ending, **settings):
    stream = io.BytesIO()
    image.save(stream, ending, **settings)
    return stream.getvalue()


def off(said):
    """A JPEG whose scan header says something else than that the scan is whole, which libjpeg warns of and ignores."""
    data = bytearray(encode(colours(), "JPEG", quality=95))
    header = data.index(b"\xff\xda")
    at = header + 5 + 2 * data[header + 4]
    assert data[at : at + 3] == bytes((0, 63, 0))
    data[at : at + 3] = bytes(said)
    return bytes(data)


OFF = {f"off_{last}_{bits}.jpg": (first, last, bits) for first, last, bits in ((0, 0, 0), (1, 63, 0), (0, 255, 0), (0, 63, 0x11))}
PICTURES = {
    **{name: lambda said=said: off(said) for name, said in OFF.items()},
    "bits_16.png": lambda: encode(grey_16(), "PNG"),
    "one_bit.png": lambda: encode(colours("1"), "PNG"),
    "cmyk.jpg": lambda: encode(colours("CMYK"), "JPEG", quality=95),
    "named_wrongly.jpg": lambda: encode(colours(), "PNG"),
}


@pytest.fixture(scope="session")
def identity(tmp_path_factory):
    """A model that returns its input, of any size."""
    model = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Activation("linear")])
    path = tmp_path_factory.mktemp("identity") / "identity.keras"
    model.save(path)
    return path


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_decoded_as_pillow_does(name, frostline, identity, tmp_path):
    data = PICTURES[name]()
    (tmp_path / name).write_bytes(data)
    wanted = expected(Image.open(io.BytesIO(data)))
    size = f"{wanted.shape[0]}x{wanted.shape[1]}"
    result = frostline.run(
        *("predict", identity, tmp_path / name, "-o", tmp_path / "out.npz"),
        *("--image-size", size, "--preprocess", "none"),
    )
    assert result.returncode == 0, result.stderr
    assert ("scan headers of 1 JPEGs are off" in result.stderr) == (name in OFF)
    difference = np.abs(np.load(tmp_path / "out.npz")["output_0"][0] - wanted)
    print(f"{name}: at most {difference.max():.2f} levels, {difference.mean():.3f} on average")
    assert difference.max() <= (ROUNDING if name in ("bits_16.png", "cmyk.jpg") else 0.0)


def test_what_is_left_out_is_counted_by_the_reason(frostline, tmp_path):
    """In training, evaluation and prediction; files that are odd are told, and not left out."""
    keras.utils.set_random_seed(2)
    layers = [
        keras.Input((HEIGHT, WIDTH, 3)),
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(4, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(3, "softmax"),
    ]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    for kind in ("a", "b"):
        (tmp_path / "data" / kind).mkdir(parents=True)
        for index in range(5):
            shade = Image.fromarray(np.full((HEIGHT, WIDTH, 3), 40 * index + 9 * (kind == "b"), "uint8"))
            shade.save(tmp_path / "data" / kind / f"{index}.png")
    (tmp_path / "data/a/off.jpg").write_bytes(off((0, 255, 0)))
    (tmp_path / "data/a/cut.jpg").write_bytes(off((0, 63, 0))[:-40])
    (tmp_path / "data/b/empty.png").write_bytes(b"")
    (tmp_path / "data/b/phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    counts = "2 are damaged and 1 are of a kind that is not read"
    trained = frostline.run("train", tmp_path / "model.keras", tmp_path / "data", "-o", tmp_path / "run", "--json")
    assert trained.returncode == 0, trained.stderr
    assert "2 of 14 images are damaged and 1 are of a kind that is not read" in trained.stderr
    record = json.loads(trained.stdout)
    assert record["images"][0] == 11
    assert {one["name"]: one["fault"] for one in record["skipped"]} == {
        "a/cut.jpg": "damaged", "b/empty.png": "damaged", "b/phone.heic": "kind",
    }  # fmt: skip
    evaluated = frostline.run("evaluate", tmp_path / "run", tmp_path / "data")
    assert f"of 14 images {counts}" in evaluated.stderr
    predicted = frostline.run("predict", tmp_path / "run", tmp_path / "data")
    assert predicted.returncode == 1 and f"3 images could not be read ({counts})" in predicted.stderr
    checked = frostline.done("check", tmp_path / "data")
    assert f"of these {counts}" in checked and "`a/off.jpg`" in checked
    for result in (trained, evaluated, predicted):
        assert "scan headers of 1 JPEGs are off" in result.stderr and "off.jpg`" in result.stderr
