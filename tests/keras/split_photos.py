"""Splits class folders of photos into OUT/train and OUT/test, by links.

usage: split_photos.py SOURCE OUT --train 10 --seed 0
"""

import argparse
import pathlib
import random


def split(source, out, train, seed):
    """`train` photos of each class, drawn by the seed, go to OUT/train/CLASS, the others to OUT/test."""
    draw = random.Random(seed)
    for group in sorted(path for path in pathlib.Path(source).iterdir() if path.is_dir()):
        photos = sorted(group.iterdir())
        draw.shuffle(photos)
        for part, chosen in (("train", photos[:train]), ("test", photos[train:])):
            folder = pathlib.Path(out) / part / group.name
            folder.mkdir(parents=True, exist_ok=True)
            for photo in chosen:
                (folder / photo.name).symlink_to(photo.resolve())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("out")
    parser.add_argument("--train", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    split(arguments.source, arguments.out, arguments.train, arguments.seed)
