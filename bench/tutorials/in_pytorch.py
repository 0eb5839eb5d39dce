"""The two scenarios of PyTorch's tutorial "Transfer Learning for Computer Vision", with EfficientNet-Lite0 for ResNet-18.

Each takes the network's file, which it does not need, the photos to train on as paths and classes, the tests' paths and a seed, and
returns the class that it predicts for each test. The tutorial keeps the epoch that is best on the photos whose accuracy it prints;
here the last epoch counts, and the tests are seen once.
"""

import torch
from peers import lite0  # bench/depth
from PIL import Image
from torch import nn
from torchvision import transforms

torch.set_num_threads(1)

EPOCHS, BATCH = 25, 4
# The network scales pixels itself, so there is no Normalize.
TRAIN = [transforms.RandomResizedCrop(224), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
TEST = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]


class Photos(torch.utils.data.Dataset):
    def __init__(self, paths, y, steps):
        self.paths, self.y, self.transform = paths, y, transforms.Compose(steps)

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        return self.transform(Image.open(self.paths[index]).convert("RGB")), self.y[index]


def scenario(fixed):
    """The network as a fixed feature extractor, or all of it finetuned."""

    def run(_, train, test, seed):
        torch.manual_seed(seed)
        body = lite0()
        for parameter in body.parameters():
            parameter.requires_grad = not fixed
        model = nn.Sequential(body, nn.Linear(1280, max(train[1]) + 1)).to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD((model[1] if fixed else model).parameters(), lr=0.001, momentum=0.9)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
        loader = torch.utils.data.DataLoader(Photos(*train, TRAIN), BATCH, shuffle=True)
        for _ in range(EPOCHS):
            # as in the tutorial, with frozen layers too: their BatchNorm takes the batch's statistics
            model.train()
            for x, y in loader:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x.contiguous(memory_format=torch.channels_last)), y).backward()
                optimizer.step()
            scheduler.step()
        model.eval()
        with torch.no_grad():
            loader = torch.utils.data.DataLoader(Photos(test, [0] * len(test), TEST), BATCH)
            return torch.cat([model(x).argmax(1) for x, _ in loader]).numpy()

    return run
