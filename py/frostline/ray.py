"""Features and searches on a cluster of Ray: ``pip install frostline[ray]``.

>>> import frostline.ray
>>> photos = ray.data.read_binary_files("/shared/photos")
>>> frostline.ray.embed("/shared/model.keras", photos).write_parquet("/shared/features")
>>> frostline.ray.depth("/shared/model.keras", "/shared/photos", output="best")
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import ray

from . import _elsewhere
from ._elsewhere import Embedder, Path
from ._run import Depth

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._keywords import DepthFlags, EmbedFlags

__all__ = ["Embedder", "depth", "embed"]

# How often a trial is begun again whose worker has died.
RETRIES = 10


def embed(
    model: Any,
    data: Any,
    *,
    column: str | None = None,
    workers: int | tuple[int, int] | None = None,
    cpus: int = 1,
    batch_size: int = 64,
    **flags: Unpack[EmbedFlags],
) -> Any:
    """The features that a model makes of pictures, on a cluster: :func:`frostline.embed` as a dataset of Ray.

    Args:
        model: a path that every worker sees, or a ``keras.Model``.
        data: a dataset of Ray with a column of paths or of bytes of files, as ``ray.data.read_binary_files`` gives, or a list of
            paths that every worker sees. frostline decodes them itself, as it does everywhere: pixels are the same.
        column: the column that holds them; by default ``bytes``, ``path``, ``image`` or ``item``.
        workers: how many processes work, or between how many; by default as many as there is room for.
        cpus: how many processors each has.
        batch_size: pictures that a worker takes at a time.

    Returns:
        A dataset with the columns ``features`` and ``error`` besides, in the order of the data. Where a picture cannot be read,
        ``error`` says why, and its features are not numbers.

    Example:
        >>> fl.ray.embed("model.keras", ray.data.read_binary_files("/shared/photos")).write_parquet("/shared/features")
    """
    import ray.data

    if not isinstance(data, ray.data.Dataset):
        data = ray.data.from_items([{"path": os.path.abspath(os.fspath(path))} for path in data])
    least, most = workers if isinstance(workers, tuple) else (workers, workers)
    if most is None:
        least, most = 1, max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus)
    return data.map_batches(
        Embedder,
        fn_constructor_args=[model, column],
        fn_constructor_kwargs={"threads": cpus, **flags},
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=cpus,
        batch_size=batch_size,
    )


def depth(
    model: Any, data: Path, *, output: Path, cpus: int = 1, progress: bool = True, **flags: Unpack[DepthFlags]
) -> Depth:
    """How many layers to reuse, on a cluster: :func:`frostline.depth`, whose result it has to the bit.

    The search runs here, and asks for trials, which workers train. A worker that is killed loses its own trial alone, which is begun
    again. Where this process is killed, the same call goes on.

    Args:
        model: a path that every worker sees, or a ``keras.Model``.
        data: the path of a folder, a CSV or an ``.npz`` that every worker sees.
        output: the folder of the search, on this machine.
        cpus: how many processors a trial has.
        progress: whether lines are written to standard error.

    Example:
        >>> fl.ray.depth("/shared/model.keras", "/shared/photos", output="best", cpus=4).verdict
    """
    job = _elsewhere.Job(model, data, output, progress, flags)
    train = ray.remote(num_cpus=cpus, max_retries=RETRIES)(_elsewhere.trial)
    work, held = job.work(cpus), ray.put(job.model)
    under_way: dict[Any, str] = {}
    while True:
        # what takes longest, which is asked for last, begins first
        for wanted in reversed(job.search.ask()):
            if wanted not in under_way.values():
                under_way[train.remote(work, held, job.key, wanted)] = wanted
        if not under_way:
            return job.finish()
        for done in ray.wait(list(under_way))[0]:
            del under_way[done]
            job.took(ray.get(done), len(under_way))
