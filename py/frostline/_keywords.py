from typing import Any, TypedDict

class TrainFlags(TypedDict, total=False):
    epochs: Any

class PlanFlags(TypedDict, total=False):
    epochs: Any

class DepthFlags(TypedDict, total=False):
    epochs: Any

class EmbedFlags(TypedDict, total=False):
    epochs: Any

class PredictFlags(TypedDict, total=False):
    epochs: Any

class ExplainFlags(TypedDict, total=False):
    epochs: Any

class ConvertFlags(TypedDict, total=False):
    epochs: Any
