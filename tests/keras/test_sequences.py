"""Networks on sequences: masks as Keras hands them on, training on whole numbers, and what is refused because it would be
something else. Layers by themselves are among the goldens."""

import keras
import numpy as np
import pytest
from conftest import relative
from keras import layers as L
from keras import ops

# The largest difference as a share of the largest output.
OUTPUT = 1e-4
WORDS, STEPS = 30, 9


def words(count=120):
    """Rows of words of different lengths, the rest 0, and two classes that the words tell apart."""
    rng = np.random.default_rng(0)
    rows = rng.integers(1, WORDS, (count, STEPS))
    for row, length in zip(rows, rng.integers(3, STEPS + 1, count)):
        row[length:] = 0
    return rows, np.array([np.mean(row[row > 0] < 12) > 0.35 for row in rows]).astype("int64")


def network(build, words=WORDS, **settings):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((STEPS,))
    model = keras.Model(inputs, L.Dense(3, activation="softmax", name="classes")(build(L.Embedding(words, 6, **settings)(inputs))))
    for weight in model.weights:
        noise = np.random.default_rng(len(weight.path)).normal(0.0, 0.5, weight.shape)
        weight.assign(np.abs(noise) + 0.5 if "variance" in weight.path else noise)
    return model


def nested(x):
    inner = keras.Sequential([keras.Input((STEPS, 6)), L.LSTM(4, return_sequences=True), L.LayerNormalization()], name="inner")
    return L.GRU(3)(inner(x))


PASSED = {
    "mean": lambda x: L.GlobalAveragePooling1D()(L.Dense(4, activation="relu")(x)),
    "stacked": lambda x: L.LSTM(4)(L.Dropout(0.2)(L.GRU(5, return_sequences=True)(L.SpatialDropout1D(0.2)(x)))),
    "backwards": lambda x: L.LSTM(4)(L.SimpleRNN(5, return_sequences=True, go_backwards=True)(x)),
    "both_ways": lambda x: L.GlobalAveragePooling1D()(L.Bidirectional(L.LSTM(4, return_sequences=True))(x)),
    "residual": lambda x: L.LSTM(4)(L.Concatenate()([x, L.Add()([x, L.BatchNormalization()(x)])])),
    "left_behind": lambda x: L.LSTM(4)(L.MaxPooling1D(2)(L.Conv1D(5, 2)(x))),
    "operation": lambda x: L.LSTM(4)(x * 2.0),
    # an operation drops the mask that the layer of the same name hands on
    "sum": lambda x: L.GlobalAveragePooling1D()(x + L.Dense(6)(x)),
    "joined": lambda x: L.LSTM(4)(ops.concatenate([x, L.Dense(3)(x)], axis=-1)),
    "weighted": lambda x: ops.sum(x * ops.softmax(L.Dense(1)(x), axis=1), axis=1),
    "nested": nested,
}


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("name", PASSED)
def test_masks_go_where_keras_hands_them(name, masked, frostline, tmp_path):
    model = network(PASSED[name], mask_zero=masked)
    rows, _ = words(20)
    expected = model.predict(rows, verbose=0)
    model.save(tmp_path / "m.keras")
    assert relative(frostline.outputs(tmp_path / "m.keras", rows, tmp_path), expected) <= OUTPUT
    frostline.done("convert", tmp_path / "m.keras", "-o", tmp_path / "back.keras")
    assert relative(keras.saving.load_model(tmp_path / "back.keras").predict(rows, verbose=0), expected) <= OUTPUT


def test_an_operation_behind_a_mask_is_no_layer_of_an_h5_file(frostline, tmp_path):
    network(lambda x: L.LSTM(4)(x * 2.0), mask_zero=True).save(tmp_path / "m.keras")
    refused = frostline.run("convert", tmp_path / "m.keras", "-o", tmp_path / "m.h5")
    assert refused.returncode == 1 and "save the model as `.keras`" in refused.stderr, refused.stderr
    network(lambda x: L.LSTM(4)(x * 2.0)).save(tmp_path / "free.keras")
    frostline.done("convert", tmp_path / "free.keras", "-o", tmp_path / "free.h5")


