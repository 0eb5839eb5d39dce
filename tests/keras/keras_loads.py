"""Loads files in whatever version of Keras is first on PYTHONPATH, and compares what they predict.

usage: python keras_loads.py FOLDER      FOLDER holds NAME.keras and NAME.h5, and for each the NAME.npz that it answers to

Prints one JSON line: {"keras": version, "files": count, "failed": {file: why}}.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import keras
import numpy as np

# The largest difference as a share of the largest output.
OUTPUT = 1e-4


def arrays(file, kind):
    return [file[f"{kind}_{index}"] for index in range(sum(name.startswith(f"{kind}_") for name in file))]


def check(path):
    model = keras.saving.load_model(path, compile=False)
    reference = path.with_suffix(".npz")
    if not reference.exists():
        return None
    file = np.load(reference)
    inputs, expected = arrays(file, "input"), arrays(file, "output")
    found = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    found = list(found) if isinstance(found, (list, tuple)) else [found]
    worst = max(
        np.abs(np.asarray(one) - other).max() / np.abs(other).max() for one, other in zip(found, expected, strict=True)
    )
    return None if worst <= OUTPUT else f"its outputs differ by {worst:.1e} of the largest"


def main(folder):
    files = sorted(path for path in pathlib.Path(folder).iterdir() if path.suffix in (".keras", ".h5"))
    failed = {}
    for path in files:
        keras.backend.clear_session()
        try:
            why = check(path)
        except Exception as error:
            why = f"{type(error).__name__}: {' '.join(str(error).split())[-400:]}"
        if why:
            failed[path.name] = why
    print(json.dumps({"keras": keras.__version__, "files": len(files), "failed": failed}))


if __name__ == "__main__":
    main(sys.argv[1])
