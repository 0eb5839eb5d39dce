"""What processes on other machines do for a search and for features: the same for Ray and for Dask."""

from __future__ import annotations

import functools
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import _core, _data, _flags
from ._errors import ArgumentError, FrostlineError
from ._model import given
from ._progress import Progress
from ._run import Depth

Path = str | os.PathLike[str]

# Columns of batches that hold pictures, in the order in which they are looked for.
COLUMNS = ("bytes", "path", "image", "item")


class Embedder:
    """Makes features of batches of pictures, which it decodes itself. What it takes is loaded once, where it is called first.

    Args:
        model: a path that every worker sees, or a ``keras.Model``.
        column: the column of a batch that holds paths, or bytes of files; by default ``bytes``, ``path``, ``image`` or ``item``.
        flags: as for :func:`frostline.embed`. Nothing is kept in a cache unless ``cache`` names one.

    A batch gets the columns ``features`` and ``error``: where a picture cannot be read the error says why, and its features are
    not numbers.
    """

    def __init__(self, model: Any, column: str | None = None, **flags: Any) -> None:
        self.model, self.column, self.flags = model, column, flags

    @functools.cached_property
    def _held(self) -> _core.PictureEmbedder:
        said = dict(self.flags)
        if said.get("cache") is None:
            said["no_cache"] = True
        taken = given(self.model, said)
        return _core.PictureEmbedder(taken, _flags.words("embed", said), Progress(False))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_held"}

    def of(self, pictures: Sequence[Any]) -> tuple[np.ndarray, list[str]]:
        """The features of pictures, ``[pictures, …]``, and of each what is wrong with it, an empty text mostly."""
        features, errors = self._held.of([_data.picture(one) for one in pictures])
        return features, [error or "" for error in errors]

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        names = [self.column] if self.column else [name for name in COLUMNS if name in batch]
        if not names or names[0] not in batch:
            raise ArgumentError(
                f"a batch has the columns {', '.join(map(str, batch))}, and none of {self.column or ', '.join(COLUMNS)}\n"
                "help: name the column of paths or of bytes of files with `column`"
            )
        features, errors = self.of(list(batch[names[0]]))
        return {**batch, "features": features, "error": np.array(errors, dtype=object)}


# What this worker has loaded, by the search that it is for: the last one alone.
_loaded: dict[tuple[str, str], _core.TrialRunner] = {}


def trial(job: str, model: Any, key: str, wanted: str) -> str:
    """Trains a trial on a worker: a pure function of what is given to it. Returns a line of ``search.jsonl``.

    Raises:
        FrostlineError: the worker sees another model or other images, or is another kind of machine.
    """
    runner = _loaded.get((job, key))
    if runner is None:
        data, flags = json.loads(job)
        runner = _core.TrialRunner(given(model, {}), data, flags, Progress(False))
        here, there = json.loads(runner.key()), json.loads(key)
        differ = [name for name in there if here.get(name) != there[name]]
        if differ:
            raise FrostlineError(
                f"a worker does not see what the search does: {', '.join(differ)} differ\n"
                "help: give paths that lead to the same files on all machines, and machines of one kind"
            )
        _loaded.clear()
        _loaded[job, key] = runner
    return runner.run(wanted)


class Job:
    """A search whose trials others train: what they are given, and what the search asks for."""

    def __init__(self, model: Any, data: Path, output: Path, progress: bool, flags: Mapping[str, Any]) -> None:
        said = dict(flags)
        if not isinstance(data, (str, os.PathLike)):
            raise ArgumentError(
                "the data are in the memory of this process, and other processes train\n"
                "help: give the path of a folder, a CSV or an .npz that all of them see"
            )
        if "budget" in said:
            raise ArgumentError("`budget` is no keyword of this function\nhelp: leave it out; a search that is ended goes on")
        self.tell, self.output = Progress(progress), pathlib.Path(os.fspath(output))
        self.model = os.path.abspath(model) if isinstance(model, (str, os.PathLike)) else model
        words = _flags.words("depth", said)
        where = os.path.abspath(os.fspath(data))
        self.search = _core.AskedSearch(given(self.model, said), where, self.output, words, self.tell)
        self.key = self.search.key()
        self.words, self.where = words, where

    def work(self, threads: int) -> str:
        """What a worker with so many threads is given. Outcomes do not depend on their number."""
        flags = [word for word in self.words if not word.startswith("--threads")]
        return json.dumps([self.where, [*flags, f"--threads={threads}"]])

    def took(self, line: str, left: int) -> None:
        """Takes a line from a worker."""
        self.search.tell(line)
        told = json.loads(line)
        self.tell("progress", f"[{left} under way] split {told['repeat'] + 1}: `{told['arm']}` ({told['seconds']:.1f} s)", 0, 0)

    def finish(self) -> Depth:
        """Chooses, and writes the run."""
        return Depth(json.loads(self.search.finish(self.tell)), self.output)
