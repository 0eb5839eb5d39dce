"""Architectures of keras.applications against real Keras: see gallery.py, which writes the table of all."""

import pytest

from gallery import all_rows, table

# Together they have every kind of layer that keras.applications uses, but for the scaled branches of InceptionResNetV2. `gallery.py
# docs/gallery.md` examines all architectures.
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


@pytest.fixture(scope="session")
def rows():
    found = all_rows(FAMILIES)
    print("\n" + table(found))
    return {(row.name, row.top): row for row in found}


@pytest.mark.parametrize("top", [True, False], ids=["top", "no top"])
@pytest.mark.parametrize("name", FAMILIES)
def test_an_architecture_computes_trains_and_comes_back_as_in_keras(rows, name, top):
    row = rows[name, top]
    assert row.holds(), row
