"""One epoch of SGD on an .npz, without shuffling and dropout, from the same file in real Keras and in
frostline: the weight changes agree in relative norm, and what is frozen is the same bit for bit.

A ReLU has a kink, and an activation that lies nearer to it than the rounding of float32 passes its gradient
on in one of two implementations and not in the other. One of a million is enough for a difference of 1e-3:
Keras in float32 differs by that much from Keras in float64, on these models and on trained ones. So the
layers that train in the deep networks have a smooth activation here where the weight changes are compared
with Keras in float32, and with their own ReLUs they are held against Keras in float64, beside Keras in
float32.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import relative
from keras import layers

# The norm of the difference of the weight changes as a share of the norm of the changes.
CHANGE = 1e-3
# How many times farther from float64 than Keras in float32: both are drawn by chance.
NOISE = 2.0
IMAGES, BATCH, RATE = 24, 8, 0.01


def sequential():
    return keras.Sequential(
        [
            keras.Input((20, 20, 3)),
            layers.Conv2D(8, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.SeparableConv2D(16, 3, activation="swish"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="relu"),
            layers.Dense(4, activation="softmax"),
        ]
    )


def backbone(build, size):
    return build(input_shape=(size, size, 3), include_top=False, weights=None, pooling="avg")


def nested(build, size):
    """The application is one layer of the model."""
    image = keras.Input((size, size, 3))
    return keras.Model(image, layers.Dense(4, activation="softmax")(backbone(build, size)(image)))


def flat(build, size):
    """The layers of the application and a head in one graph."""
    inner = backbone(build, size)
    return keras.Model(inner.input, layers.Dense(4, activation="softmax")(inner.output))


def smooth(build):
    """An application whose upper third has no kinks."""

    def build_smooth(**settings):
        model = build(**settings)
        names = [layer.name for layer in model.layers]

        def clone(layer):
            is_relu = (
                isinstance(layer, layers.ReLU) or getattr(layer, "activation", None) is keras.activations.relu
            )
            if is_relu and names.index(layer.name) >= 0.6 * len(names):
                return layers.Activation("swish", name=layer.name)
            return layer.__class__.from_config(layer.get_config())

        return keras.models.clone_model(model, clone_function=clone)

    return build_smooth


def leaves(model, path=""):
    for layer in model.layers:
        inner = getattr(layer, "layers", None)
        if inner is not None:
            yield from leaves(layer, f"{path}{layer.name}/")
        elif not isinstance(layer, layers.InputLayer):
            yield path + layer.name, layer


def norms(model):
    return [layer for _, layer in leaves(model) if isinstance(layer, layers.BatchNormalization)]


def lively(model, x, random):
    """Scales and statistics as after a training: nothing is 0 or 1 by chance, and the statistics are those of
    data of the kind, without which the signal dies out in the frozen layers."""
    momenta = []
    for layer in norms(model):
        layer.gamma.assign(random.uniform(0.7, 1.3, layer.gamma.shape))
        layer.beta.assign(random.normal(0, 0.1, layer.beta.shape))
        momenta.append(layer.momentum)
        layer.momentum = 0.0
    model(x, training=True)
    for layer, momentum in zip(norms(model), momenta):
        layer.momentum = momentum


def pictures(random, count, shape):
    """Soft shapes with some noise, and each picture with a colour of its own."""
    shapes = random.normal(0, 1, (count, 4, 4, shape[-1])) + random.normal(0, 1, (count, 1, 1, shape[-1]))
    soft = keras.ops.image.resize(shapes.astype("float32"), shape[:2], interpolation="bicubic")
    return keras.ops.convert_to_numpy(soft) + random.normal(0, 0.3, (count, *shape)).astype("float32")


def weights_of(model):
    return {
        f"{path}/{variable.name}": variable.numpy()
        for path, layer in leaves(model)
        for variable in layer.weights
    }


def is_statistic(path):
    return path.endswith(("moving_mean", "moving_variance"))


def lower_half(paths):
    return paths[: len(paths) // 2]


def lower_two_thirds(paths):
    return paths[: 2 * len(paths) // 3]


MOBILENET, RESNET = keras.applications.MobileNetV2, keras.applications.ResNet50
CASES = {
    "sequential": (sequential, lambda paths: []),
    "sequential_half_frozen": (sequential, lower_half),
    "mobilenet_v2_upper_third": (lambda: nested(smooth(MOBILENET), 96), lower_two_thirds),
    "mobilenet_v2_not_nested": (lambda: flat(smooth(MOBILENET), 96), lower_two_thirds),
    "resnet50_upper_third": (lambda: nested(smooth(RESNET), 64), lower_two_thirds),
}
WITH_KINKS = {
    "mobilenet_v2": (lambda: flat(MOBILENET, 96), lower_two_thirds),
    "resnet50": (lambda: flat(RESNET, 64), lower_two_thirds),
}


def prepare(build, choose, images):
    """A model with what is frozen in it, and data for it."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    model = build()
    shape = model.input_shape[1:]
    x = pictures(random, images, shape)
    y = random.integers(0, 4, images)
    y[:4] = range(4)
    lively(model, pictures(random, images, shape), random)
    frozen = choose([path for path, _ in leaves(model)])
    freeze(model, frozen)
    return model, frozen, x, y


