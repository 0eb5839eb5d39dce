"""Features and searches on a cluster of Dask: ``pip install frostline[dask]``.

>>> import frostline.dask
>>> client = distributed.Client("scheduler:8786")
>>> frostline.dask.depth(client, "/shared/model.keras", "/shared/photos", output="best")
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import distributed
import numpy as np

from . import _elsewhere
from ._elsewhere import Embedder, Path
from ._errors import FrostlineError
from ._run import Depth

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._keywords import DepthFlags, EmbedFlags

__all__ = ["depth", "embed"]

# How often a trial is begun again whose worker has died.
RETRIES = 10


def embed(
    client: distributed.Client, model: Any, paths: Iterable[Path], *, batch_size: int = 64, **flags: Unpack[EmbedFlags]
) -> np.ndarray:
    """The features that a model makes of photos, on a cluster: :func:`frostline.embed`, a row a photo.

    Args:
        client: of a cluster of Dask.
        model: a path that every worker sees, or a ``keras.Model``.
        paths: photos, by paths that every worker sees.
        batch_size: photos that a worker takes at a time.

    Raises:
        FrostlineError: a photo that cannot be read.
    """
    files = [os.path.abspath(os.fspath(path)) for path in paths]
    batches = [files[begin : begin + batch_size] for begin in range(0, len(files), batch_size)]
    held = client.scatter(Embedder(model, **flags), broadcast=True)
    parts = client.gather(client.map(_features, [held] * len(batches), batches, pure=False, retries=RETRIES))
    bad = [error for _, errors in parts for error in errors if error]
    if bad:
        raise FrostlineError(f"{len(bad)} of {len(files)} images could not be read. The first: {bad[0]}")
    return np.concatenate([features for features, _ in parts])


def _features(embedder: Embedder, paths: list[str]) -> tuple[np.ndarray, list[str]]:
    return embedder.of(paths)


def depth(
    client: distributed.Client,
    model: Any,
    data: Path,
    *,
    output: Path,
    progress: bool = True,
    **flags: Unpack[DepthFlags],
) -> Depth:
    """How many layers to reuse, on a cluster: :func:`frostline.depth`, whose result it has to the bit.

    Args:
        client: of a cluster of Dask.
        model: a path that every worker sees, or a ``keras.Model``.
        data: the path of a folder, a CSV or an ``.npz`` that every worker sees.
        output: the folder of the search, on this machine; the same call goes on in it.
        progress: whether lines are written to standard error.

    A trial is trained on one thread, unless ``threads`` says otherwise.
    """
    job = _elsewhere.Job(model, data, output, progress, flags)
    train = functools.partial(_elsewhere.trial, job.work(flags.get("threads") or 1), job.model, job.key)
    under_way: dict[Any, str] = {}
    while True:
        # what takes longest, which is asked for last, begins first
        wanted = [one for one in reversed(job.search.ask()) if one not in under_way.values()]
        under_way.update(zip(client.map(train, wanted, pure=False, retries=RETRIES), wanted, strict=True))
        if not under_way:
            return job.finish()
        for done in list(distributed.wait(list(under_way), return_when="FIRST_COMPLETED").done):
            del under_way[done]
            job.took(done.result(), len(under_way))
