"""Whole commands of frostline and of a peer: the whole job from photo files, and the cold start."""

import dataclasses
import pathlib
import subprocess
import sys
import typing

from PIL import Image

BENCH = pathlib.Path(__file__).resolve().parent
# As in keras_guide.py: the highest fifth of the backbone's 155 layers.
EPOCHS, FINE_TUNE_EPOCHS, UNFROZEN = 10, 5, 31


@dataclasses.dataclass
class Job:
    what: str
    peer: str
    goal: float | None
    rounds: int
    # (folder with models, binary) -> the two commands; `{out}` in them is a folder to write to
    commands: typing.Callable


def whole_job(*options):
    def commands(folder, binary):
        photos, model = folder / "photos", folder / "mobilenet_v2.keras"
        if not photos.exists():
            subprocess.run([sys.executable, BENCH / "make_photos.py", photos], check=True)
        own = [binary, "train", model, photos, "-o", "{out}/run", "--cache", "{out}/cache", "--quiet", "--epochs", EPOCHS]
        own += ["--unfreeze", UNFROZEN, "--fine-tune-epochs", FINE_TUNE_EPOCHS]
        peer = [sys.executable, BENCH / "keras_guide.py", model, photos, "{out}/model.keras", *options]
        return own, peer

    return commands


def cold_start(folder, binary):
    model, image = folder / "mobilenet_v2.keras", folder / "image.png"
    Image.new("RGB", (224, 224), (90, 120, 30)).save(image)
    return [binary, "predict", model, image], [sys.executable, BENCH / "keras_predict.py", model, image]


PHOTOS = "1,000 photos from files: head 10 epochs, then the top fifth 5 epochs"
JOBS = [
    Job(PHOTOS, "Keras guide's script", 10, 1, whole_job()),
    Job(PHOTOS, "the same with cached features", 3, 1, whole_job("cached")),
    Job("cold start to the first prediction", "Keras", None, 5, cold_start),
]
