"""What frostline writes loads in older versions of Keras 3 too: every golden model, models of Keras 1 and 2 whose layers have
names and settings that Keras 3 does not take, and a run.

The versions are made by `scripts/keras-versions 3.0.5 3.6.0`; those that are there are tested, the current one always. All four
that are promised: `scripts/keras-versions 3.0.5 3.3.3 3.6.0`, then this test.
"""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT

GOLDEN = ROOT / "tests/golden"
ENVIRONMENT = ROOT / ".venv-keras"
OLD = sorted(path.name for path in ENVIRONMENT.glob("3.*") if path.suffix != ".part") if ENVIRONMENT.exists() else []

# What no file can say to the older versions: they know the layer, but not with these settings; and layers that they take out of
# an `.h5` of any origin otherwise than out of a `.keras`.
MISSING = {
    "attention_masked": "Attention under a mask",
    "attention_cross": "queries and values of different widths",
    "resizing_padded": "a Resizing that pads",
    "rms_norm": "RMSNormalization",
    "conv_transpose_padded": "an `output_padding` of 0",
    # the current version writes the name of an operation into its settings too, without which it finds two of one name; the
    # older ones do not take it there, and have not all operations
    **{
        f"operations_{kind}_": "operations of `keras.ops` with settings"
        for kind in ("elementwise", "places", "products", "reductions")
    },
    "keras-2_15_0-functions": "operations of `keras.ops` with settings",
    "keras-2_15_0-attention": "a layer with settings as an activation",
}
MISSING_IN_H5 = {
    "concatenate_rows": "the axis of a Concatenate",
    "two_in_two_out": "the axis of a Concatenate",
    "softmax_rows": "the axis of a Softmax",
    "normalization_adapted": "the statistics of a Normalization",
}


def goldens():
    """Each once: the `.h5` files that lie beside a `.keras` file are the same models."""
    for path in sorted((GOLDEN / "keras").iterdir()) + sorted((GOLDEN / "old").iterdir()):
        is_model = path.suffix in (".keras", ".h5") and not path.name.endswith(".weights.h5")
        if is_model and (path.suffix == ".keras" or not path.with_suffix(".keras").exists()):
            yield path


@pytest.fixture(scope="session")
def written(frostline, tmp_path_factory):
    """All goldens as frostline writes them, in both formats, with the outputs that they had."""
    folder = tmp_path_factory.mktemp("written")
    refused = []
    for path in goldens():
        name = path.name.replace(".", "_")
        reference = path.with_suffix(".npz")
        for ending in ("keras", "h5"):
            out = folder / f"{name}_{ending}.{ending}"
            ran = frostline.run("convert", path, "-o", out)
            if ran.returncode != 0:
                refused.append((path.name, ran.stderr))
            elif reference.exists():
                shutil.copyfile(reference, out.with_suffix(".npz"))
    # the one setting that no Keras 3 has a name for is refused, by name, and operations in `.h5` files, where no Keras finds them
    known = ("hard_sigmoid of Keras 2", "Keras finds in no `.h5` file again")
    assert all(any(words in why for words in known) for _, why in refused), refused
    return folder


def loaded_by(version, folder):
    python, path = (sys.executable, None) if version is None else (ENVIRONMENT / "bin/python", ENVIRONMENT / version)
    environment = {**os.environ, **({"PYTHONPATH": str(path)} if path else {})}
    script = ROOT / "tests/keras/keras_loads.py"
    ran = subprocess.run([python, script, folder], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("version", [None, *OLD], ids=lambda version: version or "current")
def test_every_golden_model_loads_in(version, written):
    found = loaded_by(version, written)
    print(found["keras"], found["files"], "files")
    assert found["files"] > 180 and (version is None or found["keras"] == version)
    known = lambda name: (*MISSING, *(MISSING_IN_H5 if name.endswith(".h5") else ()))
    is_missing = lambda name: version is not None and name.startswith(known(name))
    assert {name: why for name, why in found["failed"].items() if not is_missing(name)} == {}


@pytest.mark.parametrize("version", [None, *OLD], ids=lambda version: version or "current")
def test_a_run_loads_in(version, frostline, tmp_path):
    """The textbook's model with a new head, and a chain that holds a Functional model."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "runs"
    folder.mkdir()
    model = GOLDEN / "keras/nested_in_sequential.keras"
    shape = np.load(GOLDEN / "keras/nested_in_sequential.npz")["input_0"].shape[1:]
    x = rng.random((24, *shape)).astype("float32")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=np.arange(24) % 2)
    frostline.done(
        *("train", model, tmp_path / "data.npz", "-o", tmp_path / "run", "--epochs", 1, "--preprocess", "none"),
        *("--no-cache", "--val", 0),
    )
    frostline.done("predict", tmp_path / "run", _saved(tmp_path / "x.npy", x[:4]), "-o", folder / "run.npz")
    outputs = np.load(folder / "run.npz")["output_0"]
    np.savez(folder / "run.npz", input_0=x[:4], output_0=outputs)
    shutil.copyfile(tmp_path / "run/model.keras", folder / "run.keras")
    assert loaded_by(version, folder)["failed"] == {}


def _saved(path, array):
    np.save(path, array)
    return path
