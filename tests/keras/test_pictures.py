"""Every kind of picture, as Pillow decodes it: colours, grey, alpha, palettes, 16 bits, CMYK, EXIF orientation."""

import io
import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import pytest
from PIL import Image, ImageOps

HEIGHT, WIDTH = 24, 40
# Decoders of JPEG round differently (inverse transform, upsampling of colours): levels of 255, at most and on average.
JPEG_MOST, JPEG_MEAN = 6.0, 0.6


def colours(mode="RGB"):
    """Smooth, so that what the decoders of JPEG may choose matters little."""
    coarse = np.random.default_rng(5).integers(0, 256, (4, 6, 3)).astype("uint8")
    return Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).convert(mode)


def palette():
    return colours().quantize(32)


def with_alpha():
    image = colours("RGBA")
    image.putalpha(Image.fromarray(np.random.default_rng(6).integers(0, 256, (HEIGHT, WIDTH)).astype("uint8")))
    return image


def grey_16():
    values = np.random.default_rng(7).integers(0, 65536, (HEIGHT, WIDTH)).astype("uint16")
    return Image.fromarray(values)


def expected(image):
    """What the picture means, in levels of 255 and three colours."""
    if image.mode.startswith("I;16"):
        grey = np.asarray(image).astype("float64") / 257.0
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB"), "float64")


def encode(image, ending, **settings):
    stream = io.BytesIO()
    image.save(stream, ending, **settings)
    return stream.getvalue()


def rotated(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(colours(), "JPEG", quality=95, subsampling=0, exif=exif)


PICTURES = {
    "colours.png": lambda: encode(colours(), "PNG"),
    "grey.png": lambda: encode(colours("L"), "PNG"),
    "alpha.png": lambda: encode(with_alpha(), "PNG"),
    "grey_alpha.png": lambda: encode(with_alpha().convert("LA"), "PNG"),
    "palette.png": lambda: encode(palette(), "PNG"),
    "bits_16.png": lambda: encode(grey_16(), "PNG"),
    "one_bit.png": lambda: encode(colours("1"), "PNG"),
    "colours.jpg": lambda: encode(colours(), "JPEG", quality=95),
    "progressive.jpg": lambda: encode(colours(), "JPEG", quality=95, progressive=True),
    "grey.jpg": lambda: encode(colours("L"), "JPEG", quality=95),
    "cmyk.jpg": lambda: encode(colours("CMYK"), "JPEG", quality=95),
    **{f"exif_{orientation}.jpg": lambda o=orientation: rotated(o) for orientation in range(1, 9)},
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
    if data.startswith(b"\x89PNG"):
        # 16 bits are brought to 8 by rounding or by their high byte
        assert difference.max() <= (1.0 if "16" in name else 0.0)
    else:
        assert difference.max() <= JPEG_MOST and difference.mean() <= JPEG_MEAN
