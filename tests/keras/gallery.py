"""Every architecture of keras.applications: real Keras saves it with random weights, and frostline loads it, computes with
it, trains it and hands it back.

    python tests/keras/gallery.py docs/gallery.md [NAME...]        (all of them without names)

A row holds differences: of outputs the largest as a share of the largest output, of gradients and of weight changes in
relative norm. An activation that lies nearer to the kink of a ReLU than the rounding of float32 passes its gradient on in one
implementation and not in the other; with one pixel left in the upper layers a single one shows. Where a difference is too large
the distances from Keras in float64 are given, of frostline and (in brackets) of Keras in float32; and behind a bar the
difference of the same model with swish in place of its ReLUs. Either the first is at most twice the second, or the last is
within the limit.
"""

import dataclasses
import functools
import json
import multiprocessing
import pathlib
import sys
import tempfile
import time

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parent))

import conftest  # sets the backend
import keras
import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)

from conftest import relative
from test_step_parity import distance, is_statistic, leaves, norms, pictures

OUTPUT, GRADIENT, CHANGE = 1e-4, 1e-3, 1e-3
# How many times farther from float64 than Keras in float32: both are drawn by chance.
NOISE = 2.0
CLASSES, RATE = 10, 1e-3
# Statistics of a batch want more of them.
IMAGES, IMAGES_WITHOUT_NORMS = 16, 4
NAMES = sorted(name for name in dir(keras.applications) if name[0].isupper())
# The smallest images that Keras accepts, where they are larger than 32 pixels.
SIZES = {"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71}


@dataclasses.dataclass
class Row:
    """What was found for one architecture with or without its top."""

    name: str
    top: bool
    parameters: int = 0
    layers: int = 0
    cuts: int = 0
    load_ms: float = 0.0
    forward: float = np.nan
    gradient: float = np.nan
    gradient_noise: float | None = None
    smooth_gradient: float | None = None
    step: float = np.nan
    step_noise: float | None = None
    smooth_step: float | None = None
    round_trip: str = ""

    def holds(self):
        near = lambda found, noise, smooth, limit: (
            np.isnan(found) or found < max(limit, NOISE * (noise or 0)) or (smooth is not None and smooth < limit)
        )
        return (
            self.forward < OUTPUT
            and near(self.gradient, self.gradient_noise, self.smooth_gradient, GRADIENT)
            and near(self.step, self.step_noise, self.smooth_step, CHANGE)
            and self.round_trip == "equal"
        )

    def cells(self):
        kinks = lambda noise, smooth: "" if smooth is None else f" ({noise:.0e}) | {smooth:.0e}".replace("|", "\\|")
        shown = lambda found, *more: "–" if np.isnan(found) else f"{found:.0e}" + kinks(*more)
        return [
            self.name if self.top else f"{self.name}, no top",
            f"{self.parameters / 1e6:.1f} M",
            str(self.layers),
            str(self.cuts),
            f"{self.load_ms:.0f} ms",
            f"{self.forward:.0e}",
            shown(self.gradient, self.gradient_noise, self.smooth_gradient),
            shown(self.step, self.step_noise, self.smooth_step),
            self.round_trip,
        ]


HEADER = ["architecture", "parameters", "layers", "cuts", "load", "forward", "gradient", "step", "round trip"]


def table(rows):
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def build(name, top):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    size = SIZES.get(name, 32)
    settings = {"classes": CLASSES} if top else {}
    model = getattr(keras.applications, name)(
        weights=None, include_top=top, input_shape=(size, size, 3), **settings
    )
    for _, layer in leaves(model):
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0  # drawn differently by everyone
    return model


def is_layer_scale(layer):
    """Its variable has no name."""
    return type(layer).__name__ == "LayerScale"


def enliven(model, x, random):
    """Scales and statistics as after a training: those of data of the kind, a layer at a time, without which the signal dies
    out; and nothing that is 0 or 1 by chance."""
    for _, layer in leaves(model):
        for variable in layer.weights:
            if is_layer_scale(layer):
                variable.assign(random.uniform(0.1, 0.5, variable.shape))
            elif variable.name == "gamma":
                variable.assign(random.uniform(0.7, 1.3, variable.shape))
            elif variable.name == "beta":
                # with most of a normalised signal above zero: random networks that bend it in the middle are chaotic
                variable.assign(random.normal(0.5, 0.1, variable.shape))
            elif variable.name == "bias":
                variable.assign(random.normal(0, 0.1, variable.shape))
    for layer in branches(model):
        # as training leaves them: branches of full size amplify rounding from block to block
        layer.trainable_weights[0].assign(0.2 * layer.trainable_weights[0])
    if isinstance(model.layers[-1], keras.layers.Dense):
        model.layers[-1].kernel.assign(0.3 * model.layers[-1].kernel)
    normalised = norms(model)
    for layer in normalised:
        layer.call = functools.partial(calibrated, layer)
    if normalised:
        model(x, training=False)
    for layer in normalised:
        del layer.call


def calibrated(layer, x, training=None, mask=None):
    """Inference with the statistics of `x`, which are kept."""
    mean, variance = keras.ops.moments(x, axes=[axis for axis in range(x.ndim) if axis != layer.axis % x.ndim])
    # small images leave some channels without variance
    variance = keras.ops.maximum(variance, 0.5 * keras.ops.mean(variance))
    layer.moving_mean.assign(mean)
    layer.moving_variance.assign(variance)
    return type(layer).call(layer, x, training=False)


def trainable(model):
    return {
        f"{path}/{name_of(layer, variable)}": variable
        for path, layer in leaves(model)
        for variable in layer.trainable_weights
    }


def branches(model):
    """The last layer with weights of each residual branch."""
    for _, layer in leaves(model):
        if isinstance(layer, keras.layers.Add):
            ends = [node.operation for node in layer._inbound_nodes[0].parent_nodes]
            ends = [
                end._inbound_nodes[0].parent_nodes[0].operation if isinstance(end, keras.layers.Dropout) else end
                for end in ends
            ]
            yield from [end for end in ends if end.trainable_weights][-1:]


def name_of(layer, variable):
    return "gamma" if is_layer_scale(layer) else variable.name


def key_of(path, layer, index, variable):
    return f"{path}/{index}/{name_of(layer, variable)}"


def weights_of(model):
    return {
        key_of(path, layer, index, variable): variable.numpy()
        for path, layer in leaves(model)
        for index, variable in enumerate(layer.weights)
    }


def gradients(model, x, y):
    """Loss and gradients, with BatchNormalization's moving statistics."""
    variables = trainable(model)
    with tf.GradientTape() as tape:
        output = model(x, training=False)
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, output))
    found = tape.gradient(loss, [variable.value for variable in variables.values()])
    return float(loss), {path: np.asarray(value) for path, value in zip(variables, found)}


