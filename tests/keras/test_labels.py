"""Images that may have several labels, and data of which a part is taken: scores as scikit-learn has them."""

import csv
import json

import keras
import numpy as np
import pytest
from conftest import small_backbone  # sets the backend
from PIL import Image
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, precision_score, recall_score

LABELS = ["blue", "green", "red"]
# f32 in the binary, f64 in scikit-learn
SCORE = 1e-6


def photo(random, has):
    """Noise, with a square of its colour for each label that it has; some of them are hard to see."""
    pixels = random.normal(110, 45, (32, 32, 3))
    for index, (label, place) in enumerate(zip(LABELS, ((2, 2), (2, 18), (18, 10)))):
        if label in has:
            y, x = place
            pixels[y : y + 10, x : x + 10, 2 - index] += random.uniform(10, 90)
    return Image.fromarray(np.clip(pixels, 0, 255).astype("uint8"))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Lists of the same photos: labels in a cell, and in columns of zeros and ones."""
    folder, random = tmp_path_factory.mktemp("labels"), np.random.default_rng(11)
    cells, columns = ["path,label,split"], ["path," + ",".join(LABELS) + ",split"]
    for index in range(90):
        has = [label for label in LABELS if random.random() < 0.4]
        photo(random, has).save(folder / f"{index}.png")
        part = "test" if index % 3 == 0 else "train"
        cells.append(f"{index}.png,{'|'.join(has)},{part}")
        columns.append(f"{index}.png,{','.join(str(int(label in has)) for label in LABELS)},{part}")
    (folder / "cells.csv").write_text("\n".join(cells) + "\n")
    (folder / "columns.csv").write_text("\n".join(columns) + "\n")
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return small_backbone(tmp_path_factory.mktemp("backbone"), 12, 16)


def truth(data, part="test"):
    rows = [row for row in csv.DictReader((data / "columns.csv").open()) if row["split"] == part]
    return [data / row["path"] for row in rows], np.array([[int(row[label]) for label in LABELS] for row in rows])


def scikit_learn(values, scores):
    said = (scores > 0.5).astype(int)
    return {
        "map": average_precision_score(values, scores, average="macro"),
        "f1": f1_score(values, said, average="macro", zero_division=0),
        "f1-micro": f1_score(values, said, average="micro", zero_division=0),
        "accuracy": accuracy_score(values, said),
    }


@pytest.mark.parametrize("steps", [(), ("--epochs", "3")], ids=["solved", "by steps"])
@pytest.mark.parametrize("name", ["cells.csv", "columns.csv"])
def test_scores_of_labels_are_those_of_scikit_learn(name, steps, frostline, backbone, data, tmp_path):
    flags = ("--task", "labels") if name == "cells.csv" else ()
    record = frostline.json("train", backbone, data / name, "-o", tmp_path / "run", *flags, *steps)
    assert record["classes"] == LABELS
    photos, values = truth(data)
    lines = [json.loads(line) for line in frostline.done("predict", tmp_path / "run", *photos, "--json").splitlines()]
    scores = np.array([line["scores"] for line in lines])
    for line, row in zip(lines, scores, strict=True):
        assert line["labels"] == [label for label, share in zip(LABELS, row) if share > 0.5]
    expected, said = scikit_learn(values, scores), (scores > 0.5).astype(int)
    evaluated = frostline.json("evaluate", tmp_path / "run", data / name)
    print(f"{name}, {steps}: " + ", ".join(f"{key} {value:.4f}" for key, value in expected.items()))
    for key, value in expected.items():
        assert evaluated[key] == pytest.approx(value, abs=SCORE), key
    assert all(record["test"][key] == pytest.approx(expected[key], abs=SCORE) for key in ("map", "f1", "f1-micro"))
    logs = -(values * np.log(scores) + (1 - values) * np.log(1 - scores)).mean()
    assert evaluated["loss"] == pytest.approx(logs, rel=1e-4)
    for at, one in enumerate(evaluated["classes"]):
        own, decided = values[:, at], said[:, at]
        assert (one["name"], one["support"]) == (LABELS[at], own.sum())
        assert one["average_precision"] == pytest.approx(average_precision_score(own, scores[:, at]), abs=SCORE)
        assert one["precision"] == pytest.approx(precision_score(own, decided, zero_division=0), abs=SCORE)
        assert one["recall"] == pytest.approx(recall_score(own, decided, zero_division=0), abs=SCORE)
        assert one["f1"] == pytest.approx(f1_score(own, decided, zero_division=0), abs=SCORE)
    # the model is a plain one: sigmoids, of which real Keras says the same
    model = keras.saving.load_model(tmp_path / "run/model.keras")
    assert model.layers[-1].activation is keras.activations.sigmoid
    pixels = np.stack([np.asarray(Image.open(path)) for path in photos]).astype("float32")
    assert np.abs(model.predict(pixels, verbose=0) - scores).max() < 1e-4
    if not steps:
        assert record["solved"]["method"] == "logistic" and record["estimate"]["map"] > 0.6


def test_arrays_of_zeros_and_ones_are_labels(frostline, backbone, data, tmp_path):
    arrays = {}
    for part in ("train", "test"):
        photos, values = truth(data, part)
        arrays[f"x_{part}"] = np.stack([np.asarray(Image.open(path)) for path in photos])
        arrays[f"y_{part}"] = values.astype("float32")
    np.savez(tmp_path / "data.npz", class_names=np.array(LABELS), **arrays)
    result = frostline.run("train", backbone, tmp_path / "data.npz", "-o", tmp_path / "run")
    assert result.returncode == 0 and "an image may have each of 3 labels" in result.stderr
    of_list = frostline.json("evaluate", tmp_path / "run", data / "columns.csv")
    of_arrays = frostline.json("evaluate", tmp_path / "run", tmp_path / "data.npz")
    assert of_arrays["map"] == pytest.approx(of_list["map"], abs=SCORE) and of_arrays["images"] == 30


def test_classes_are_chosen_and_files_left_out(frostline, backbone, data, tmp_path):
    photos, values = truth(data, "train")
    for kind in ("blue", "red", "unsorted"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
    for index, path in enumerate(photos):
        kind = ("blue", "red", "unsorted")[index % 3]
        Image.open(path).save(tmp_path / "photos" / kind / path.name)
    Image.open(photos[0]).save(tmp_path / "photos/red/copy.gif")
    flags = ("--classes", "red,blue", "--exclude", "*.gif")
    result = frostline.run("train", backbone, tmp_path / "photos", "-o", tmp_path / "run", "--json", *flags)
    assert result.returncode == 0, result.stderr
    record = json.loads(result.stdout)
    assert record["classes"] == ["red", "blue"] and record["images"] == [40, 0, 0]
    assert record["source"]["reading"] == {"classes": ["red", "blue"], "exclude": ["*.gif"]}
    assert "`unsorted`" in result.stderr and "--exclude *.gif leaves out 1" in result.stderr
    unknown = frostline.run("check", tmp_path / "photos", "--classes", "red,green")
    assert unknown.returncode == 1 and "no class `green`" in unknown.stderr and "`blue`, `red`" in unknown.stderr
    # a class that the model does not have is an error, until it is left out
    assert frostline.run("evaluate", tmp_path / "run", tmp_path / "photos").returncode == 1
    whole = frostline.json("evaluate", tmp_path / "run", tmp_path / "photos", "--exclude", "unsorted", "--exclude", "*.gif")
    assert [one["name"] for one in whole["classes"]] == ["red", "blue"] and whole["images"] == 40
    # by the numbers of its own classes
    rows = [f"{kind}/{path.name},{('red', 'blue').index(kind)}" for kind in ("red", "blue") for path in sorted((tmp_path / "photos" / kind).glob("*.png"))]
    (tmp_path / "photos/numbers.csv").write_text("path,label\n" + "\n".join(rows) + "\n")
    numbered = frostline.run("evaluate", tmp_path / "run", tmp_path / "photos/numbers.csv", "--json")
    assert "from 0 for `red`" in numbered.stderr
    assert json.loads(numbered.stdout)["confusion"] == whole["confusion"]
    listed = frostline.done("predict", tmp_path / "run", tmp_path / "photos", "--exclude", "unsorted", "--exclude", "red/*")
    assert len(listed.splitlines()) == 20
