"""Recipes that train the whole network, in real Keras and in fastai, with settings that are the same for all tasks.

Each is an object with `fits(task)` and a call that takes the task, the pixels and classes to train on, the tests' pixels and a
seed, and returns the classes that it predicts.
"""

import importlib.util
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import pathlib
import sys

import keras
import numpy as np
from features import pixels
from outcomes import rows_of
from sklearn.linear_model import LogisticRegressionCV

# bench/depth/peers.py, by another name: there is a peers.py here too
DEPTH = pathlib.Path(__file__).resolve().parents[1] / "depth"
sys.path.insert(0, str(DEPTH))
spec = importlib.util.spec_from_file_location("of_depth", DEPTH / "peers.py")
of_depth = importlib.util.module_from_spec(spec)
spec.loader.exec_module(of_depth)

BATCH, HEAD_EPOCHS, FINE_TUNE_EPOCHS = 32, 30, 15


def images(task, split):
    """Pixels 0 to 255 and classes of the training images, and of the tests."""
    if (task / f"split_{split}.csv").exists():
        size = keras.models.load_model(task / "model.keras").input_shape[1]
        return [(pixels(paths, size), y) for paths, y in rows_of(task, split)]
    data = np.load(task / f"split_{split}.npz")
    return [(data[f"x_{part}"], data[f"y_{part}"]) for part in ("train", "test")]


def in_batches(function, x):
    return np.concatenate([np.asarray(function(x[at : at + BATCH].astype("float32"))) for at in range(0, len(x), BATCH)])


class InKeras:
    """A frozen backbone up to the features that the model's own output layer reads, and a new head on it."""

    def fits(self, task):
        return True

    def __call__(self, task, x, y, x_test, seed):
        keras.utils.set_random_seed(seed)
        model = keras.models.load_model(task / "model.keras")
        base = keras.Model(model.inputs[0], model.layers[-2].output)
        base.trainable = False
        image = keras.Input(model.input_shape[1:])
        head = keras.layers.Dense(int(y.max()) + 1, activation="softmax")
        # in inference mode, BatchNormalization keeps its statistics when its weights train, as the guide says
        whole = keras.Model(image, head(keras.layers.Dropout(self.dropout)(base(image, training=False))))
        # the base is frozen, and no image is changed at random: the head trains on features that are computed once
        features = in_batches(lambda batch: base(batch, training=False), x)
        self.train_head(head, features, y)
        base.trainable = True
        steps = FINE_TUNE_EPOCHS * -(-len(x) // BATCH)
        whole.compile(self.optimizer(steps), "sparse_categorical_crossentropy")
        whole.fit(x.astype("float32"), y, batch_size=BATCH, epochs=FINE_TUNE_EPOCHS, verbose=0)
        return in_batches(lambda batch: whole(batch, training=False), x_test).argmax(1)


class Guide(InKeras):
    """Keras's guide "Transfer learning & fine-tuning": a head with Dropout(0.2) by Adam at 1e-3, then the whole network at 1e-5.
    The guide trains for 2 + 1 epochs of thousands of photos, this for 30 + 15 epochs of about a hundred."""

    dropout = 0.2

    def train_head(self, head, features, y):
        top = keras.Sequential([keras.Input(features.shape[1:]), keras.layers.Dropout(self.dropout), head])
        top.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
        top.fit(features, y, batch_size=BATCH, epochs=HEAD_EPOCHS, verbose=0)

    def optimizer(self, steps):
        return keras.optimizers.Adam(1e-5)


class ProbeThenFineTune(InKeras):
    """LP-FT (Kumar et al. 2022): logistic regression on the features, its penalty by cross-validation, is the head from which the
    whole network is fine-tuned, by SGD with momentum 0.9 and a cosine schedule. The paper picks the rate on a validation set; here
    it is 1e-3 for all."""

    dropout = 0.0

    def train_head(self, head, features, y):
        # on the scale of the features
        scale = np.sqrt((features**2).sum(1).mean())
        folds = min(5, int(np.bincount(y).min()))
        found = LogisticRegressionCV(Cs=10.0 ** np.arange(-1, 4), cv=folds, max_iter=1000).fit(features / scale, y)
        weights, bias = found.coef_ / scale, found.intercept_
        if len(weights) == 1:
            weights, bias = np.stack([-weights[0] / 2, weights[0] / 2]), np.array([-bias[0] / 2, bias[0] / 2])
        head.set_weights([weights.T, bias])

    def optimizer(self, steps):
        return keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1e-3, steps), momentum=0.9)


class FastAi:
    """fastai's `fine_tune(30)` with its defaults, on EfficientNet-Lite0 in PyTorch (bench/depth/peers.py)."""

    def fits(self, task):
        return task.name.rpartition("_")[2] == "lite0"

    def __call__(self, task, x, y, x_test, seed):
        import torch

        torch.set_num_threads(1)
        _, train = of_depth.fastai(x.shape[1])
        return train(x.astype("float32"), y, seed)(x_test.astype("float32"))


TRAININGS = {"Keras's guide": Guide(), "LP-FT": ProbeThenFineTune(), "fastai": FastAi()}
