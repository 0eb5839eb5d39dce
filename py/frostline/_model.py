"""Models as every function takes them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _core, _keras, _torch
from ._errors import ArgumentError
from ._progress import Progress


class Model:
    """A model in frostline's memory, as :func:`frostline.load` returns it. Every function takes it in the place of a path.

    Example:
        >>> model = fl.load("model.keras")
        >>> model.layers[0]["path"], model.params
        ('input_layer', 2257984)
    """

    def __init__(self, held: _core.Model) -> None:
        self._held = held
        self._told: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """What it is called: its file, or the name of its Keras model."""
        return os.fspath(self._held.name)

    def inspect(self) -> dict[str, Any]:
        """What ``frostline inspect --json`` says: layers, cut points, preprocessing, what became of every tensor."""
        if self._told is None:
            self._told = json.loads(_core.inspect(self._held, [], Progress(False)))
        assert self._told is not None
        return self._told

    @property
    def layers(self) -> list[dict[str, Any]]:
        """Of each layer its path, kind, output shape, parameters, and whether the model can be cut above it."""
        layers: list[dict[str, Any]] = self.inspect()["layers"]
        return layers

    @property
    def params(self) -> int:
        """How many numbers its weights are."""
        return int(self.inspect()["params"])

    @property
    def classes(self) -> list[str] | None:
        """The names of its classes, where it has any."""
        return _keras.class_names(self._held)

    def weights(self) -> dict[str, np.ndarray]:
        """A copy of every weight by its path, float32, in Keras's layout."""
        return {path: self._held.weight(path) for path in self._held.weights()}

    def to_keras(self) -> Any:
        """A ``keras.Model`` of your Keras, in memory. Needs Keras 3."""
        return _keras.given_back(self._held)

    def __repr__(self) -> str:
        return f"<frostline.Model {self.name}>"


def given(model: Any, flags: dict[str, Any]) -> str | _core.Model:
    """A model as the core takes it. What is said of a model in memory is taken out of the flags."""
    # a run is its folder: with the rule for what is none of the classes
    folder = getattr(model, "_run_folder", None)
    if folder is not None:
        return str(folder)
    if isinstance(model, (str, os.PathLike)):
        path: str = os.fspath(model)
        return path
    if isinstance(model, Model):
        held: _core.Model = model._held
        return held
    if _keras.is_model(model):
        return _keras.taken(model, customs(flags.pop("custom", None)))
    if _torch.is_module(model):
        size = flags.get("image_size")
        pair = (size, size) if isinstance(size, int) else tuple(size) if isinstance(size, (tuple, list)) else None
        return _torch.taken(model, flags.pop("arch", None), pair)
    raise ArgumentError(
        f"a model of the type `{type(model).__name__}` is not read\n"
        "help: give a path, a keras.Model, a module of torchvision or timm, what fl.load returns, or a run"
    )


def customs(given: Any) -> list[str]:
    """What custom layers are, as ``NAME=WHAT``."""
    if given is None:
        return []
    if isinstance(given, str):
        return [given]
    if isinstance(given, Mapping):
        return [f"{name}={what}" for name, what in given.items()]
    return [str(one) for one in given]
