"""scikit-learn's own checks, and the estimators where they are used."""

import pickle
import warnings

import numpy as np
import pytest
from frostline.sklearn import FeatureExtractor, TransferClassifier, TransferRegressor
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks


@parametrize_with_checks([TransferClassifier(), TransferRegressor(), FeatureExtractor()])
def test_checks_of_scikit_learn(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        check(estimator)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


def test_the_second_fit_computes_no_features(saved, images, tmp_path):
    x, y = images
    estimator = TransferClassifier(saved, cache=tmp_path)
    assert estimator.fit(x, y).computed_ == len(x)
    assert clone(estimator).fit(x, y).computed_ == 0
    assert cross_val_score(estimator, x, y, cv=3, error_score="raise").min() > 0.9
    assert clone(estimator).fit(x[:30], y[:30]).computed_ == 0


def test_cross_validation_computes_each_image_once(saved, images, tmp_path, monkeypatch):
    import frostline.sklearn

    computed, embed = [], frostline.sklearn.embed

    def counting(*arguments, **flags):
        found = embed(*arguments, **flags)
        computed.append(found.computed)
        return found

    monkeypatch.setattr(frostline.sklearn, "embed", counting)
    x, y = images
    cross_val_score(TransferClassifier(saved, cache=tmp_path), x, y, cv=5, error_score="raise")
    assert len(computed) == 10 and sum(computed) == len(x), computed


def test_a_search_over_layers(saved, images, tmp_path):
    x, y = images
    cuts = ["inner/conv2d", "inner/conv2d_1"]
    search = GridSearchCV(TransferClassifier(saved, cache=tmp_path), {"cut": cuts}, cv=2, error_score="raise")
    search.fit(x, y)
    assert search.best_params_["cut"] in cuts and search.best_score_ > 0.9


def test_a_pipeline_of_paths(model, folder):
    paths = np.array([str(path) for path in sorted(folder.glob("*/*"))])
    labels = np.array([path.split("/")[-2] for path in paths])
    pipeline = make_pipeline(FeatureExtractor(model), PCA(4), LogisticRegression())
    assert cross_val_score(pipeline, paths, labels, cv=2, error_score="raise").min() > 0.9


def test_a_classifier_is_the_same_after_pickling(saved, images):
    x, y = images
    fitted = TransferClassifier(saved).fit(x, np.array(["dark", "bright"])[y])
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(fitted.predict_proba(x), again.predict_proba(x))
    assert set(again.predict(x)) == {"dark", "bright"} and fitted.out_of_sample_accuracy_ > 0.9


def test_numbers_are_learned(saved, images):
    x, _ = images
    brightness = x.mean(axis=(1, 2, 3))
    fitted = TransferRegressor(saved).fit(x[:40], brightness[:40])
    assert fitted.score(x[40:], brightness[40:]) > 0.9
    both = TransferRegressor(saved).fit(x, np.stack([brightness, -brightness], axis=1))
    assert both.predict(x).shape == (60, 2)


def test_the_head_is_scikit_learns_on_the_same_features():
    """Ridge by scikit-learn, with the penalty that was chosen, is the same plane."""
    from sklearn.linear_model import RidgeCV
    from sklearn.preprocessing import StandardScaler

    random = np.random.default_rng(0)
    x = random.normal(size=(200, 10)).astype("float32")
    y = (x @ random.normal(size=10) + 0.5 * random.normal(size=200)).astype("float32")
    ours = TransferRegressor().fit(x, y)
    theirs = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-4, 4, 200))).fit(x, y)
    assert np.abs(ours.predict(x) - theirs.predict(x)).max() < 0.02 * y.std()
