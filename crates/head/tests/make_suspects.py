#!/usr/bin/env python3
"""Makes suspects.json: what cleanlab's confident learning finds in made-up probabilities.

Run: /tmp/head-venv/bin/pip install cleanlab numpy && /tmp/head-venv/bin/python crates/head/tests/make_suspects.py"""
import json
from pathlib import Path
import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.count import get_confident_thresholds
rng = np.random.default_rng(1)
cases = []
for rows, classes, noise in [(60, 3, .2), (80, 5, .1), (40, 2, .3)]:
    truth = np.arange(rows) % classes
    labels = np.where(rng.random(rows) < noise, (truth + 1 + rng.integers(0, classes - 1, rows)) % classes, truth)
    logits = np.eye(classes)[truth] * rng.uniform(0, 3, (rows, 1)) + rng.normal(size=(rows, classes)) * .6
    p = np.exp(logits); p = np.round(p / p.sum(1, keepdims=True), 5)
    p[:, -1] = 1 - p[:, :-1].sum(1)
    found = find_label_issues(labels, p, filter_by="confident_learning", return_indices_ranked_by=None, n_jobs=1)
    cases.append(dict(p=[round(v, 6) for v in p.ravel()], labels=labels.tolist(), classes=classes, found=np.flatnonzero(found).tolist(), thresholds=get_confident_thresholds(labels, p).tolist()))
Path(__file__).with_name("suspects.json").write_text(json.dumps(cases))
