"""Data of Python: arrays, pictures, paths, tf.data, Hugging Face. Nothing is imported for them: they are known by what they can do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _core
from ._errors import ArgumentError

PARTS = ("train", "val", "test")
OTHER_NAMES = {"validation": "val", "valid": "val", "dev": "val", "training": "train", "testing": "test"}
IMAGE_COLUMNS = ("image", "img", "images", "photo", "picture")
LABEL_COLUMNS = ("label", "labels", "class", "target", "fine_label", "coarse_label")
FORMS = (
    "a path, (x, y), {'x_train': …, 'y_train': …}, (paths, labels), (PIL images, labels), a tf.data.Dataset of (image, label), "
    "or a Hugging Face dataset with columns `image` and `label`"
)


def given(data: Any) -> str | _core.Data:
    """Data as the core takes them: a path, or what is in memory."""
    if isinstance(data, (str, os.PathLike)):
        return os.fspath(data)
    if isinstance(data, _core.Data):
        return data
    if is_hugging_face(data):
        return hugging_face({"train": data})
    if isinstance(data, Mapping):
        if data and all(is_hugging_face(part) for part in data.values()):
            return hugging_face(data)
        return parts_of(data)
    if callable(getattr(data, "as_numpy_iterator", None)):
        return tf_data(data)
    if isinstance(data, tuple) and len(data) == 2:
        held = _core.Data("(x, y)")
        part(held, "train", data[0], data[1])
        return held
    if isinstance(data, (np.ndarray, list, tuple)):
        held = _core.Data("x")
        part(held, "train", data, None)
        return held
    raise ArgumentError(f"data of the type `{type(data).__name__}` are not read\nhelp: give {FORMS}")


def part(held: _core.Data, name: str, inputs: Any, labels: Any) -> None:
    """Adds a part: an array whose first axis counts images, or a list of pictures."""
    count: int
    if is_array(inputs):
        array = np.asarray(inputs)
        count = len(array) if array.ndim else 0
        lend(held, name, array)
    else:
        pictures = [picture(one) for one in inputs]
        count = len(pictures)
        held.pictures(name, pictures)
    if count == 0:
        raise ArgumentError("there is no image\nhelp: give at least one")
    if labels is not None:
        label(held, labels)


def is_array(inputs: Any) -> bool:
    """Whether it is one array, not a list of pictures."""
    return isinstance(inputs, np.ndarray) or (hasattr(inputs, "__array__") and not isinstance(inputs, (list, tuple)))


def lend(held: _core.Data, name: str, array: np.ndarray) -> None:
    """Adds an array, which is read where it lies if it is uint8 or float32 in C order."""
    if array.dtype == object or array.dtype.kind in "USV":
        raise ArgumentError(
            f"`x_{name}` holds {array.dtype}\nhelp: give numbers; pictures of several sizes as a list, files as a list of paths"
        )
    if array.dtype == np.uint16 or array.dtype.kind in "biu" and array.dtype != np.uint8:
        kind = "words" if array.dtype == np.uint16 else "integers"
        held.numbers(name, list(array.shape), kind, array.ravel().tolist())
    elif array.dtype == np.uint8:
        held.lend(name, np.ascontiguousarray(array))
    else:
        held.lend(name, np.ascontiguousarray(array, dtype=np.float32))


def label(held: _core.Data, labels: Any) -> None:
    """Labels the part that was added last."""
    array = np.asarray(labels)
    if array.dtype.kind in "SO":
        if not all(isinstance(one, (str, bytes)) for one in array.ravel()):
            raise ArgumentError(
                "labels are neither texts nor numbers\n"
                "help: give one name or number an image; of several labels an image a column of zeros and ones each"
            )
        texts = [one.decode() if isinstance(one, bytes) else str(one) for one in array.ravel()]
        held.labels(list(array.shape), "texts", texts)
    elif array.dtype.kind == "U":
        held.labels(list(array.shape), "texts", array.ravel().tolist())
    elif array.dtype.kind in "biu":
        held.labels(list(array.shape), "integers", array.astype(np.int64).ravel().tolist())
    else:
        held.labels(list(array.shape), "floats", array.astype(np.float32).ravel().tolist())


def parts_of(data: Mapping[str, Any]) -> _core.Data:
    """Arrays as ``keras.datasets`` and ``.npz`` files have them: ``x_train``, ``y_train``, …, ``class_names``."""
    held, left = _core.Data("arrays"), dict(data)
    for name in PARTS:
        inputs, labels = left.pop(f"x_{name}", None), left.pop(f"y_{name}", None)
        if inputs is None and labels is None and name != "train":
            continue
        if inputs is None or labels is None:
            missing = f"{'x' if inputs is None else 'y'}_{name}"
            raise ArgumentError(
                f"there is no `{missing}` (there are: {', '.join(map(str, data))})\n"
                "help: name the arrays `x_train`, `y_train` and, if there are any, `x_test`, `y_test`"
            )
        part(held, name, inputs, labels)
    names = left.pop("class_names", None)
    if names is not None:
        held.class_names([str(name) for name in names])
    if left:
        raise ArgumentError(f"`{next(iter(left))}` is no part of the data\nhelp: give {FORMS}")
    return held


def picture(item: Any) -> Any:
    """A picture as the core takes it: a path, the bytes of a file, or pixels of height x width x channels."""
    if isinstance(item, (str, os.PathLike)):
        return os.fspath(item)
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    if isinstance(item, Mapping):  # as Hugging Face has files that are not decoded
        return bytes(item["bytes"]) if item.get("bytes") is not None else os.fspath(item["path"])
    if callable(getattr(item, "convert", None)) and hasattr(item, "getexif"):
        return of_pillow(item)
    array = np.asarray(item)
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise ArgumentError(
            f"a picture is an array of {array.dtype} with the shape {array.shape}\n"
            "help: give uint8, height x width or height x width x channels; of one size and type all in one array"
        )
    return np.ascontiguousarray(array.reshape(*array.shape[:2], -1))


def of_pillow(image: Any) -> np.ndarray:
    """The pixels of a picture of Pillow's, upright."""
    from PIL import ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        image = image.convert("RGB")
    array = np.asarray(image)
    return np.ascontiguousarray(array.reshape(*array.shape[:2], -1))