def freeze(model, frozen):
    for path, layer in leaves(model):
        layer.trainable = path not in frozen


def fit(model, x, y, batch):
    """The weights after an epoch in Keras. No XLA: compiling takes longer than the epoch."""
    model.compile(keras.optimizers.SGD(RATE), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(x, y, batch_size=batch, epochs=1, shuffle=False, verbose=0)
    return weights_of(model)


def step_in_float64(build, frozen, before, x, y):
    keras.backend.set_floatx("float64")
    try:
        keras.backend.clear_session()
        model = build()
        freeze(model, frozen)
        for path, layer in leaves(model):
            for variable in layer.weights:
                variable.assign(before[f"{path}/{variable.name}"].astype("float64"))
        return fit(model, x.astype("float64"), y, len(x))
    finally:
        keras.backend.set_floatx("float32")


def train(frostline, file, data, frozen, batch, out, *more):
    return frostline.json(
        *("train", file, data, "-o", out, "--head", "keep", "--freeze", ",".join(frozen) or "none"),
        *("--optimizer", "sgd", "--lr", RATE, "--batch", batch, "--epochs", 1, "--no-shuffle", "--val", 0),
        *("--preprocess", "none", *more),
    )


def fit_in_inference_mode(model, x, y, batch):
    """The weights after an epoch in which BatchNormalization is as in prediction, as in Keras's guide to transfer learning."""
    optimizer, loss = keras.optimizers.SGD(RATE), keras.losses.SparseCategoricalCrossentropy()
    for start in range(0, len(x), batch):
        with tf.GradientTape() as tape:
            value = loss(y[start : start + batch], model(x[start : start + batch], training=False))
        optimizer.apply(tape.gradient(value, model.trainable_weights), model.trainable_weights)
    return weights_of(model)


def distance(found, expected, before, paths):
    """The norm of the difference as a share of the norm of the change."""
    norm = lambda parts: np.sqrt(sum(float((part.astype("f8") ** 2).sum()) for part in parts))
    return norm(found[p] - expected[p] for p in paths) / norm(expected[p] - before[p] for p in paths)


def parts(weights, frozen):
    """The paths of what changes: weights, and running statistics where there are some."""
    trained = [path for path in weights if path.rsplit("/", 1)[0] not in frozen]
    found = {
        "weights": [path for path in trained if not is_statistic(path)],
        "statistics": [path for path in trained if is_statistic(path)],
    }
    return {what: paths for what, paths in found.items() if paths}


@functools.cache
def trained_by_keras(case, folder):
    build, choose = CASES[case]
    model, frozen, x, y = prepare(build, choose, IMAGES)
    for ending in "keras", "h5":
        model.save(folder / f"{case}.{ending}")
    np.savez(folder / f"{case}.npz", x_train=x, y_train=y)
    before = weights_of(model)
    return frozen, x, before, fit(model, x, y, BATCH)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("step")


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("case", CASES)
def test_one_epoch_of_sgd_changes_the_weights_as_keras_does(case, ending, frostline, folder, tmp_path):
    frozen, x, before, expected = trained_by_keras(case, folder)
    record = train(
        frostline, folder / f"{case}.{ending}", folder / f"{case}.npz", frozen, BATCH, tmp_path / "run"
    )
    assert record["certificate"]["equal"]
    assert set(frozen) == set(record["frozen"])
    own_model = keras.models.load_model(tmp_path / "run" / "model.keras")
    own = weights_of(own_model)
    assert own.keys() == expected.keys()

    for path, value in expected.items():
        if path.rsplit("/", 1)[0] in frozen:
            assert np.array_equal(own[path], before[path]), f"{path} is frozen and moved"
            assert np.array_equal(own[path], value)
    differences = {what: distance(own, expected, before, paths) for what, paths in parts(own, frozen).items()}
    for what, difference in differences.items():
        print(f"{case}.{ending}: {what} differ by {difference:.1e}")
    assert max(differences.values()) < CHANGE
    difference = relative(frostline.outputs(tmp_path / "run", x, tmp_path), own_model.predict(x, verbose=0))
    print(f"{case}.{ending}: the trained model's predictions differ by {difference:.1e}")
    assert difference < 1e-4


def test_batch_norm_of_reused_layers_can_stay_in_inference_mode(frostline, tmp_path):
    model, frozen, x, y = prepare(*CASES["mobilenet_v2_not_nested"], IMAGES)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    before = weights_of(model)
    expected = fit_in_inference_mode(model, x, y, BATCH)
    flags = ("--batch-norm", "frozen")
    record = train(frostline, tmp_path / "model.keras", tmp_path / "data.npz", frozen, BATCH, tmp_path / "run", *flags)
    found = weights_of(keras.models.load_model(tmp_path / "run/model.keras"))
    for path in filter(is_statistic, before):
        assert np.array_equal(found[path], before[path]), path
        assert path in record["certificate"]["before"]
    trained = parts(before, frozen)["weights"]
    assert distance(found, expected, before, trained) < CHANGE


@pytest.mark.parametrize("case", WITH_KINKS)
def test_a_step_through_relus_is_as_near_to_float64_as_that_of_keras(case, frostline, tmp_path):
    build, choose = WITH_KINKS[case]
    model, frozen, x, y = prepare(build, choose, IMAGES)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    before = weights_of(model)
    theirs = fit(model, x, y, IMAGES)
    exact = step_in_float64(build, frozen, before, x, y)
    train(frostline, tmp_path / "model.keras", tmp_path / "data.npz", frozen, IMAGES, tmp_path / "run")
    own = weights_of(keras.models.load_model(tmp_path / "run" / "model.keras"))
    for what, paths in parts(own, frozen).items():
        found, noise = distance(own, exact, before, paths), distance(theirs, exact, before, paths)
        print(f"{case}: {what} differ from float64 by {found:.1e}, those of Keras by {noise:.1e}")
        assert found < max(CHANGE, NOISE * noise)


SCHEDULES = {
    "constant": 1e-2,
    "cosine": keras.optimizers.schedules.CosineDecay(1e-2, 10),
    "cosine(0.3)": keras.optimizers.schedules.CosineDecay(1e-2, 10, alpha=0.3),
    "exponential(0.8)": keras.optimizers.schedules.ExponentialDecay(1e-2, 5, 0.8),
    "linear": keras.optimizers.schedules.PolynomialDecay(1e-2, 10, end_learning_rate=0.0),
    "linear(0.2)": keras.optimizers.schedules.PolynomialDecay(1e-2, 10, end_learning_rate=2e-3),
}
OPTIMIZERS = {
    "sgd": lambda **s: keras.optimizers.SGD(**s),
    "sgd(momentum=0.9)": lambda **s: keras.optimizers.SGD(momentum=0.9, **s),
    "sgd(momentum=0.9,nesterov=true)": lambda **s: keras.optimizers.SGD(momentum=0.9, nesterov=True, **s),
    "rmsprop": lambda **s: keras.optimizers.RMSprop(**s),
    "rmsprop(rho=0.8,epsilon=0.001)": lambda **s: keras.optimizers.RMSprop(rho=0.8, epsilon=1e-3, **s),
    "adagrad": lambda **s: keras.optimizers.Adagrad(**s),
    "adagrad(initial_accumulator_value=0.5,epsilon=0.001)": lambda **s: keras.optimizers.Adagrad(
        initial_accumulator_value=0.5, epsilon=1e-3, **s
    ),
    "adam": lambda **s: keras.optimizers.Adam(**s),
    "adam(beta_1=0.8,beta_2=0.99,epsilon=0.001)": lambda **s: keras.optimizers.Adam(
        beta_1=0.8, beta_2=0.99, epsilon=1e-3, **s
    ),
    "adamw": lambda **s: keras.optimizers.AdamW(**s),
}
# Each optimizer once with everything else as well; the schedules and the settings by turns.
STEPS = [
    *((spec, "constant", {}) for spec in OPTIMIZERS),
    *(("sgd", schedule, {}) for schedule in SCHEDULES if schedule != "constant"),
    ("sgd(momentum=0.9)", "cosine", {"clip-norm": 0.2}),
    ("rmsprop", "exponential(0.8)", {"weight-decay": 0.02}),
    ("adam", "cosine(0.3)", {"weight-decay": 0.02, "clip-norm": 0.2, "label-smoothing": 0.1}),
    ("sgd", "constant", {"label-smoothing": 0.1, "class-weights": "1=2.5"}),
    ("adam", "constant", {"class-weights": "0=0.5,1=2.5"}),
]


@pytest.mark.parametrize("spec, schedule, more", STEPS, ids=lambda value: str(value).replace(" ", ""))
def test_ten_steps_of_every_optimizer_change_the_weights_as_keras_does(
    spec, schedule, more, frostline, tmp_path
):
    keras.backend.clear_session()
    keras.utils.set_random_seed(2)
    random = np.random.default_rng(2)
    model = keras.Sequential(
        [keras.Input((12,)), layers.Dense(16, activation="tanh"), layers.Dense(1, activation="sigmoid")]
    )
    model.save(tmp_path / "model.keras")
    x, y = random.normal(0, 1, (40, 12)).astype("float32"), random.integers(0, 2, 40)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    before = weights_of(model)
    settings = {"learning_rate": SCHEDULES[schedule], "global_clipnorm": more.get("clip-norm")}
    if "weight-decay" in more:
        settings["weight_decay"] = more["weight-decay"]
    loss = keras.losses.BinaryCrossentropy(label_smoothing=more.get("label-smoothing", 0.0))
    model.compile(OPTIMIZERS[spec](**settings), loss, jit_compile=False)
    pairs = [pair.split("=") for pair in more.get("class-weights", "").split(",") if pair]
    weights = {0: 1.0, 1: 1.0} | {int(label): float(weight) for label, weight in pairs}
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, class_weight=weights if pairs else None)
    expected = weights_of(model)
    frostline.json(
        *("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "run", "--head", "keep"),
        *("--freeze", "none", "--optimizer", spec, "--lr", 1e-2, "--batch", 8, "--epochs", 2, "--no-shuffle"),
        *("--val", 0, "--schedule", schedule, *(part for k, v in more.items() for part in (f"--{k}", v))),
    )
    own = weights_of(keras.models.load_model(tmp_path / "run" / "model.keras"))
    for path in expected:
        difference = distance(own, expected, before, [path])
        print(f"{spec} {schedule} {more} {path}: {difference:.1e}")
        assert difference < CHANGE, path
