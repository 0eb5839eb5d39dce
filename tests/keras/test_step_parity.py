"""One epoch of SGD on an .npz, without shuffling and dropout, from the same file in real Keras and in frostline: the
weight changes agree in relative norm, and what is frozen is the same bit for bit."""

import keras
import numpy as np
import pytest
from conftest import relative
from keras import layers

# The norm of the difference of the weight changes as a share of the norm of the changes: f32 sums in another order.
CHANGE = 1e-3
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


def application(build, size):
    """Nested: the application is one layer of the model."""
    backbone = build(input_shape=(size, size, 3), include_top=False, weights=None, pooling="avg")
    image = keras.Input((size, size, 3))
    return keras.Model(image, layers.Dense(4, activation="softmax")(backbone(image)))


def functional(build, size):
    """Not nested: the layers of the application and a head in one graph."""
    backbone = build(input_shape=(size, size, 3), include_top=False, weights=None, pooling="avg")
    return keras.Model(backbone.input, layers.Dense(4, activation="softmax")(backbone.output))


def leaves(model, path=""):
    for layer in model.layers:
        inner = getattr(layer, "layers", None)
        if inner is not None:
            yield from leaves(layer, f"{path}{layer.name}/")
        elif not isinstance(layer, layers.InputLayer):
            yield path + layer.name, layer


def lively(model, random):
    """Statistics and scales as after a training, so that nothing is 0 or 1 by chance."""
    for _, layer in leaves(model):
        if isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            layer.set_weights(
                [
                    random.uniform(0.7, 1.3, gamma.shape),
                    random.normal(0, 0.1, beta.shape),
                    random.normal(0, 0.1, mean.shape),
                    random.uniform(0.5, 1.5, variance.shape),
                ]
            )


def weights_of(model):
    return {
        f"{path}/{variable.name}": variable.numpy()
        for path, layer in leaves(model)
        for variable in layer.weights
    }


def is_statistic(path):
    return path.endswith(("moving_mean", "moving_variance"))


CASES = {
    "sequential": (sequential, lambda paths: []),
    "sequential_half_frozen": (sequential, lambda paths: paths[: len(paths) // 2]),
    "mobilenet_v2_upper_third": (
        lambda: application(keras.applications.MobileNetV2, 96),
        lambda paths: paths[: 2 * len(paths) // 3],
    ),
    "mobilenet_v2_not_nested": (
        lambda: functional(keras.applications.MobileNetV2, 96),
        lambda paths: paths[: 2 * len(paths) // 3],
    ),
    "resnet50_upper_third": (
        lambda: application(keras.applications.ResNet50, 64),
        lambda paths: paths[: 2 * len(paths) // 3],
    ),
}


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("case", CASES)
def test_one_epoch_of_sgd(case, ending, frostline, tmp_path):
    build, choose = CASES[case]
    keras.utils.set_random_seed(1)
    random = np.random.default_rng(1)
    model = build()
    lively(model, random)
    paths = [path for path, _ in leaves(model)]
    frozen = choose(paths)
    for path, layer in leaves(model):
        layer.trainable = path not in frozen
    file = tmp_path / f"model.{ending}"
    model.save(file)

    x = random.normal(0, 1, (IMAGES, *model.input_shape[1:])).astype("float32")
    y = random.integers(0, 4, IMAGES)
    y[:4] = range(4)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    before = weights_of(model)
    model.compile(keras.optimizers.SGD(RATE), "sparse_categorical_crossentropy")
    model.fit(x, y, batch_size=BATCH, epochs=1, shuffle=False, verbose=0)
    expected = weights_of(model)

    record = frostline.json(
        *("train", file, tmp_path / "data.npz", "-o", tmp_path / "run", "--head", "keep"),
        *("--freeze", ",".join(frozen) or "none", "--optimizer", "sgd", "--lr", RATE, "--batch", BATCH),
        *("--epochs", 1, "--no-shuffle", "--val", 0, "--preprocess", "none"),
    )
    assert record["certificate"]["equal"]
    assert set(frozen) == set(record["frozen"])
    own_model = keras.models.load_model(tmp_path / "run" / "model.keras")
    own = weights_of(own_model)
    assert own.keys() == expected.keys()

    differences = {True: [], False: []}
    for path, value in expected.items():
        if path.rsplit("/", 1)[0] in frozen:
            assert np.array_equal(own[path], before[path]), f"{path} is frozen and moved"
            assert np.array_equal(own[path], value)
        else:
            change = value - before[path]
            differences[is_statistic(path)].append((own[path] - value, change))
    for statistics, pairs in differences.items():
        if not pairs:
            continue
        norm = lambda index: np.sqrt(sum(float((pair[index].astype("f8") ** 2).sum()) for pair in pairs))
        difference = norm(0) / norm(1)
        print(f"{case}.{ending}: {'statistics' if statistics else 'weights'} differ by {difference:.1e}")
        assert difference < CHANGE
    # and the trained model, as real Keras loads it, predicts what frostline predicts
    assert relative(frostline.outputs(tmp_path / "run", x, tmp_path), own_model.predict(x, verbose=0)) < 1e-4


@pytest.mark.parametrize(
    "spec, optimizer",
    [
        ("sgd(momentum=0.9)", lambda: keras.optimizers.SGD(1e-2, momentum=0.9)),
        ("sgd(momentum=0.9,nesterov=true)", lambda: keras.optimizers.SGD(1e-2, momentum=0.9, nesterov=True)),
        ("rmsprop", lambda: keras.optimizers.RMSprop(1e-2)),
        ("adam", lambda: keras.optimizers.Adam(1e-2)),
        ("adamw", lambda: keras.optimizers.AdamW(1e-2)),
    ],
)
def test_ten_steps_of_every_optimizer(spec, optimizer, frostline, tmp_path):
    keras.utils.set_random_seed(2)
    random = np.random.default_rng(2)
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(16, activation="tanh"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.save(tmp_path / "model.keras")
    x, y = random.normal(0, 1, (40, 12)).astype("float32"), random.integers(0, 2, 40)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    before = weights_of(model)
    # clipping and label smoothing are in as well, and a schedule that moves at each step
    chosen = optimizer()
    chosen.global_clipnorm = 0.2
    chosen.learning_rate = keras.optimizers.schedules.CosineDecay(1e-2, 10)
    model.compile(chosen, keras.losses.BinaryCrossentropy(label_smoothing=0.1))
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, class_weight={0: 1.0, 1: 2.5})
    expected = weights_of(model)
    frostline.json(
        *("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "run", "--head", "keep"),
        *("--freeze", "none", "--optimizer", spec, "--lr", 1e-2, "--batch", 8, "--epochs", 2, "--no-shuffle"),
        *("--val", 0, "--clip-norm", 0.2, "--label-smoothing", 0.1, "--schedule", "cosine"),
        *("--class-weights", "1=2.5"),
    )
    own = weights_of(keras.models.load_model(tmp_path / "run" / "model.keras"))
    for path, value in expected.items():
        change = np.linalg.norm(value - before[path])
        difference = np.linalg.norm(own[path] - value) / change
        print(f"{spec} {path}: {difference:.1e}")
        assert difference < CHANGE, path
