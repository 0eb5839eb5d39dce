"""Losses and metrics against real Keras and scikit-learn."""

import keras
import numpy as np
import pytest
from keras import layers
from sklearn import metrics

# Sums in f64 against sums in f32.
SCORE = 1e-5
IMAGES, WIDTH, CLASSES = 400, 9, 6


def data(classes, extreme):
    random = np.random.default_rng(classes)
    x = random.normal(0, 1, (IMAGES, WIDTH)).astype("float32")
    # outputs that are 0 and 1 to the last bit show where a logarithm is clipped
    x[:extreme] *= 300
    y = random.integers(0, classes, IMAGES)
    y[:classes] = range(classes)
    return x, y


def model(outputs, activation):
    keras.backend.clear_session()
    keras.utils.set_random_seed(3)
    dense = layers.Dense(outputs, activation=activation, bias_initializer="random_normal", name="dense")
    return keras.Sequential([keras.Input((WIDTH,)), dense])


def close(found, expected, what):
    difference = abs(found - expected) / max(abs(expected), 1e-3)
    print(f"{what}: {found:.6f}, expected {expected:.6f}: {difference:.1e}")
    assert difference < SCORE, what


def one_hot(y, width):
    return y.reshape(-1, 1).astype("float32") if width == 1 else np.eye(width, dtype="float32")[y]


LOSSES = {
    "sparse_categorical_crossentropy": keras.losses.SparseCategoricalCrossentropy,
    "categorical_crossentropy": keras.losses.CategoricalCrossentropy,
    "binary_crossentropy": keras.losses.BinaryCrossentropy,
    "mean_squared_error": keras.losses.MeanSquaredError,
    "mean_absolute_error": keras.losses.MeanAbsoluteError,
}
ON_CLASSES = [
    ("sparse_categorical_crossentropy", CLASSES, "softmax"),
    ("sparse_categorical_crossentropy", CLASSES, None),
    ("categorical_crossentropy", CLASSES, "softmax"),
    ("categorical_crossentropy", CLASSES, None),
    ("binary_crossentropy", 1, "sigmoid"),
    ("binary_crossentropy", 1, None),
    ("binary_crossentropy", CLASSES, "sigmoid"),
    ("mean_squared_error", CLASSES, "softmax"),
    ("mean_absolute_error", CLASSES, "softmax"),
    ("mean_squared_error", 1, "sigmoid"),
    ("mean_absolute_error", 1, "sigmoid"),
]


@pytest.mark.parametrize("extreme", [0, 40], ids=["moderate", "extreme"])
@pytest.mark.parametrize("loss, width, activation", ON_CLASSES)
def test_losses_of_classes_are_those_of_keras(loss, width, activation, extreme, frostline, tmp_path):
    x, y = data(max(width, 2), extreme)
    scored = model(width, activation)
    scored.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    found = frostline.json("evaluate", tmp_path / "model.keras", tmp_path / "data.npz", "--loss", loss)
    settings = {"from_logits": True} if activation is None and "crossentropy" in loss else {}
    targets = y if loss.startswith("sparse") else one_hot(y, width)
    expected = LOSSES[loss](**settings)(targets, scored.predict(x, verbose=0))
    close(found["loss"], float(expected), f"{loss} of {width} {activation}")


@pytest.mark.parametrize("loss", ["mean_squared_error", "mean_absolute_error"])
@pytest.mark.parametrize("width", [1, 4])
def test_losses_of_numbers_are_those_of_keras(loss, width, frostline, tmp_path):
    x, _ = data(2, 0)
    y = np.random.default_rng(5).normal(0, 2, (IMAGES, width)).astype("float32")
    scored = model(width, None)
    scored.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    found = frostline.json("evaluate", tmp_path / "model.keras", tmp_path / "data.npz", "--loss", loss)
    prediction = scored.predict(x, verbose=0)
    close(found["loss"], float(LOSSES[loss]()(y, prediction)), f"{loss} of {width} numbers")
    close(found["mse"], float(np.mean((prediction - y) ** 2)), "mse")


