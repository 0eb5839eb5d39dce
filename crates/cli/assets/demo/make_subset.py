"""Takes task B out of Fashion-MNIST: Sandal (0) or Shirt (1), 100 training images each and 450 test images each.

usage: make_subset.py FOLDER OUT.npz      (FOLDER: the IDX files, as `scripts/fetch-data fashion` leaves them)
"""

import sys

import numpy as np

from train_model_a import SANDAL, SHIRT, read


def take(images, labels, count, random):
    rows = np.concatenate([random.permutation(np.flatnonzero(labels == label))[:count] for label in (SANDAL, SHIRT)])
    rows = random.permutation(rows)
    return images[rows], (labels[rows] == SHIRT).astype(np.uint8)


def main(folder, out):
    random = np.random.default_rng(42)
    x_train, y_train = take(*read(folder, "train"), 100, random)
    x_test, y_test = take(*read(folder, "t10k"), 450, random)
    names = np.array(["Sandal", "Shirt"])
    np.savez_compressed(out, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, class_names=names)


if __name__ == "__main__":
    main(*sys.argv[1:])
