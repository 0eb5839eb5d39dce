"""Networks on sequences: masks as Keras hands them on, training on whole numbers, and what is refused because it would be
something else. Layers by themselves are among the goldens."""

import zipfile

import keras
import numpy as np
import pytest
from conftest import relative
from keras import layers as L
from keras import ops
from PIL import Image

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


def block(x):
    return L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)]))


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
    "attention": lambda x: L.GlobalAveragePooling1D()(L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)]))),
    "attention_twice": lambda x: L.LSTM(4)(block(block(x))),
    "attention_of_what_others_saw": lambda x: L.LSTM(4)(L.MultiHeadAttention(1, 2)(L.MultiHeadAttention(2, 3)(L.Dense(6)(x), x), x)),
    "attention_without_residual": lambda x: L.GlobalAveragePooling1D()(L.MultiHeadAttention(1, 2)(*[L.LayerNormalization()(L.MultiHeadAttention(2, 3)(x, x))] * 2)),
    "attention_of_others": lambda x: L.LSTM(4)(L.MultiHeadAttention(2, 3)(L.Dense(6)(x), value=x, key=L.Dense(5)(x), use_causal_mask=True)),
    "attention_that_drops": lambda x: ops.sum(L.MultiHeadAttention(2, 3, dropout=0.3)(x, L.Dense(6)(x)), axis=1),
    "attention_plain": lambda x: L.LSTM(4)(L.Attention()([L.Dense(6)(x), x], use_causal_mask=True)),
    "attention_seen_as_a_whole": lambda x: ops.sum(L.AdditiveAttention()([x, L.Dense(6)(x)]), axis=1),
    "causal": lambda x: L.GlobalMaxPooling1D()(L.Conv1D(4, 2, dilation_rate=3, padding="causal")(x)),
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
    "attention_side_by_side": lambda x: L.GlobalAveragePooling1D()(L.Add()([L.MultiHeadAttention(2, 3)(x, x), L.MultiHeadAttention(1, 2)(x, x)])),
    "softmax": lambda x: L.GlobalAveragePooling1D()(L.Dense(STEPS)(L.Concatenate(axis=1)([x, x]))),
}.items())
def test_masks_that_are_not_honoured_are_refused(name, build, frostline, tmp_path):
    model = network(build, mask_zero=True)
    model.save(tmp_path / "m.keras")
    np.save(tmp_path / "x.npy", words(4)[0])
    refused = frostline.run("predict", tmp_path / "m.keras", tmp_path / "x.npy")
    assert refused.returncode == 1 and "help:" in refused.stderr, refused.stderr


@pytest.mark.parametrize("version, once, twice", [("3.15.1", True, True), ("3.6.0", True, False)])
def test_where_versions_of_keras_see_other_masks_older_files_are_refused(version, once, twice, frostline, tmp_path):
    np.save(tmp_path / "x.npy", words(4)[0])
    for build, runs in ((lambda x: L.LSTM(4)(block(x)), once), (lambda x: L.LSTM(4)(block(block(x))), twice)):
        network(build, mask_zero=True).save(tmp_path / "new.keras")
        with zipfile.ZipFile(tmp_path / "new.keras") as new, zipfile.ZipFile(tmp_path / "m.keras", "w") as written:
            for name in new.namelist():
                bytes = new.read(name)
                written.writestr(name, bytes.replace(keras.__version__.encode(), version.encode()) if name == "metadata.json" else bytes)
        ran = frostline.run("predict", tmp_path / "m.keras", tmp_path / "x.npy")
        assert (ran.returncode == 0) == runs and ("depends on its version" in ran.stderr) != runs, ran.stderr


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


FRAMES = (4, 10, 8, 3)