@pytest.mark.parametrize("name, build", {
    "attention": lambda x: L.GlobalAveragePooling1D()(L.MultiHeadAttention(1, 2)(x, x)),
    "softmax": lambda x: L.GlobalAveragePooling1D()(L.Dense(STEPS)(L.Concatenate(axis=1)([x, x]))),
}.items())
def test_masks_that_are_not_honoured_are_refused(name, build, frostline, tmp_path):
    model = network(build, mask_zero=True)
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", words(4)[0])
    refused = frostline.run("predict", tmp_path / "m.keras", tmp_path / "x.npy")
    assert refused.returncode == 1 and "help:" in refused.stderr, refused.stderr


@pytest.mark.parametrize("arguments", [
    ("--epochs", 2),
    ("--epochs", 1, "--unfreeze", "all", "--fine-tune-epochs", 1),
    ("--epochs", 1, "--keep", "lstm"),
    (),
], ids=["head", "all", "cut", "solved"])
def test_a_network_on_words_is_retrained(arguments, frostline, tmp_path):
    build = lambda x: L.Dense(5, activation="relu")(L.GlobalAveragePooling1D()(L.LSTM(6, return_sequences=True, name="lstm")(x)))
    network(build, mask_zero=True).save(tmp_path / "m.keras")
    rows, classes = words()
    np.savez(tmp_path / "d.npz", x_train=rows[:90], y_train=classes[:90], x_test=rows[90:], y_test=classes[90:])
    ran = frostline.run("train", tmp_path / "m.keras", tmp_path / "d.npz", "-o", tmp_path / "run", *arguments)
    assert ran.returncode == 0, ran.stderr
    assert "pixels" not in ran.stderr, ran.stderr
    found = frostline.outputs(tmp_path / "run", rows, tmp_path)
    model = keras.saving.load_model(tmp_path / "run/model.keras", compile=False)
    assert relative(found, model.predict(rows, verbose=0)) <= OUTPUT


def test_numbers_without_a_vector_are_refused(frostline, tmp_path):
    network(L.LSTM(3), words=20).save(tmp_path / "m.keras")
    rows, classes = words(20)
    np.save(tmp_path / "x.npy", rows)
    np.savez(tmp_path / "d.npz", x_train=rows, y_train=classes)
    for command in (("predict", tmp_path / "m.keras", tmp_path / "x.npy"), ("train", tmp_path / "m.keras", tmp_path / "d.npz", "-o", tmp_path / "run")):
        refused = frostline.run(*command)
        assert refused.returncode == 1 and "vectors for 0 to 19" in refused.stderr, refused.stderr


def test_sequences_of_vectors_go_in_as_they_are(frostline, tmp_path):
    model = keras.Sequential([keras.Input((None, 4)), L.Masking(-1.0), L.Bidirectional(L.LSTM(3)), L.Dense(2, activation="softmax")])
    x = np.random.default_rng(0).normal(0, 40, (16, 7, 4)).astype("float32")
    x[:5, 4:] = -1.0
    model.save(tmp_path / "m.keras")
    assert relative(frostline.outputs(tmp_path / "m.keras", x, tmp_path), model.predict(x, verbose=0)) <= OUTPUT
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(16) % 2)
    ran = frostline.run("train", tmp_path / "m.keras", tmp_path / "d.npz", "-o", tmp_path / "run", "--epochs", 1, "--val", 0)
    assert ran.returncode == 0 and "pixels" not in ran.stderr, ran.stderr
    written = keras.saving.load_model(tmp_path / "run/model.keras", compile=False)
    assert relative(frostline.outputs(tmp_path / "run", x, tmp_path), written.predict(x, verbose=0)) <= OUTPUT


def test_what_makes_numbers_of_texts_is_named(frostline, tmp_path):
    lookup = L.TextVectorization(max_tokens=10, output_sequence_length=5, vocabulary=["a", "b"])
    keras.Sequential([keras.Input((1,), dtype="string"), lookup, L.Embedding(10, 3), L.Flatten(), L.Dense(2)]).save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", words(4)[0][:, :1])
    refused = frostline.run("predict", tmp_path / "m.keras", tmp_path / "x.npy")
    assert refused.returncode == 1 and "run it in Python" in refused.stderr, refused.stderr
