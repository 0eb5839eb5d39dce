"""The keyword arguments of the functions, for type checkers. `python py/tests/keywords.py` writes this file."""

from collections.abc import Sequence
from typing import Any, TypedDict


class TrainFlags(TypedDict, total=False):
    arch: Any
    custom: str | Sequence[Any]
    task: Any
    root: Any
    classes: Any
    exclude: str | Sequence[Any]
    channels: Any
    resume: bool
    checkpoint_every: Any
    recipe: Any
    keep: Any
    head: Any
    weights: Any
    reject: Any
    unfreeze: Any
    freeze: Any
    head_only: bool
    gradual: bool
    epochs: Any
    fine_tune_epochs: Any
    lr: Any
    backbone_lr_factor: Any
    optimizer: Any
    loss: Any
    metric: Any
    schedule: Any
    weight_decay: Any
    label_smoothing: Any
    class_weights: Any
    clip_norm: Any
    batch: Any
    batch_norm: Any
    no_shuffle: bool
    patience: Any
    augment: Any
    views: Any
    image_size: Any
    resize: Any
    fit: Any
    scaled_decode: Any
    preprocess: Any
    precision: Any
    val: Any
    features: Any
    no_cache: bool
    cache: Any
    cache_limit: Any
    threads: Any
    seed: Any


class PlanFlags(TypedDict, total=False):
    arch: Any
    custom: str | Sequence[Any]
    task: Any
    root: Any
    classes: Any
    exclude: str | Sequence[Any]
    channels: Any
    recipe: Any
    keep: Any
    head: Any
    weights: Any
    reject: Any
    unfreeze: Any
    freeze: Any
    head_only: bool
    gradual: bool
    epochs: Any
    fine_tune_epochs: Any
    lr: Any
    backbone_lr_factor: Any
    optimizer: Any
    loss: Any
    metric: Any
    schedule: Any
    weight_decay: Any
    label_smoothing: Any
    class_weights: Any
    clip_norm: Any
    batch: Any
    batch_norm: Any
    no_shuffle: bool
    patience: Any
    augment: Any
    views: Any
    image_size: Any
    resize: Any
    fit: Any
    scaled_decode: Any
    preprocess: Any
    precision: Any
    val: Any
    features: Any
    no_cache: bool
    cache: Any
    cache_limit: Any
    threads: Any
    seed: Any


class DepthFlags(TypedDict, total=False):
    arch: Any
    custom: str | Sequence[Any]
    task: Any
    root: Any
    classes: Any
    exclude: str | Sequence[Any]
    channels: Any
    cuts: Any
    budget: Any
    repeats: Any
    exhaustive: bool
    cache: Any
    cache_limit: Any
    image_size: Any
    resize: Any
    fit: Any
    scaled_decode: Any
    preprocess: Any
    threads: Any
    seed: Any


class EmbedFlags(TypedDict, total=False):
    arch: Any
    custom: str | Sequence[Any]
    cut: Any
    views: Any
    cache: Any
    cache_limit: Any
    no_cache: bool
    task: Any
    root: Any
    classes: Any
    exclude: str | Sequence[Any]
    channels: Any
    image_size: Any
    resize: Any
    fit: Any
    scaled_decode: Any
    preprocess: Any
    precision: Any
    pooling: Any
    threads: Any
    seed: Any


class PredictFlags(TypedDict, total=False):
    arch: Any
    custom: str | Sequence[Any]
    top: Any
    threshold: Any
    views_at_predict: Any
    exclude: str | Sequence[Any]
    channels: Any
    image_size: Any
    resize: Any
    fit: Any
    scaled_decode: Any
    preprocess: Any
    precision: Any
    threads: Any
    seed: Any


class ExplainFlags(TypedDict, total=False):
    arch: Any
    custom: str | Sequence[Any]
    layer: Any
    class_: Any
    opacity: Any
    exclude: str | Sequence[Any]
    image_size: Any
    resize: Any
    fit: Any
    scaled_decode: Any
    preprocess: Any
    threads: Any
    seed: Any


class ConvertFlags(TypedDict, total=False):
    arch: Any
    custom: str | Sequence[Any]
    weights: Any
    weights_by: Any
    skip_mismatch: bool
    embed_preprocessing: bool
    image_size: Any
    preprocess: Any
    views_at_predict: Any
    threads: Any
    seed: Any
