"""Estimators of scikit-learn: a head solved on the features of frozen layers.

They go into a ``Pipeline``, ``GridSearchCV`` and ``cross_val_score``. Features are kept in the feature cache by the content of each
image, so that a search computes those of an image once for each layer that it tries.

>>> from frostline.sklearn import TransferClassifier
>>> from sklearn.model_selection import cross_val_score
>>> cross_val_score(TransferClassifier("model.keras"), images, labels)

Without a model features are the columns of ``X`` as they are.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
    from sklearn.utils import check_array
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise ImportError(f"{error}\nhelp: pip install 'scikit-learn>=1.6'") from error

from . import _core
from ._api import embed

__all__ = ["FeatureExtractor", "TransferClassifier", "TransferRegressor"]


class _OnFeatures(BaseEstimator):
    """What the estimators have in common: features of a layer of a model."""

    def __init__(
        self,
        model: Any = None,
        *,
        cut: str | None = None,
        pooling: str = "mean",
        preprocess: str = "auto",
        image_size: Any = None,
        cache: Any = None,
    ) -> None:
        self.model = model
        self.cut = cut
        self.pooling = pooling
        self.preprocess = preprocess
        self.image_size = image_size
        self.cache = cache

    def _features(self, images: Any, *, reset: bool) -> np.ndarray:
        """``[images, width]``. ``reset``: what is seen decides what will be taken."""
        if self.model is None:
            return np.asarray(validate_data(self, images, dtype=[np.float64, np.float32], reset=reset))
        if not is_listed(images):
            images = validate_data(
                self, images, dtype=None, ensure_2d=False, allow_nd=True, ensure_min_features=0, reset=reset
            )
        else:
            images = [os.fspath(one) if isinstance(one, (str, os.PathLike)) else one for one in images]
        said = {
            "cut": self.cut,
            "pooling": self.pooling,
            "preprocess": self.preprocess,
            "image_size": self.image_size,
            "cache": self.cache,
        }
        found = embed(self.model, images, progress=False, **said)
        if len(found.paths) != len(images):
            raise ValueError(
                f"{len(images) - len(found.paths)} of {len(images)} images could not be read\nhelp: remove or replace them"
            )
        self.computed_ = found.computed
        return np.ascontiguousarray(found.features.reshape(len(images), -1))


def is_listed(images: Any) -> bool:
    """Whether it is a list of paths or pictures, not one array of numbers."""
    if isinstance(images, np.ndarray):
        return images.ndim == 1 and images.dtype.kind in "UO"
    if not isinstance(images, (list, tuple)) or not images:
        return False
    is_picture = isinstance(images[0], (str, bytes, os.PathLike)) or hasattr(images[0], "getexif")
    return is_picture or (isinstance(images[0], np.ndarray) and images[0].ndim >= 2)


class FeatureExtractor(TransformerMixin, _OnFeatures):
    """Images to features: the output of a layer of a model.

    Args:
        model: a path, a ``keras.Model``, a module of torchvision or timm, or what :func:`frostline.load` returns. Without one,
            columns are passed on as they are.
        cut: the layer [default: the features that the classifier stands on].
        pooling: what becomes of an output with pixels: ``"mean"`` over them, or ``"none"``, which flattens it.
        preprocess: ``tf``, ``caffe``, ``torch``, ``unit`` or ``none``; ``auto`` reads it from the model.
        image_size: for models whose input size is open.
        cache: the folder of the feature cache [default: in the user's cache folder].

    Attributes:
        computed_: how many images the last call computed; the features of the others were in the cache.

    Example:
        >>> make_pipeline(FeatureExtractor("model.keras"), PCA(32), SVC()).fit(images, labels)
    """

    def fit(self, X: Any, y: Any = None) -> FeatureExtractor:
        """Learns nothing: it looks at ``X``, and makes the features of its first image, so that what is wrong is told."""
        self._features(X if self.model is None else X[:1], reset=True)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Features ``[images, width]``, float32; without a model the columns as they are."""
        check_is_fitted(self)
        return self._features(X, reset=False)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_") or hasattr(self, "computed_")


class _Head(_OnFeatures):
    """A dense layer on features."""

    def _numbers(self, X: Any, *, reset: bool) -> np.ndarray:
        """Features as the solver takes them: float32 in C order."""
        features = self._features(X, reset=reset)
        with np.errstate(over="ignore"):
            found = np.ascontiguousarray(features, dtype=np.float32)
        if not np.isfinite(found).all():
            raise ValueError("X holds numbers that are too large for float32\nhelp: scale the columns")
        return found

    def _outputs(self, X: Any) -> np.ndarray:
        """``[images, outputs]``, float64."""
        check_is_fitted(self, "coef_")
        return np.asarray(self._numbers(X, reset=False).astype(np.float64) @ self.coef_ + self.intercept_)


class TransferClassifier(ClassifierMixin, _Head):
    """A classifier on the features of a model's frozen layers. Its head is solved: the mean of ridge and logistic regression, or the
    better of them, with penalties and temperature chosen by predictions of images that were left out.

    Args:
        model: as for :class:`FeatureExtractor`.
        cut: as for :class:`FeatureExtractor`.
        pooling: as for :class:`FeatureExtractor`.
        preprocess: as for :class:`FeatureExtractor`.
        image_size: as for :class:`FeatureExtractor`.
        cache: as for :class:`FeatureExtractor`.

    Attributes:
        classes_: the classes, in the order of the outputs.
        coef_: the kernel of the head, ``[width, outputs]``.
        intercept_: its bias, ``[outputs]``.
        out_of_sample_accuracy_: the share of the training images that a head which has not seen them finds right; copies of an
            image count as one.
        computed_: as of :class:`FeatureExtractor`.

    Example:
        >>> TransferClassifier("model.keras", cut="block_13_project_BN").fit(images, labels).score(others, their_labels)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TransferClassifier:
        """Solves the head. ``X``: images or rows; ``y``: a class each; ``sample_weight``: how much each counts."""
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        features = self._numbers(X, reset=True)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        check_lengths(features, y)
        weights = weights_of(sample_weight, features, X)
        counts = weights > 0
        self.classes_, labels = np.unique(y[counts], return_inverse=True)
        features, labels, weights = without_copies(features[counts], labels[:, None], weights[counts])
        labels = labels[:, 0].astype(int)
        width, outputs = features.shape[1], len(self.classes_)
        if outputs == 0:
            raise ValueError("no image counts: there is no class\nhelp: give weights above 0")
        if outputs == 1:
            self.coef_, self.intercept_ = np.zeros((width, 1)), np.zeros(1)
            self.out_of_sample_accuracy_ = 1.0
            return self
        coef, intercept, unseen = _core.solve_classes(features, labels.tolist(), outputs, even(weights))
        self.coef_, self.intercept_ = coef.astype(np.float64), intercept.astype(np.float64)
        self.out_of_sample_accuracy_ = float(np.mean(unseen.argmax(axis=1) == labels))
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """The logits, ``[images, classes]``; of two classes that of the second less that of the first, ``[images]``."""
        outputs = self._outputs(X)
        return outputs[:, 1] - outputs[:, 0] if len(self.classes_) == 2 else outputs

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, ``[images, classes]``."""
        outputs = self._outputs(X)
        shares = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> np.ndarray:
        """The class of each image."""
        outputs = self._outputs(X)
        return np.asarray(self.classes_[outputs.argmax(axis=1)])


class TransferRegressor(RegressorMixin, _Head):
    """A regression on the features of a model's frozen layers. Its head is solved by ridge regression, with a penalty chosen by
    predictions of images that were left out.

    Args:
        model: as for :class:`FeatureExtractor`.
        cut: as for :class:`FeatureExtractor`.
        pooling: as for :class:`FeatureExtractor`.
        preprocess: as for :class:`FeatureExtractor`.
        image_size: as for :class:`FeatureExtractor`.
        cache: as for :class:`FeatureExtractor`.

    Attributes:
        coef_: the kernel of the head, ``[width, outputs]``.
        intercept_: its bias, ``[outputs]``.
        out_of_sample_error_: the mean squared error on training images, each by a head that has not seen it.
        computed_: as of :class:`FeatureExtractor`.

    Example:
        >>> TransferRegressor("model.keras").fit(images, prices).predict(others)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TransferRegressor:
        """Solves the head. ``X``: images or rows; ``y``: a number each, or several; ``sample_weight``: how much each counts."""
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        features = self._numbers(X, reset=True)
        y = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_lengths(features, y)
        self._is_flat = y.ndim == 1
        weights = weights_of(sample_weight, features, X)
        counts = weights > 0
        targets = np.ascontiguousarray(y.reshape(len(y), -1)[counts], dtype=np.float32)
        features, targets, weights = without_copies(features[counts], targets, weights[counts])
        if len(features) < 2:
            raise ValueError(f"a regression needs two samples that differ, and there is n_samples={len(features)}")
        even_weights = even(weights)
        coef, intercept, unseen = _core.solve_numbers(
            features, targets, None if even_weights is None else np.asarray(even_weights)
        )
        self.coef_, self.intercept_ = coef.astype(np.float64), intercept.astype(np.float64)
        self.out_of_sample_error_ = float(np.mean((unseen - targets) ** 2))
        return self

    def predict(self, X: Any) -> np.ndarray:
        """The number of each image; of several ``[images, outputs]``."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._is_flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.single_output = True
        tags.target_tags.multi_output = True
        return tags


def check_lengths(features: np.ndarray, y: np.ndarray) -> None:
    """Errors where there is not one label an image."""
    if len(features) != len(y):
        raise ValueError(f"inconsistent numbers of samples: X has {len(features)}, y has {len(y)}")


def weights_of(sample_weight: Any, features: np.ndarray, X: Any) -> np.ndarray:
    """A weight an image."""
    return np.asarray(_check_sample_weight(sample_weight, features, dtype=np.float64, ensure_non_negative=True))


def even(weights: np.ndarray) -> list[float] | None:
    """The weights; none where they are all the same, and so decide nothing."""
    return None if (weights == weights[0]).all() else weights.tolist()


def without_copies(
    features: np.ndarray, targets: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image with its target once, in an order that is theirs, with the weight of all its copies: whoever leaves an image out
    leaves its copies out too, and an image that counts twice is one that is there twice."""
    rows = np.ascontiguousarray(np.hstack([features, targets.astype(np.float32)]))
    rows[rows == 0] = 0  # -0
    keys = rows.view([("", np.void, rows.shape[1] * rows.itemsize)]).ravel()
    _, first, of = np.unique(keys, return_index=True, return_inverse=True)
    summed = np.bincount(of.ravel(), weights=weights, minlength=len(first))
    return np.ascontiguousarray(features[first]), np.ascontiguousarray(targets[first]), summed
