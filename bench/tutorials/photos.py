"""The splits of photos that stand in for those of the tutorials: FOLDER/TUTORIAL/split_N.csv.

usage: photos.py FOLDER [TUTORIAL...] [--splits N]     (after scripts/fetch-data, for `pytorch` with `stamps clipart`)

The tutorials: keras, tensorflow, pytorch. A split is a random share of each class, in a CSV with the header `path,label,split`,
whose paths are relative to it. frostline and the tutorials' recipes read the same files. Food needs no package; drawings need
Pillow.
"""

import argparse
import csv
import os
import pathlib
import random
import shutil
import sys

# not resolved, so that paths stay short where data/ is a link
BENCH = pathlib.Path(__file__).absolute().parents[1]
DATA = BENCH.parent / "data"
sys.path.insert(0, str(BENCH))

from pictures import opened  # noqa: E402

TUTORIALS = ["keras", "tensorflow", "pytorch"]
# Folders of each class, and the share of them to train on. Food has the letters of its source's groups.
FOOD = {"fish": ["ifct/P"], "fruit": ["ifct/E"], "greens": ["ifct/C"], "spices": ["ifct/G"], "vegetables": ["ifct/D"]}
CLASSES = {
    "keras": {label: FOOD[label] for label in ("fruit", "vegetables")},
    "tensorflow": FOOD,
    "pytorch": {label: [f"stamps/{label}", f"clipart/{label}"] for label in ("birds", "mammals")},
}
SHARES = {"keras": 0.6, "tensorflow": 0.8, "pytorch": 0.4}
SPLITS = 5


def files(source, images):
    """The files of a folder of data/: photos where they are, drawings as copies without transparency."""
    if source.startswith("ifct/"):
        return sorted((DATA / source).iterdir())
    out = images / source
    if not out.exists():
        unfinished = out.with_name(f"{out.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for path in sorted((DATA / source).iterdir()):
            opened(path).save(unfinished / f"{path.stem}.png")
        unfinished.rename(out)
    return sorted(out.iterdir())


def write(folder, tutorial, splits):
    """The folder of a tutorial with so many splits."""
    out = folder.absolute() / tutorial
    out.mkdir(parents=True, exist_ok=True)
    found = {label: [file for one in of for file in files(one, out / "images")] for label, of in CLASSES[tutorial].items()}
    for split in range(splits):
        draw = random.Random(split)
        with open(out / f"split_{split}.csv", "w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(["path", "label", "split"])
            for label, own in found.items():
                own, count = draw.sample(own, len(own)), round(SHARES[tutorial] * len(own))
                parts = [(path, "train") for path in own[:count]] + [(path, "test") for path in own[count:]]
                table.writerows([os.path.relpath(path, out), label, part] for path, part in parts)
    return out


def rows(table):
    """The paths and classes, as indices, of the photos of a split to train on, and of its tests."""
    with open(table, newline="") as file:
        lines = list(csv.DictReader(file))
    names = sorted({line["label"] for line in lines})
    parts = ([line for line in lines if line["split"] == part] for part in ("train", "test"))
    return [([str(table.parent / line["path"]) for line in part], [names.index(line["label"]) for line in part]) for part in parts]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("tutorials", nargs="*")
    parser.add_argument("--splits", type=int, default=SPLITS)
    own = parser.parse_args()
    if unknown := set(own.tutorials) - set(TUTORIALS):
        parser.error(f"no tutorial is called `{unknown.pop()}`; there are {', '.join(TUTORIALS)}")
    for tutorial in own.tutorials or TUTORIALS:
        write(own.folder, tutorial, own.splits)


if __name__ == "__main__":
    main()
