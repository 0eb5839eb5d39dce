"""Every golden model through `convert`, to each format: real Keras loads what frostline wrote and predicts
what the original does, and frostline reads its own files."""

import keras
import numpy as np
import pytest
from conftest import ROOT, relative

# The largest difference as a share of the largest output.
OUTPUT = 1e-4
GOLDEN = ROOT / "tests/golden/keras"
FILES = sorted(
    path
    for path in GOLDEN.iterdir()
    if path.suffix in (".keras", ".h5") and not path.name.endswith(".weights.h5")
)


def arrays(file, kind):
    found = []
    while (name := f"{kind}_{len(found)}") in file:
        found.append(file[name])
    return found


def predict(model, inputs):
    """The outputs as a list; Keras gives a list where there are several, and only there."""
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if len(model.outputs) > 1 else [outputs]
    return [keras.ops.convert_to_numpy(output) for output in outputs]


def scramble(model):
    for variable in model.variables:
        if variable.dtype == "float32":
            variable.assign(np.full(variable.shape, 0.5, "float32"))


def test_the_goldens_are_there():
    print(f"{len(FILES)} models of {len(list(GOLDEN.glob('*.npz')))} references")
    assert len(FILES) > 70


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_golden_model_comes_back_from_every_format(file, frostline, tmp_path):
    keras.backend.clear_session()
    reference = np.load(GOLDEN / f"{file.name.split('.')[0]}.npz")
    inputs, expected = arrays(reference, "input"), arrays(reference, "output")
    np.savez(
        tmp_path / "outputs.npz",
        **{n: reference[n] for n in reference if n.startswith(("input_", "output_"))},
    )

    def check(found, what):
        assert [array.shape for array in found] == [array.shape for array in expected]
        difference = max(relative(*pair) for pair in zip(found, expected, strict=True))
        print(f"{file.name} {what}: {difference:.1e}")
        assert difference <= OUTPUT, what

    for ending in "keras", "h5":
        out = tmp_path / f"out.{ending}"
        if ending == "h5" and file.name.startswith("operations_"):
            # Keras does not find its own operations again there
            refused = frostline.run("convert", file, "-o", out)
            assert refused.returncode == 1 and "save the model as `.keras`" in refused.stderr
            continue
        frostline.done("convert", file, "-o", out)
        check(predict(keras.models.load_model(out), inputs), f"-> .{ending} in Keras")
        own = frostline.json("verify", out, "--against", tmp_path / "outputs.npz")
        worst = max(entry["difference"] for entry in own["differences"])
        print(f"{file.name} -> .{ending} in frostline: {worst:.1e}")
        assert own["equal"] and len(own["differences"]) == len(expected)

    weights = tmp_path / "out.weights.h5"
    frostline.done("convert", file, "-o", weights)
    model = keras.models.load_model(file)
    scramble(model)
    model.load_weights(weights)
    check(predict(model, inputs), "-> .weights.h5 in Keras")

    scramble(model)
    model.save(tmp_path / "scrambled.keras")
    frostline.done(
        "convert", tmp_path / "scrambled.keras", "--weights", weights, "-o", tmp_path / "loaded.keras"
    )
    own = frostline.json("verify", tmp_path / "loaded.keras", "--against", tmp_path / "outputs.npz")
    assert own["equal"]


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.weights.h5")), ids=lambda file: file.name)
def test_weights_of_keras_load_onto_a_model(file, frostline, tmp_path):
    name = file.name.split(".")[0]
    reference = np.load(GOLDEN / f"{name}.npz")
    np.savez(
        tmp_path / "outputs.npz",
        **{n: reference[n] for n in reference if n.startswith(("input_", "output_"))},
    )
    model = keras.models.load_model(GOLDEN / f"{name}.keras")
    scramble(model)
    model.save(tmp_path / "scrambled.keras")
    frostline.done("convert", tmp_path / "scrambled.keras", "--weights", file, "-o", tmp_path / "loaded.h5")
    own = frostline.json("verify", tmp_path / "loaded.h5", "--against", tmp_path / "outputs.npz")
    print(f"{file.name}: {max(entry['difference'] for entry in own['differences']):.1e}")
    assert own["equal"]