def tf_data(data: Any) -> _core.Data:
    """A ``tf.data.Dataset`` of ``(image, label)`` or of ``image``, in batches or not."""
    held = _core.Data("tf.data.Dataset")
    spec = data.element_spec
    has_labels = isinstance(spec, tuple)
    of_images = spec[0] if has_labels else spec
    rank = getattr(getattr(of_images, "shape", None), "rank", None)
    if (has_labels and len(spec) != 2) or rank is None:
        raise ArgumentError(f"the elements of the dataset are {spec}\nhelp: give a dataset of (image, label)")
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    for element in data.as_numpy_iterator():
        image, of_image = element if has_labels else (element, None)
        images.append(image if rank == 4 else image[None])
        if has_labels:
            labels.append(np.asarray(of_image) if rank == 4 else np.asarray(of_image)[None])
    if not images:
        raise ArgumentError("the dataset has no element\nhelp: give at least one image")
    if len({batch.shape[1:] for batch in images}) == 1:
        part(held, "train", np.concatenate(images), np.concatenate(labels) if has_labels else None)
    else:
        whole = [one if one.dtype == np.uint8 else whole_levels(one) for batch in images for one in batch]
        part(held, "train", whole, np.concatenate(labels) if has_labels else None)
    names = getattr(data, "class_names", None)
    if names:
        held.class_names(list(names))
    return held


def whole_levels(image: np.ndarray) -> np.ndarray:
    """A picture whose numbers are the levels of bytes, as ``tf.io.decode_image(dtype=float)`` does not make them."""
    if image.min() < 0 or image.max() > 255 or image.max() <= 1:
        raise ArgumentError(
            "pictures of several sizes have numbers that are no levels of 0 to 255\nhelp: give uint8, or resize them to one size"
        )
    return np.asarray(np.rint(image).astype(np.uint8))


def is_hugging_face(data: Any) -> bool:
    """Whether it is a dataset with columns and their features."""
    return hasattr(data, "features") and hasattr(data, "column_names") and hasattr(data, "__getitem__")


def hugging_face(splits: Mapping[str, Any]) -> _core.Data:
    """Datasets of Hugging Face by their splits. Files are not decoded, where they do not have to be."""
    held = _core.Data("dataset")
    names: Sequence[str] | None = None
    for split, data in splits.items():
        name = OTHER_NAMES.get(split, split)
        if name not in PARTS:
            raise ArgumentError(f"`{split}` is no part of the data\nhelp: keep train, validation and test alone")
        of_image, of_label = column(data, IMAGE_COLUMNS, "images"), column(data, LABEL_COLUMNS, "labels")
        feature = data.features[of_image]
        if hasattr(feature, "decode") and callable(getattr(data, "cast_column", None)):
            data = data.cast_column(of_image, type(feature)(decode=False))
        part(held, name, list(data[of_image]), list(data[of_label]))
        names = getattr(data.features[of_label], "names", None) or names
    if names:
        held.class_names(list(names))
    return held


def column(data: Any, known: Iterable[str], what: str) -> str:
    """The name of the column that holds what is wanted."""
    found = [name for name in known if name in data.column_names]
    if not found:
        raise ArgumentError(
            f"no column of the dataset is known to hold {what}: it has {', '.join(data.column_names)}\n"
            f"help: rename_column it to `{next(iter(known))}`"
        )
    return found[0]
