"""The functions: the commands of ``frostline``, with keyword arguments for flags."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, _data, _flags
from ._errors import ArgumentError, FrostlineError, FrostlineWarning
from ._model import Model, customs, given
from ._progress import Progress
from ._run import Depth, Explanation, Features, Predictions, Run

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._keywords import ConvertFlags, DepthFlags, EmbedFlags, ExplainFlags, PlanFlags, PredictFlags, TrainFlags

Path = str | os.PathLike[str]

# Images that are predicted at a time: between them Ctrl-C is looked for.
CHUNK = 64


def _here(output: Path) -> pathlib.Path:
    """Where a result is written, which is read again from there."""
    text = os.fspath(output)
    if "://" in text:
        raise ArgumentError(
            f"`output` is `{text}`, and is read again from this machine\nhelp: give a folder here, or call the command line with -o"
        )
    return pathlib.Path(text)


@_flags.documented("train")
def reuse(
    model: Any, data: Any, *, output: Path | None = None, progress: bool = True, **flags: Unpack[TrainFlags]
) -> Run:
    """Reuses a model's lower layers for new data: ``frostline train``.

    Without flags the head is solved, on the features of the frozen layers, and the run says what to expect of new photos.

    Args:
        model: a path, a ``keras.Model``, a module of torchvision or timm, or what :func:`load` returns. It is left as it is.
        data: a path or an address (a folder with one folder a class, a CSV, an ``.npz``, ``.tar`` or ``.parquet`` files; here or at
            ``s3://``, ``gs://``, ``az://``, ``https://``); ``(x, y)``, where ``x`` is an array
            ``[images, height, width, channels]``, of which uint8 and float32 are read where they lie, or a list of paths,
            pictures of Pillow, bytes of files, or arrays of uint8, and ``y`` is a label each; ``{"x_train": …, "y_train": …,
            "x_test": …, "y_test": …}``; a ``tf.data.Dataset`` of ``(image, label)``; a Hugging Face dataset.
        output: the folder of the run; by default a temporary one, which goes with the result.
        progress: whether lines and bars are written to standard error.

    Returns:
        The run: ``run.model`` is a ``keras.Model``, ``run.verdict`` a sentence, ``run.report`` a page.

    Raises:
        ArgumentError: keywords that cannot be, or that do not fit the model or the data.
        FrostlineError: all else that goes wrong; ``error.help`` says what can be done.
        KeyboardInterrupt: Ctrl-C. With ``output``, a training by steps leaves a checkpoint, which ``resume=True`` goes on from.

    Example:
        >>> import frostline as fl
        >>> run = fl.reuse(keras.applications.MobileNetV2(), "photos/")
        >>> run.verdict
        'expect 93.1 % of new photos like these to be right (95 % interval 90.0 to 95.4): …'
        >>> run.model.predict(images)
    """
    said = dict(flags)
    taken, read = given(model, said), _data.given(data)
    words = _flags.words("train", said, without=("output", "json"))
    keeps = tempfile.TemporaryDirectory(prefix="frostline-") if output is None else None
    folder = pathlib.Path(keeps.name) / "run" if keeps else _here(output or "")
    held, record, verdict = _core.train(taken, read, folder, words, Progress(progress))
    return Run(Model(held), json.loads(record), verdict, folder, keeps)


@_flags.documented("plan")
def plan(model: Any, data: Any, *, progress: bool = True, **flags: Unpack[PlanFlags]) -> dict[str, Any]:
    """What :func:`reuse` will do and cost, from a dry run on a few images: ``frostline plan``.

    Args:
        model: as for :func:`reuse`.
        data: as for :func:`reuse`.
        progress: whether lines and bars are written to standard error.

    Returns:
        What ``frostline plan --json`` prints: ``images``, ``stages``, ``boundaries``, ``peak_bytes``, ``seconds``, …

    Example:
        >>> fl.plan("model.keras", "photos/", unfreeze=20)["seconds"]
        41.7
    """
    said = dict(flags)
    taken, read = given(model, said), _data.given(data)
    found: dict[str, Any] = json.loads(_core.plan(taken, read, _flags.words("plan", said), Progress(progress)))
    return found


@_flags.documented("depth")
def depth(
    model: Any, data: Any, *, output: Path | None = None, progress: bool = True, **flags: Unpack[DepthFlags]
) -> Depth:
    """How many layers to reuse: ``frostline depth``.

    Args:
        model: as for :func:`reuse`.
        data: as for :func:`reuse`.
        output: the folder of the search, which goes on in it when it was ended. Without it cuts are scored, and nothing is
            trained.
        progress: whether lines and bars are written to standard error.

    Example:
        >>> found = fl.depth("model.keras", "photos/", output="search", budget="10m")
        >>> found.verdict, found.reuse_helps
    """
    said = dict(flags)
    taken, read = given(model, said), _data.given(data)
    folder = None if output is None else _here(output)
    found = _core.depth(taken, read, folder, _flags.words("depth", said), Progress(progress))
    return Depth(json.loads(found), folder)


@_flags.documented("embed")
def embed(model: Any, data: Any, *, progress: bool = True, **flags: Unpack[EmbedFlags]) -> Features:
    """The features that a model makes of images: ``frostline embed``, into memory.

    Args:
        model: as for :func:`reuse`.
        data: as for :func:`reuse`; or images without labels: an array, a list, a folder of photos.
        progress: whether lines and bars are written to standard error.

    Returns:
        ``features``, ``[images, width]`` of float32, with ``labels``, ``paths``, ``part``, ``classes`` and ``layer``.

    Example:
        >>> found = fl.embed("model.keras", "photos/", cut="block_13_project_BN")
        >>> found.features.shape
        (392, 160)
    """
    said = dict(flags)
    taken, read = given(model, said), _data.given(data)
    return Features(**_core.embed(taken, read, _flags.words("embed", said), Progress(progress)))


@_flags.documented("predict")
def predict(model: Any, images: Any, *, progress: bool = True, **flags: Unpack[PredictFlags]) -> Predictions:
    """The classes and scores of images: ``frostline predict``.

    Args:
        model: as for :func:`reuse`; or a run, which is followed in all that was saved with it.
        images: one image or a list of them: paths, pictures of Pillow, bytes of files, arrays of uint8, which are decoded,
            resized and preprocessed as the model was trained. An array ``[images, …]`` of four axes, or of float32, is a batch
            in the model's own input layout, as ``model.predict`` takes it: nothing is resized, nothing scaled. A tuple of
            arrays is a batch for each input.
        progress: whether bars are written to standard error.

    Example:
        >>> fl.predict(run, ["a.jpg", "b.jpg"]).classes
        ['pizza', 'soup']
    """
    said = dict(flags)
    taken, tell = given(model, said), Progress(progress)
    predictor = _core.Predictor(taken, _flags.words("predict", said), tell)
    batches = batches_of(images)
    found = Predictions([], [])
    if batches is not None:
        arrays, count = batches, len(batches[0])
        chunks = (
            predictor.rows(arrays, start, min(start + CHUNK, count)) for start in range(0, max(count, 1), CHUNK)
        )
    else:
        items = [_data.picture(one) for one in (images if isinstance(images, (list, tuple)) else [images])]
        items = [path for item in items for path in pictures_in(item)]
        count = len(items)
        chunks = (predictor.pictures(items[start : start + CHUNK]) for start in range(0, count, CHUNK))
    outputs: list[list[np.ndarray]] = []
    bad: list[str] = []
    told: set[str] = set()
    done = 0
    for lines, of_chunk, notes in chunks:
        for note in [note for note in notes if note not in told]:
            told.add(note)
            warnings.warn(note, FrostlineWarning, stacklevel=2)
        done += len(lines)
        bad += [wrong for _, wrong in lines if wrong is not None]
        found.lines += [json.loads(line) if line else {"image": None} for line, wrong in lines if wrong is None]
        outputs.append(of_chunk)
        tell("count", "predicting", done, count)
    if bad:
        raise FrostlineError(f"{len(bad)} of {count} images could not be read. The first: {bad[0]}")
    found.outputs = [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
    return found


def batches_of(images: Any) -> list[np.ndarray] | None:
    """The batches in a model's own layout, one an input; none where pictures are given."""
    arrays = images if isinstance(images, tuple) else (images,)
    if not all(_data.is_array(array) for array in arrays):
        return None
    found = [np.asarray(array) for array in arrays]
    if all(array.dtype == np.uint8 and array.ndim in (2, 3) for array in found):
        return None
    return [np.ascontiguousarray(array, dtype=np.float32) for array in found]


def pictures_in(item: Any) -> list[Any]:
    """A picture; or the pictures of a folder, in their order."""
    return _core.pictures_in(item) if isinstance(item, str) and os.path.isdir(item) else [item]


@_flags.documented("explain")
def explain(
    model: Any, images: Any, *, progress: bool = True, **flags: Unpack[ExplainFlags]
) -> Explanation | list[Explanation]:
    """Where in images a model sees their class, as heat maps (Grad-CAM): ``frostline explain``.

    Args:
        model: as for :func:`predict`.
        images: an image, or a list of them: paths, pictures of Pillow, bytes of files, arrays of uint8.
        progress: whether bars are written to standard error.

    Returns:
        An explanation, or of a list a list of them.

    Example:
        >>> PIL.Image.fromarray(fl.explain(run, "photo.jpg").overlay)
    """
    said = dict(flags)
    several = isinstance(images, (list, tuple))
    items = [_data.picture(one) for one in (images if several else [images])]
    found = _core.explain(given(model, said), items, _flags.words("explain", said), Progress(progress))
    told = [Explanation(name=one.pop("class"), **one) for one in found]
    return told if several else told[0]


@_flags.documented("convert")
def convert(model: Any, output: Path, *, progress: bool = True, **flags: Unpack[ConvertFlags]) -> pathlib.Path:
    """Writes a model in another format, by the ending: ``.keras``, ``.h5``, ``.weights.h5``, ``.safetensors``, ``.onnx``:
    ``frostline convert``.

    Args:
        model: as for :func:`predict`.
        output: the file to write.
        progress: whether lines are written to standard error.

    Example:
        >>> fl.convert(keras_model, "model.onnx")
    """
    said, path = dict(flags), _here(output)
    _core.convert(given(model, said), path, _flags.words("convert", said), Progress(progress))
    return path


def load(model: Any, *, arch: str | None = None, custom: Any = None) -> Model:
    """Loads a model once, for several calls: a ``.keras``, ``.h5``, ``.onnx`` or ``.safetensors`` file, or the folder of a run;
    or takes over a ``keras.Model``, or a module of torchvision or timm.

    Args:
        model: as for :func:`reuse`.
        arch: what a ``.safetensors`` file, or a module, of torchvision or timm is, by its name there.
        custom: what layers of your own classes are: ``{"Swish": "silu"}``.

    Example:
        >>> model = fl.load("model.keras")
        >>> model.to_keras().summary()
    """
    said: dict[str, Any] = {"arch": arch, "custom": customs(custom)}
    taken = given(model, said)
    if isinstance(taken, str):
        taken = _core.Model.load(taken, _flags.words("inspect", said), Progress(True))
    return Model(taken)
