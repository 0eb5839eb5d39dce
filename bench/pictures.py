"""Pictures as the records store them, so that no decoder makes something else of them."""

# The networks read 160 and 224 pixels, and no one shall time the decoding.
LARGEST = 512


def opened(path):
    """A picture in RGB, on white where it is transparent, no larger than LARGEST."""
    from PIL import Image  # who reads photos where they are needs no package

    picture = Image.open(path).convert("RGBA")
    picture.thumbnail((LARGEST, LARGEST), Image.BOX)
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture)
    return white.convert("RGB")