@pytest.mark.parametrize(
    "width, activation", [(CLASSES, "softmax"), (CLASSES, None), (1, "sigmoid"), (1, None)]
)
def test_scores_by_class_are_those_of_scikit_learn(width, activation, frostline, tmp_path):
    x, y = data(max(width, 2), 0)
    y[y == max(width, 2) - 1] = 0  # a class without images, which is predicted none the less
    y[0] = max(width, 2) - 1
    scored = model(width, activation)
    scored.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    found = frostline.json("evaluate", tmp_path / "model.keras", tmp_path / "data.npz")
    outputs = scored.predict(x, verbose=0)
    middle = 0.5 if activation == "sigmoid" else 0.0
    called = (outputs[:, 0] > middle).astype(int) if width == 1 else outputs.argmax(1)
    labels = range(max(width, 2))
    close(found["accuracy"], metrics.accuracy_score(y, called), "accuracy")
    assert found["confusion"] == metrics.confusion_matrix(y, called, labels=labels).tolist()
    rows = zip(*metrics.precision_recall_fscore_support(y, called, labels=labels, zero_division=0))
    for own, (precision, recall, f1, support) in zip(found["classes"], rows, strict=True):
        close(own["precision"], precision, f"precision of class {own['name']}")
        close(own["recall"], recall, f"recall of class {own['name']}")
        close(own["f1"], f1, f"f1 of class {own['name']}")
        assert own["support"] == support


def average(score):
    return lambda y, outputs: score(y, outputs.argmax(1), average="macro", zero_division=0)


def binary(score):
    return lambda y, outputs: score(y, outputs[:, 0] > 0.5)


def of_keras(metric):
    def compute(y, outputs):
        metric.reset_state()
        metric.update_state(y.reshape(-1, 1), outputs)
        return float(np.squeeze(metric.result()))

    return compute


METRICS = [
    ("accuracy", CLASSES, of_keras(keras.metrics.SparseCategoricalAccuracy())),
    ("accuracy", 1, of_keras(keras.metrics.BinaryAccuracy())),
    ("top2", CLASSES, of_keras(keras.metrics.SparseTopKCategoricalAccuracy(k=2))),
    ("top5", CLASSES, of_keras(keras.metrics.SparseTopKCategoricalAccuracy(k=5))),
    ("auc", 1, of_keras(keras.metrics.AUC())),
    ("precision", 1, of_keras(keras.metrics.Precision())),
    ("recall", 1, of_keras(keras.metrics.Recall())),
    ("f1", 1, of_keras(keras.metrics.F1Score(threshold=0.5))),
    ("precision", 1, binary(metrics.precision_score)),
    ("recall", 1, binary(metrics.recall_score)),
    ("f1", 1, binary(metrics.f1_score)),
    ("precision", CLASSES, average(metrics.precision_score)),
    ("recall", CLASSES, average(metrics.recall_score)),
    ("f1", CLASSES, average(metrics.f1_score)),
    ("mse", CLASSES, lambda y, outputs: float(np.mean((outputs - one_hot(y, CLASSES)) ** 2))),
    ("mae", CLASSES, lambda y, outputs: float(np.mean(np.abs(outputs - one_hot(y, CLASSES))))),
]


@pytest.mark.parametrize(
    "name, width, compute", METRICS, ids=lambda value: value if type(value) in (str, int) else ""
)
def test_metrics_are_those_of_keras_and_scikit_learn(name, width, compute, frostline, tmp_path):
    x, y = data(max(width, 2), 0)
    scored = model(width, "sigmoid" if width == 1 else "softmax")
    scored.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x[::2], y_test=y[::2])
    # a rate that moves no weight: the test part is scored with the weights of the file
    record = frostline.json(
        *("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "run", "--head", "keep"),
        *(
            "--freeze",
            "none",
            "--metric",
            name,
            "--epochs",
            1,
            "--lr",
            1e-30,
            "--optimizer",
            "sgd",
            "--val",
            0,
        ),
    )
    close(record["test"][name], compute(y[::2], scored.predict(x[::2], verbose=0)), f"{name} of {width}")


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("width", [1, CLASSES])
def test_label_smoothing_is_that_of_keras(width, smoothing, frostline, tmp_path):
    x, y = data(max(width, 2), 0)
    scored = model(width, "sigmoid" if width == 1 else "softmax")
    scored.save(tmp_path / "model.keras")
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y)
    record = frostline.json(
        *("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "run", "--head", "keep"),
        *("--freeze", "none", "--epochs", 1, "--lr", 1e-30, "--optimizer", "sgd", "--val", 0),
        *("--label-smoothing", smoothing),
    )
    loss = keras.losses.BinaryCrossentropy if width == 1 else keras.losses.CategoricalCrossentropy
    expected = loss(label_smoothing=smoothing)(one_hot(y, width), scored.predict(x, verbose=0))
    close(record["train"]["loss"], float(expected), f"label smoothing {smoothing} of {width}")
