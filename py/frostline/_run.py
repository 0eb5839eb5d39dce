"""What the functions return."""

from __future__ import annotations

import dataclasses
import functools
import html
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ._model import Model


class Run:
    """A training that is done, as :func:`frostline.reuse` returns it.

    Its folder is the one of ``frostline train``: every function takes the run in the place of a model, and follows what was
    saved with it. In a notebook it shows its report.
    """

    def __init__(
        self,
        handle: Model,
        record: dict[str, Any],
        verdict: str,
        folder: pathlib.Path,
        keeps: tempfile.TemporaryDirectory[str] | None,
    ) -> None:
        self.handle = handle
        """The model with its new weights, in frostline's memory."""
        self.record = record
        """What ``run.json`` holds."""
        self.verdict = verdict
        """What came of it in one sentence, as the command line prints it: what to expect of new photos."""
        self.path = folder
        """The folder of the run. Without ``output`` it is a temporary one, which goes with this object."""
        self._keeps = keeps

    @property
    def _run_folder(self) -> pathlib.Path:
        return self.path

    @functools.cached_property
    def model(self) -> Any:
        """The model as a ``keras.Model`` of your Keras, made in memory by its config and its weights. Needs Keras 3."""
        return self.handle.to_keras()

    @property
    def classes(self) -> list[str]:
        """The classes, in the order of the outputs; empty where numbers are learned."""
        return list(self.record["classes"])

    @property
    def scores(self) -> dict[str, Any]:
        """Loss and metrics by part: ``train``, ``val``, ``test``; ``estimate`` is what to expect of new photos, with its 95 %
        interval, where the head was solved. Parts that there are none of are left out."""
        parts = {name: self.record.get(name) for name in ("train", "val", "test", "estimate")}
        return {name: scores for name, scores in parts.items() if scores is not None}

    @property
    def certificate(self) -> dict[str, Any]:
        """The hashes of all frozen tensors ``before`` and ``after``, and whether they are ``equal``."""
        certificate: dict[str, Any] = self.record["certificate"]
        return certificate

    @property
    def notes(self) -> list[str]:
        """What you were told."""
        return list(self.record["notes"])

    @property
    def report(self) -> str:
        """The report as a page of HTML, which loads nothing and has no script."""
        return (self.path / "report.html").read_text(encoding="utf-8")

    def save(self, path: str | os.PathLike[str]) -> pathlib.Path:
        """Writes the model, by the ending: ``.keras``, ``.h5``, ``.weights.h5``, ``.safetensors``, ``.onnx``."""
        from ._api import convert

        return convert(self, path)

    def _repr_html_(self) -> str:
        return framed(self.report)

    def __repr__(self) -> str:
        return f"<frostline.Run {self.path}: {self.verdict}>"


class Depth:
    """How many layers to reuse, as :func:`frostline.depth` returns it."""

    def __init__(self, document: dict[str, Any], folder: pathlib.Path | None) -> None:
        self.document = document
        """What ``frostline depth --json`` prints."""
        self.path = folder
        """The folder of the search, where ``output`` was given."""

    @property
    def _run_folder(self) -> pathlib.Path | None:
        return self.path

    @property
    def verdict(self) -> str | None:
        """What was found in a few sentences; none where nothing was trained."""
        found = self.document.get("verdict")
        return None if found is None else found["text"]

    @property
    def reuse_helps(self) -> bool | None:
        """Whether reuse is better than training from scratch; none where too little was trained to say so."""
        found = self.document.get("verdict")
        return None if found is None else found["reuse_helps"]

    @property
    def recommended(self) -> dict[str, Any] | None:
        """The arm to take: how much is kept, and how much of it trains."""
        found = self.document.get("verdict")
        return None if found is None else found["recommended"]

    @property
    def arms(self) -> list[dict[str, Any]]:
        """Every arm that was trained, with its scores."""
        return list(self.document.get("arms", []))

    @property
    def scores(self) -> list[dict[str, Any]]:
        """What the features of every cut say, without training."""
        return list(self.document.get("scores", []))

    @property
    def report(self) -> str | None:
        """The report as a page of HTML; none where nothing was trained."""
        return None if self.path is None else (self.path / "report.html").read_text(encoding="utf-8")

    def _repr_html_(self) -> str:
        page = self.report
        return f"<pre>{html.escape(repr(self))}</pre>" if page is None else framed(page)

    def __repr__(self) -> str:
        return f"<frostline.Depth: {self.verdict or f'scores of {len(self.scores)} cuts'}>"


@dataclasses.dataclass
class Predictions(Sequence[dict[str, Any]]):
    """What a model says of images, as :func:`frostline.predict` returns it: a sequence of what ``frostline predict --json``
    prints, an image each."""

    lines: list[dict[str, Any]]
    """Of each image ``class``, ``index``, ``score`` and ``scores``; or ``labels``, or ``value``."""
    outputs: list[np.ndarray]
    """The raw outputs, for each output of the model an array of float32, ``[images, …]``."""

    @property
    def classes(self) -> list[str]:
        """The class of each image."""
        return [line["class"] for line in self.lines]

    @property
    def scores(self) -> np.ndarray:
        """The scores, ``[images, classes]``, float32."""
        return np.array([line["scores"] for line in self.lines], dtype=np.float32)

    def __len__(self) -> int:
        return len(self.lines)

    def __getitem__(self, index: Any) -> Any:
        return self.lines[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.lines)


@dataclasses.dataclass
class Features:
    """Features of images, as :func:`frostline.embed` returns them."""

    features: np.ndarray
    """``[images, width]``, float32; with ``pooling="none"`` in the layer's shape."""
    labels: np.ndarray
    """The class's number, -1 where there is none; of several labels zeros and ones, ``[images, labels]``; else numbers."""
    paths: list[str]
    """What each image is called."""
    part: list[str]
    """The part of each: ``train``, ``val`` or ``test``."""
    classes: list[str]
    """The names of the classes."""
    layer: str
    """The layer whose output it is."""
    computed: int
    """How many images were computed; the others' features were in the cache."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.features, dtype=dtype, copy=copy) if copy else np.asarray(self.features, dtype=dtype)


@dataclasses.dataclass
class Explanation:
    """Where a model sees the class of an image, as :func:`frostline.explain` returns it."""

    name: str
    """The class that is explained."""
    index: int
    """Its number."""
    score: float
    """What the model gives it."""
    layer: str
    """The layer whose output the map is made of."""
    map: np.ndarray
    """The heat map, ``[height, width]`` of the layer's grid, float32 from 0 to 1."""
    overlay: np.ndarray
    """The photo with the map over it, ``[height, width, 3]``, uint8."""


def framed(page: str) -> str:
    """A page in a frame of its own: it keeps its style, and a notebook keeps its own."""
    return f'<iframe sandbox srcdoc="{html.escape(page, quote=True)}" style="width: 100%; height: 640px; border: 0"></iframe>'
