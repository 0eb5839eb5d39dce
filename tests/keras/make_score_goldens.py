"""Writes the golden values of the scores of features: `tests/golden/scores.json`.

LogME, H-score, LEEP and NCE by the formulas of their papers' published code, the leave-one-out probe by fitting it again
without each image.

    python tests/keras/make_score_goldens.py tests/golden/scores.json
"""

import argparse
import json
import pathlib

import numpy as np
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import Ridge

CLASSES = 3
SOURCE_CLASSES = 5


def logme(x, y):
    """You et al. 2021, arXiv 2110.10545, algorithm 3."""
    n, d = x.shape
    u, s, _ = np.linalg.svd(x, full_matrices=False)
    sigma = s**2
    evidences = []
    for c in range(y.max() + 1):
        t = (y == c).astype(float)
        z = (u.T @ t) ** 2
        rest = t @ t - z.sum()
        alpha = beta = 1.0
        for _ in range(11):
            ratio = alpha / beta
            gamma = (sigma / (sigma + ratio)).sum()
            m2 = (sigma * z / (ratio + sigma) ** 2).sum()
            r2 = (z / (1 + sigma / ratio) ** 2).sum() + rest
            alpha, beta = gamma / (m2 + 1e-5), (n - gamma) / (r2 + 1e-5)
            if abs(alpha / beta - ratio) / ratio <= 1e-3:
                break
        log = d / 2 * np.log(alpha) + n / 2 * np.log(beta) - np.log(alpha + beta * sigma).sum() / 2
        evidences.append((log - beta / 2 * r2 - alpha / 2 * m2 - n / 2 * np.log(2 * np.pi)) / n)
    return np.mean(evidences)


def class_means(x, y):
    return np.stack([x[y == y[i]].mean(0) for i in range(len(x))])


def h_score(x, y):
    """Ibrahim, Ponomareva and Mazumder 2021."""
    x = x - x.mean(0)
    found = LedoitWolf().fit(x)
    between = np.cov(class_means(x, y), rowvar=False)
    return np.trace(np.linalg.pinv(found.covariance_, rcond=1e-15) @ ((1 - found.shrinkage_) * between))


def leep(p, y):
    """Nguyen et al. 2020."""
    joint = np.stack([p[y == c].sum(0) for c in range(y.max() + 1)]) / len(p)
    given = joint / joint.sum(0)
    return np.mean(np.log(np.sum(p * given[y], axis=1)))


def nce(p, y):
    """Tran, Nguyen and Hassner 2019."""
    z = p.argmax(1)
    total = 0.0
    for s in np.unique(z):
        for c in range(y.max() + 1):
            both = np.mean((z == s) & (y == c))
            if both > 0:
                total += both * np.log(both / np.mean(z == s))
    return total


def standardised(x):
    scale = x.std(0)
    return (x - x.mean(0)) / np.where(scale > 0, scale, 1)


def left_out(x, y, strength):
    """Predictions of each image by a probe that was fitted on all others, of class indicators."""
    x = standardised(x)
    squares = np.linalg.svd(x, compute_uv=False) ** 2
    squares = squares[squares > 1e-12 * squares.max()]
    targets = np.eye(y.max() + 1)[y]
    predictions = np.zeros_like(targets)
    for i in range(len(x)):
        rest = np.arange(len(x)) != i
        probe = Ridge(alpha=strength * squares.mean(), solver="svd").fit(x[rest], targets[rest])
        predictions[i] = probe.predict(x[i : i + 1])[0]
    return {
        "strength": strength,
        "error": float(np.mean((targets - predictions) ** 2)),
        "accuracy": float(np.mean(predictions.argmax(1) == y)),
    }


def case(name, seed, images, width):
    random = np.random.default_rng(seed)
    y = random.permutation(np.arange(images) % CLASSES)
    directions = random.normal(size=(CLASSES, width))
    x = (random.normal(size=(images, width)) + 0.8 * directions[y] + 0.5).astype(np.float32)
    logits = random.normal(size=(images, SOURCE_CLASSES)) + 1.5 * np.eye(SOURCE_CLASSES)[y]
    p = np.exp(logits)
    p = (p / p.sum(1, keepdims=True)).astype(np.float32)
    wide = x.astype(np.float64)
    probes = [left_out(wide, y, 10 ** (e / 4)) for e in range(-16, 17)]
    return {
        "name": name,
        "width": width,
        "features": x.flatten().tolist(),
        "labels": y.tolist(),
        "predictions": p.flatten().tolist(),
        "logme": float(logme(wide, y)),
        "h_score": float(h_score(wide, y)),
        "leep": float(leep(p.astype(np.float64), y)),
        "nce": float(nce(p, y)),
        "probe": min(probes, key=lambda probe: probe["error"]),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=pathlib.Path)
    cases = [
        case("more images than features", 1, 40, 6),
        case("more features than images", 2, 15, 24),
    ]
    text = json.dumps({"classes": CLASSES, "source_classes": SOURCE_CLASSES, "cases": cases})
    parser.parse_args().out.write_text(text + "\n")


if __name__ == "__main__":
    main()
