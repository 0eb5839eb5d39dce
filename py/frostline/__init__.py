"""Reuse the lower layers of a pretrained network for your own task.

>>> import frostline as fl
>>> run = fl.reuse(keras.applications.MobileNetV2(), "photos/")
>>> run.model            # a keras.Model
>>> run.verdict          # what to expect of new photos

The functions are the commands of ``frostline``, with keyword arguments for flags, the same defaults and the same code behind
both. Only NumPy is needed; Keras, PyTorch, Pillow, tf.data and datasets are used where you hand over what is theirs.
"""

from ._api import convert, depth, embed, explain, load, plan, predict, reuse
from ._core import __version__
from ._errors import ArgumentError, FrostlineError, FrostlineWarning
from ._model import Model
from ._run import Depth, Explanation, Features, Predictions, Run

__all__ = [
    "ArgumentError",
    "Depth",
    "Explanation",
    "Features",
    "FrostlineError",
    "FrostlineWarning",
    "Model",
    "Predictions",
    "Run",
    "__version__",
    "convert",
    "depth",
    "embed",
    "explain",
    "load",
    "plan",
    "predict",
    "reuse",
]
