"""Architectures of keras.applications against real Keras: see gallery.py, which writes the table of all."""

import pytest

from gallery import all_rows, table

# Together they have every kind of layer that keras.applications uses, but for one. `gallery.py docs/gallery.md` examines all architectures.
FAMILIES = [
    "ConvNeXtTiny",
    "DenseNet121",
    "EfficientNetB0",
    "InceptionV3",
    "MobileNetV3Small",
    "NASNetMobile",
    "ResNet50V2",
    "VGG16",
]
# It scales its branches. Its gradients take minutes.
FORWARD = "InceptionResNetV2"
# with its top or without, in turns
CASES = [(name, index % 2 == 0) for index, name in enumerate(FAMILIES)] + [(FORWARD, False)]


@pytest.fixture(scope="session")
def rows():
    found = [row for top in (True, False) for row in all_rows([name for name, own in CASES if own == top], tops=[top])]
    print("\n" + table(found))
    return {(row.name, row.top): row for row in found}


@pytest.mark.parametrize("name, top", CASES, ids=[f"{name}-{'top' if top else 'no top'}" for name, top in CASES])
def test_an_architecture_computes_trains_and_comes_back_as_in_keras(rows, name, top):
    row = rows[name, top]
    assert row.holds(), row
