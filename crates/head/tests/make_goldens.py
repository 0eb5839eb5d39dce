#!/usr/bin/env python3
"""Makes goldens.json: optima of scikit-learn's LogisticRegression on softly standardised features.

Run: python3 -m venv /tmp/head-venv && /tmp/head-venv/bin/pip install scikit-learn numpy
     /tmp/head-venv/bin/python crates/head/tests/make_goldens.py"""
import json, warnings
from pathlib import Path
import numpy as np
from sklearn.linear_model import LogisticRegression
warnings.filterwarnings("ignore")
rng = np.random.default_rng(0)

def standardised(x, blocks, w):
    w = w / w.sum()
    mu = w @ x
    s = np.sqrt(w @ (x - mu) ** 2)
    out, at = [], 0
    for b in blocks:
        sb = s[at:at + b]
        z = (x[:, at:at + b] - mu[at:at + b]) / (sb + 0.5 * sb.mean())
        out.append(z / np.sqrt(w @ (z ** 2).sum(1)) / np.sqrt(len(blocks)))
        at += b
    return np.hstack(out)

def optimum(z, y, w, c):
    m = LogisticRegression(C=1 / (w.sum() * c), tol=1e-12, max_iter=100000).fit(z, y, sample_weight=w)
    p = m.predict_proba(z)
    loss = -(w * np.log(p[np.arange(len(y)), y])).sum() / w.sum() + c / 2 * (m.coef_ ** 2).sum()
    return m, p, loss

cases = []
for rows, blocks, classes, c, weighted in [(24, [20, 12], 3, 1e-2, False), (24, [20, 12], 3, 1e-3, True), (70, [6], 4, 1e-3, False), (70, [4, 2], 4, 1e-4, True)]:
    width = sum(blocks)
    y = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)])
    x = np.round(rng.normal(size=(rows, width)) * rng.uniform(.2, 3, width) + rng.normal(size=(classes, width))[y] * .7 + 1, 3).astype(np.float32)
    w = np.round(rng.uniform(.2, 3, rows), 2) if weighted else np.ones(rows)
    m, p, loss = optimum(standardised(x.astype(float), blocks, w), y, w, c)
    cases.append(dict(x=[float(f"{v:.3f}") for v in x.ravel()], blocks=blocks, y=y.tolist(), classes=classes, c=c, weights=w.tolist() if weighted else None, loss=loss, p=[round(v, 7) for v in p.ravel()]))
# labels: a binary regression each
rows, blocks = 40, [6]
x = np.round(rng.normal(size=(rows, 6)), 3).astype(np.float32)
y = (x[:, :3] + rng.normal(size=(rows, 3)) > .3).astype(int)
z = standardised(x.astype(float), blocks, np.ones(rows))
c = 1e-2
p = np.stack([LogisticRegression(C=1 / (rows * c), tol=1e-12, max_iter=100000).fit(z, y[:, j]).predict_proba(z)[:, 1] for j in range(3)], 1)
labels = dict(x=[float(f"{v:.3f}") for v in x.ravel()], blocks=blocks, y=y.ravel().tolist(), outputs=3, c=c, p=[round(v, 7) for v in p.ravel()])
Path(__file__).with_name("goldens.json").write_text(json.dumps(dict(classes=cases, labels=labels)))
