"""Models of Keras, in and out of memory by their config and their variables."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _core
from ._errors import FrostlineError


def is_model(model: Any) -> bool:
    """Whether it is a model of Keras 3 or of tf.keras, which is never imported for this."""
    classes = (getattr(sys.modules.get(name), "Model", None) for name in ("keras", "tf_keras"))
    return any(isinstance(model, kind) for kind in classes if isinstance(kind, type))


def package_of(model: Any) -> Any:
    """The Keras that a model is of."""
    kinds = ("keras", "tf_keras")
    found = (sys.modules.get(name) for name in kinds)
    return next(one for one in found if one is not None and isinstance(model, one.Model))


def variables(model: Any, above: str = "") -> Iterator[tuple[str, str, Any]]:
    """Every weight of a model: the path of its layer, its name below the layer, and the variable.

    Models in models have their layers' paths behind their own. Nothing is found by order.
    """
    for layer in model.layers:
        path = above + layer.name
        if getattr(layer, "quantization_mode", None) or getattr(layer, "lora_enabled", False):
            raise FrostlineError(
                f"layer `{path}` is quantised or has LoRA adapters, which a file of the model has merged into its weights\n"
                "help: save the model, and give the path of its file"
            )
        if is_model(layer):
            yield from variables(layer, f"{path}/")
        else:
            for variable in layer.weights:
                yield path, below(layer.name, variable), variable


def below(layer: str, variable: Any) -> str:
    """The name of a variable below its layer: ``kernel``, ``forward_lstm/lstm_cell/kernel``."""
    whole = (getattr(variable, "path", None) or variable.name).split(":")[0]
    parts = whole.split("/")
    rest = parts[parts.index(layer) + 1 :] if layer in parts else []
    return "/".join(rest or parts[-1:])


def taken(model: Any, custom: Sequence[str]) -> _core.Model:
    """A model of Keras as frostline has it. The model itself is left as it is."""
    try:
        config = model.to_json()
    except (NotImplementedError, TypeError, ValueError) as error:
        raise FrostlineError(
            f"`{model.name}` has no config: {error}\n"
            "help: models of a class of your own (subclassed) say nothing of their layers; build it from layers: Sequential or Functional"
        ) from error
    version = str(getattr(package_of(model), "__version__", "3"))
    found = [
        (layer, name, np.ascontiguousarray(np.asarray(variable), dtype=np.float32))
        for layer, name, variable in variables(model)
    ]
    return _core.Model.from_keras(model.name, config, version, found, list(custom))


def given_back(model: _core.Model, keras: Any = None) -> Any:
    """A model of the user's Keras with these layers and weights.

    Args:
        keras: the package; by default the one that is imported already, else the one that is installed.
    """
    if keras is None:
        try:
            keras = importlib.import_module("keras")
        except ImportError as error:
            raise FrostlineError(
                f"there is no Keras to make a model of: {error}\nhelp: pip install keras, with a backend; or take the file of the run"
            ) from error
    made = keras.models.model_from_json(model.keras_config())
    names, held = [], []
    for layer, name, variable in variables(made):
        names.append((layer, name, [int(extent) for extent in variable.shape]))
        held.append(variable)
    for path, variable in zip(model.keras_places(names), held, strict=True):
        variable.assign(model.weight(path))
    return made


def class_names(model: _core.Model) -> list[str] | None:
    """The names of a model's classes, where it has any."""
    names: list[str] | None = json.loads(model.info()).get("classes")
    return names
