"""Rare kinds of pictures, as Pillow decodes them; the common ones are in test_images.py."""

import io
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


PICTURES = {
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
    frostline.done(
        *("predict", identity, tmp_path / name, "-o", tmp_path / "out.npz"),
        *("--image-size", size, "--preprocess", "none"),
    )
    difference = np.abs(np.load(tmp_path / "out.npz")["output_0"][0] - wanted)
    print(f"{name}: at most {difference.max():.2f} levels, {difference.mean():.3f} on average")
    assert difference.max() <= (ROUNDING if name in ("bits_16.png", "cmyk.jpg") else 0.0)