@pytest.mark.parametrize("name, build", {
    "volumes": [L.Conv3D(6, 3, padding="same", activation="relu"), L.MaxPooling3D((1, 2, 2)), L.BatchNormalization(), L.Conv3D(8, (2, 3, 3), strides=(1, 2, 1))],
    "frames": [
        L.TimeDistributed(L.ZeroPadding2D(1)), L.TimeDistributed(L.Conv2D(6, 3, activation="relu")), L.TimeDistributed(L.BatchNormalization()),
        L.TimeDistributed(L.Dropout(0.2)), L.TimeDistributed(L.MaxPooling2D()), L.TimeDistributed(L.SeparableConv2D(5, 3, padding="same")),
        L.TimeDistributed(L.GlobalAveragePooling2D()), L.LSTM(7),
    ],
}.items())
def test_a_network_on_films_is_retrained(name, build, frostline, tmp_path):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input(FRAMES), *build])
    for layer in model.layers:
        for weight in layer.weights:
            if "moving" in weight.path:
                weight.assign(np.random.default_rng(1).uniform(0.5, 1.5, weight.shape))
    model.save(tmp_path / "m.keras")
    rng = np.random.default_rng(0)
    classes = np.arange(90) % 2
    films = (rng.normal(0, 1, (90, *FRAMES)) + classes[:, None, None, None, None] * 0.7).astype("float32")
    assert relative(frostline.outputs(tmp_path / "m.keras", films[:9], tmp_path), model.predict(films[:9], verbose=0)) <= OUTPUT
    np.savez(tmp_path / "d.npz", x_train=films[:60], y_train=classes[:60], x_test=films[60:], y_test=classes[60:])
    for more in ((), ("--epochs", 2, "--head", "gap dense(4,relu)" if name == "volumes" else "dense(4,relu)")):
        run = tmp_path / f"run{len(more)}"
        ran = frostline.run("train", tmp_path / "m.keras", tmp_path / "d.npz", "-o", run, "--head-only", *more)
        assert ran.returncode == 0, ran.stderr
        written = keras.saving.load_model(run / "model.keras", compile=False)
        assert relative(frostline.outputs(run, films[:9], tmp_path), written.predict(films[:9], verbose=0)) <= OUTPUT
        frostline.done("evaluate", run, tmp_path / "d.npz")


def test_statistics_of_single_steps_are_not_trained(frostline, tmp_path):
    keras.Sequential([
        keras.Input((5, 4)), L.TimeDistributed(L.Dense(3)), L.TimeDistributed(L.BatchNormalization(), name="steps"), L.Flatten(), L.Dense(2, activation="softmax"),
    ]).save(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(0, 1, (20, 5, 4)).astype("float32")
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(20) % 2)
    command = ("train", tmp_path / "m.keras", tmp_path / "d.npz", "-o", tmp_path / "run", "--keep", "flatten", "--epochs", 1, "--unfreeze", "all")
    refused = frostline.run(*command, "--fine-tune-epochs", 1, "--batch-norm", "train")
    assert refused.returncode == 1 and "help: freeze the layer" in refused.stderr, refused.stderr


@pytest.mark.parametrize("shape, build", [((STEPS, 4), [L.LSTM(3)]), (FRAMES, [L.Conv3D(3, 2), L.GlobalAveragePooling3D()])])
def test_what_is_done_to_photos_is_refused_on_what_is_none(shape, build, frostline, tmp_path):
    keras.Sequential([keras.Input(shape), *build, L.Dense(2, activation="softmax")]).save(tmp_path / "m.keras")
    x = np.random.default_rng(0).normal(0, 1, (20, *shape)).astype("float32")
    np.savez(tmp_path / "d.npz", x_train=x, y_train=np.arange(20) % 2)
    refused = frostline.run("train", tmp_path / "m.keras", tmp_path / "d.npz", "-o", tmp_path / "run", "--augment", "flip", "--epochs", 1)
    assert refused.returncode == 1 and "--augment changes images" in refused.stderr, refused.stderr
    frostline.done("train", tmp_path / "m.keras", tmp_path / "d.npz", "-o", tmp_path / "run", "--head-only")
    Image.new("RGB", (9, 9)).save(tmp_path / "photo.png")
    refused = frostline.run("predict", tmp_path / "run", tmp_path / "photo.png")
    assert refused.returncode == 1 and "damaged" not in refused.stderr, refused.stderr
