"""What the peers' recipes score on the splits of a search: Keras's guide to transfer learning, and fastai's `fine_tune`.

usage: peers.py keras|fastai FOLDER TASK      (with the environment of bench/run and bench/depth/requirements.txt)

Reads FOLDER/tasks/TASK and FOLDER/TASK-search/splits.json, writes FOLDER/TASK-keras.json or FOLDER/TASK-fastai.json: a score on
the held-out test images and the seconds for each split. What was cut off goes on where it was. Both train on what the splits do not
hold out, as the arms do.

Keras: the guide's two stages, a new head on the frozen backbone with Adam at 1e-3, then the whole backbone at 1e-5 with
BatchNormalization in inference mode. The guide trains for 2 + 1 epochs of thousands of photos, this for 30 + 15 epochs of
fewer than a hundred. fastai: `fine_tune(30)` with its defaults, on EfficientNet-Lite0 in PyTorch.
"""

import json
import os
import pathlib
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

import numpy as np
from PIL import Image
from tasks import DATA, LITE0

BATCH, HEAD_EPOCHS, FINE_TUNE_EPOCHS = 32, 30, 15


def photos(folder, size):
    """Pixels 0 to 255, classes and names of the photos in class folders."""
    groups = sorted(path for path in folder.iterdir() if path.is_dir())
    found = [(path, index) for index, group in enumerate(groups) for path in sorted(group.iterdir())]
    load = lambda path: np.asarray(Image.open(path).convert("RGB").resize((size, size), Image.BILINEAR), "float32")
    names = [f"{folder.name}/{path.parent.name}/{path.name}" for path, _ in found]
    return np.stack([load(path) for path, _ in found]), np.array([index for _, index in found]), names


def task(folder, size):
    if (folder / "data.npz").exists():
        data = np.load(folder / "data.npz")
        names = [f"x_train[{row}]" for row in range(len(data["x_train"]))]
        read = lambda part: (data[f"x_{part}"].astype("float32"), data[f"y_{part}"])
        return (*read("train"), names), read("test")
    return photos(folder / "data/train", size), photos(folder / "data/test", size)[:2]


def keras_guide(model_path):
    import keras

    model = keras.models.load_model(model_path)
    base = keras.Model(model.inputs, model.layers[-2].output)
    pretrained = base.get_weights()

    def train(x, y, seed):
        keras.utils.set_random_seed(seed)
        base.set_weights(pretrained)
        base.trainable = False
        image = keras.Input(model.input_shape[1:])
        head = keras.layers.Dense(int(y.max()) + 1, activation="softmax")
        whole = keras.Model(image, head(keras.layers.Dropout(0.2)(base(image, training=False))))
        loss = "sparse_categorical_crossentropy"
        whole.compile(keras.optimizers.Adam(1e-3), loss)
        whole.fit(x, y, batch_size=BATCH, epochs=HEAD_EPOCHS, verbose=0)
        base.trainable = True
        whole.compile(keras.optimizers.Adam(1e-5), loss)
        whole.fit(x, y, batch_size=BATCH, epochs=FINE_TUNE_EPOCHS, verbose=0)
        return lambda x: whole.predict(x, verbose=0).argmax(1)

    return model.input_shape[1], train


def lite0():
    """EfficientNet-Lite0 up to its pooled features, with its weights; takes pixels 0 to 1."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Same(nn.Conv2d):
        def forward(self, x):
            (kernel, _), (stride, _) = self.kernel_size, self.stride
            pad = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[:1:-1]]
            return super().forward(F.pad(x, [side for all in pad for side in (all // 2, all - all // 2)]))

    conv = lambda i, o, k, s=1, groups=1: Same(i, o, k, s, bias=False, groups=groups)
    norm = lambda width: nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)

    class Block(nn.Module):
        def __init__(self, i, o, k, s, expand):
            super().__init__()
            wide = i * expand
            if expand > 1:
                self._expand_conv, self._bn0 = conv(i, wide, 1), norm(wide)
            self._depthwise_conv, self._bn1 = conv(wide, wide, k, s, wide), norm(wide)
            self._project_conv, self._bn2 = conv(wide, o, 1), norm(o)
            self.expands, self.adds = expand > 1, s == 1 and i == o

        def forward(self, x):
            y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
            y = F.relu6(self._bn1(self._depthwise_conv(y)))
            y = self._bn2(self._project_conv(y))
            return x + y if self.adds else y

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self._conv_stem, self._bn0, blocks, i = conv(3, 32, 3, 2), norm(32), [], 32
            for k, s, expand, o, count in LITE0:
                blocks += [Block(i if n == 0 else o, o, k, s if n == 0 else 1, expand) for n in range(count)]
                i = o
            self._blocks, self._conv_head, self._bn1 = nn.Sequential(*blocks), conv(320, 1280, 1), norm(1280)

        def forward(self, x):
            x = F.relu6(self._bn0(self._conv_stem((x * 255 - 127) / 128)))
            return F.relu6(self._bn1(self._conv_head(self._blocks(x)))).mean((2, 3))

    body = Body()
    weights = torch.load(DATA / "lite0/efficientnet-lite0.pth", map_location="cpu", weights_only=True)
    body.load_state_dict({name: value for name, value in weights.items() if not name.startswith("_fc")})
    return body


def fastai(size):
    import torch
    from fastai.data.all import DataLoaders
    from fastai.vision.all import CrossEntropyLossFlat, Learner, params, set_seed
    from torch import nn
    from torch.utils.data import TensorDataset

    tensor = lambda x: torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) / 255

    def train(x, y, seed):
        set_seed(seed)
        model = nn.Sequential(lite0(), nn.Linear(1280, int(y.max()) + 1))
        data = TensorDataset(tensor(x), torch.from_numpy(y).long())
        loaders = DataLoaders.from_dsets(data, data, bs=BATCH, device=torch.device("cpu"), num_workers=0)
        halves = lambda model: [params(model[0]), params(model[1])]
        learner = Learner(loaders, model, loss_func=CrossEntropyLossFlat(), splitter=halves)
        with learner.no_bar(), learner.no_logging():
            learner.fine_tune(HEAD_EPOCHS)
        model.eval()

        @torch.no_grad()
        def predict(x):
            return torch.cat([model(tensor(x[at : at + BATCH])) for at in range(0, len(x), BATCH)]).argmax(1).numpy()

        return predict

    return size, train


def main(peer, folder, name):
    folder = pathlib.Path(folder)
    of_task = folder / "tasks" / name
    size, train = keras_guide(of_task / "model.keras") if peer == "keras" else fastai(int(name.partition("_")[2] or 224))
    (x, y, names), (x_test, y_test) = task(of_task, size)
    splits = json.loads((folder / f"{name}-search/splits.json").read_text())
    path = folder / f"{name}-{peer}.json"
    found = json.loads(path.read_text()) if path.exists() else {"scores": [], "seconds": []}
    done = len(found["scores"])
    for repeat, held_out in enumerate(splits[done:], done):
        assert set(held_out) <= set(names), "the splits are of other images"
        fit, began = np.array([one not in set(held_out) for one in names]), time.time()
        found["scores"].append(float(np.mean(train(x[fit], y[fit], repeat)(x_test) == y_test)))
        found["seconds"].append(time.time() - began)
        print(f"{name}, {peer}, split {repeat}: {found['scores'][-1]:.3f}", flush=True)
        path.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
