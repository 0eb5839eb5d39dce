"""Modules of torchvision and timm, by their state dicts."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from . import _core
from ._errors import ArgumentError


def is_module(model: Any) -> bool:
    """Whether it has a state dict, as PyTorch's modules do, which is never imported for this."""
    return callable(getattr(model, "state_dict", None)) and callable(getattr(model, "named_modules", None))


def architecture(model: Any, arch: str | None) -> str:
    """What the module is, as ``--arch`` has it: as it is told, or as timm says of its own."""
    if arch:
        return arch
    said: Any = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {}
    said = said if isinstance(said, Mapping) else vars(said)
    name, tag = said.get("architecture"), said.get("tag")
    if not name:
        raise ArgumentError(
            f"`{type(model).__name__}` does not say which architecture it is\n"
            "help: give it by its name in torchvision or timm: `arch=\"resnet50\"`"
        )
    return f"{name}.{tag}" if tag else str(name)


def taken(model: Any, arch: str | None, image_size: tuple[int, int] | None) -> _core.Model:
    """A module as frostline has it. The module itself is left as it is."""
    name = architecture(model, arch)
    tensors = {key: numbers(value) for key, value in model.state_dict().items()}
    return _core.Model.from_state_dict(name, safetensors(tensors), name, image_size)


def numbers(tensor: Any) -> np.ndarray:
    """A tensor of PyTorch, or what is one already, as float32."""
    if callable(getattr(tensor, "detach", None)):
        tensor = tensor.detach().cpu().float().numpy()
    return np.ascontiguousarray(tensor, dtype="<f4")


def safetensors(tensors: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of a safetensors file: the length of a header, the header, the values."""
    header, at = {}, 0
    for name, tensor in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + tensor.nbytes]}
        at += tensor.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *(tensor.tobytes() for tensor in tensors.values())])