def stepped(model, x, y):
    """The weights after one step of SGD, with the batch's statistics."""
    model.compile(keras.optimizers.SGD(RATE), "sparse_categorical_crossentropy", jit_compile=False, run_eagerly=True)
    model.train_on_batch(x, y)
    return weights_of(model)


def norm_of(parts):
    return np.sqrt(sum(float((np.asarray(part, "f8") ** 2).sum()) for part in parts))


def apart(found, expected):
    """The norm of the difference of all gradients as a share of theirs."""
    return norm_of(found[path] - value for path, value in expected.items()) / norm_of(expected.values())


def fill(model, weights):
    for path, layer in leaves(model):
        for index, variable in enumerate(layer.weights):
            variable.assign(weights[key_of(path, layer, index, variable)].astype(variable.dtype))


class InDoubles:
    """The same model in float64: what Keras computes without rounding, nearly."""

    def __init__(self, name, weights):
        keras.backend.set_floatx("float64")
        self.model = build(name, True)
        fill(self.model, weights)

    def __enter__(self):
        return self.model

    def __exit__(self, *_):
        keras.backend.set_floatx("float32")


def examine(name, top, frostline, folder):
    """The row of an architecture."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(1)
    model = build(name, top)
    shape = model.input_shape[1:]
    scale = lambda x: (60 * x + 128).clip(0, 255).astype("float32")  # most of them scale images themselves
    enliven(model, scale(pictures(random, 64, shape)), random)
    images = IMAGES if norms(model) else IMAGES_WITHOUT_NORMS
    x, y = scale(pictures(random, images, shape)), random.integers(0, CLASSES, images)
    row = Row(name, top, parameters=model.count_params(), layers=len(model.layers))
    for ending in "keras", "h5":
        model.save(folder / f"model.{ending}")
    model.save_weights(folder / "model.weights.h5")

    expected = np.asarray(model(x, training=False))
    inspected = frostline.json("inspect", folder / "model.keras")
    assert inspected["load"]["unused"] == []
    row.cuts = sum(1 for layer in inspected["layers"] if layer["cut"])
    clock = time.perf_counter()
    found = [frostline.outputs(folder / "model.keras", x, folder)]
    row.load_ms = 1000 * (time.perf_counter() - clock)
    found.append(frostline.outputs(folder / "model.h5", x, folder))
    frostline.done("convert", folder / "model.keras", "--weights", folder / "model.weights.h5", "-o", folder / "w.h5")
    found.append(frostline.outputs(folder / "w.h5", x, folder))
    row.forward = max(relative(output, expected) for output in found)
    row.round_trip = returned(row, model, expected, x, frostline, folder)
    if top:
        learn(row, name, model, weights_of(model), x, y, frostline, folder)
    return row


def learn(row, name, model, before, x, y, frostline, folder):
    """Gradients and a step, beside those of Keras."""
    loss, expected = gradients(model, x, y)
    row.gradient = own_gradients(frostline, folder, x, y, loss, expected)
    own_step = own_weights(frostline, folder, x, y)
    theirs = stepped(model, x, y)
    row.step = changes_apart(own_step, theirs, before)
    if row.gradient < GRADIENT and row.step < CHANGE:
        return
    with InDoubles(name, before) as exact:
        _, true = gradients(exact, x.astype("f8"), y)
        row.gradient_noise = apart(expected, true)
        row.gradient = own_gradients(frostline, folder, x, y, loss, true)
        true = stepped(exact, x.astype("f8"), y)
        row.step_noise = changes_apart(theirs, true, before)
        row.step = changes_apart(own_step, true, before)
    model = smooth(name, before)
    model.save(folder / "model.keras")
    loss, expected = gradients(model, x, y)
    row.smooth_gradient = own_gradients(frostline, folder, x, y, loss, expected)
    row.smooth_step = changes_apart(own_weights(frostline, folder, x, y), stepped(model, x, y), before)


def changes_apart(found, expected, before):
    return distance(found, expected, before, [path for path in expected if not is_statistic(path)])


def smooth(name, weights):
    """The same model with swish in place of its ReLUs."""

    def clone(layer):
        config = layer.get_config()
        activation = getattr(layer, "activation", None)
        if isinstance(layer, keras.layers.ReLU):
            return keras.layers.Activation("swish", name=layer.name)
        if activation is keras.activations.relu:
            config["activation"] = "swish"
        return type(layer).from_config(config)

    model = keras.models.clone_model(build(name, True), clone_function=clone)
    fill(model, weights)
    return model


def own_gradients(frostline, folder, x, y, loss, expected):
    reference = {f"grad/{path}": value.astype("float32") for path, value in expected.items()}
    np.savez(folder / "gradients.npz", input_0=x, target_0=y.astype("float32"), loss=np.float32(loss), **reference)
    result = frostline.run("verify", folder / "model.keras", "--against", folder / "gradients.npz", "--json")
    assert result.stdout, result.stderr
    found = {entry["name"].removeprefix("grad/"): entry["difference"] for entry in json.loads(result.stdout)["differences"]}
    assert found["loss"] < 1e-4, f"the losses differ by {found['loss']}"
    # `verify` gives shares of each gradient's norm, or of a thousandth of all norms where that is more
    norms = {path: norm_of([value]) for path, value in expected.items()}
    shares = [found[path] * max(norm, 1e-3 * sum(norms.values())) for path, norm in norms.items()]
    return norm_of(shares) / norm_of(expected.values())


def own_weights(frostline, folder, x, y):
    np.savez(folder / "data.npz", x_train=x, y_train=y)
    run = pathlib.Path(tempfile.mkdtemp(dir=folder)) / "run"
    frostline.done(
        *("train", folder / "model.keras", folder / "data.npz", "-o", run, "--head", "keep"),
        *("--freeze", "none", "--optimizer", "sgd", "--lr", RATE, "--batch", len(x), "--epochs", 1),
        *("--no-shuffle", "--val", 0, "--preprocess", "none", "--no-cache"),
    )
    return weights_of(keras.models.load_model(run / "model.keras"))


def returned(row, model, expected, x, frostline, folder):
    """Whether Keras loads what frostline writes, with the same bits: `.keras` with the top, `.h5` without."""
    ending = "keras" if row.top else "h5"
    frostline.done("convert", folder / f"model.{ending}", "-o", folder / f"back.{ending}")
    # `.h5` files do not say where these are
    own = {type(layer).__name__: type(layer) for layer in model.layers if "applications" in type(layer).__module__}
    back = keras.models.load_model(folder / f"back.{ending}", custom_objects=own)
    same = [np.array_equal(a, b) for a, b in zip(model.get_weights(), back.get_weights(), strict=True)]
    if not all(same):
        return f"{same.count(False)} weights differ"
    output = relative(np.asarray(back(x, training=False)), expected)
    return "equal" if output < 1e-6 else f"outputs differ by {output:.0e}"


def examined(name, tops=(True, False)):
    """The rows of an architecture, with its top and without."""
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        frostline = conftest.Frostline(pathlib.Path(cache))
        for top in tops:
            with tempfile.TemporaryDirectory() as folder:
                try:
                    rows.append(examine(name, top, frostline, pathlib.Path(folder)))
                except Exception as error:  # the others are examined all the same
                    rows.append(Row(name, top, round_trip=f"{type(error).__name__}: {error}"[:300]))
    return rows


def all_rows(names, tell=lambda row: None, tops=(True, False)):
    """Two architectures at a time: what Keras does here op by op takes one core."""
    # a process each, since Keras never gives back the memory of a model
    with multiprocessing.get_context("spawn").Pool(2, maxtasksperchild=1) as pool:
        rows = []
        for own in pool.imap(functools.partial(examined, tops=tops), names, chunksize=1):
            rows += own
            for row in own:
                tell(row)
        return rows


def main(document, *names):
    show = lambda row: print("| " + " | ".join(row.cells()) + f" | {'holds' if row.holds() else 'FAILS'}", flush=True)
    rows = all_rows(names or NAMES, show)
    path = pathlib.Path(document)
    text = path.read_text() if path.exists() else "<!-- gallery -->\n<!-- end -->\n"
    before, _, rest = text.partition("<!-- gallery -->\n")
    path.write_text(f"{before}<!-- gallery -->\n{table(rows)}\n<!-- end -->{rest.partition('<!-- end -->')[2]}")


if __name__ == "__main__":
    main(*sys.argv[1:])
