"""Writes 1,000 JPEG photos of ten classes, 500 x 375 pixels each as ImageNet's are on average: smooth random pictures
whose colours tell the classes apart.

usage: make_photos.py FOLDER
"""

import pathlib
import sys

import numpy as np
from PIL import Image

CLASSES, PHOTOS, SIZE = 10, 1000, (500, 375)


def main(folder):
    random = np.random.default_rng(0)
    colours = random.uniform(60, 200, (CLASSES, 3))
    for index in range(PHOTOS):
        label = index % CLASSES
        coarse = colours[label] + random.normal(0, 45, (24, 32, 3))
        picture = Image.fromarray(np.clip(coarse, 0, 255).astype("uint8")).resize(SIZE, Image.Resampling.BICUBIC)
        fine = np.asarray(picture, "float32") + random.normal(0, 6, (SIZE[1], SIZE[0], 1))
        path = pathlib.Path(folder) / f"class_{label}" / f"{index:04}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.clip(fine, 0, 255).astype("uint8")).save(path, quality=90)


if __name__ == "__main__":
    main(*sys.argv[1:])
