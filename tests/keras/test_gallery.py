"""Every architecture of keras.applications against real Keras: see gallery.py."""

import pytest

from gallery import NAMES, all_rows, table


@pytest.fixture(scope="session")
def rows():
    found = all_rows(NAMES)
    print("\n" + table(found))
    return {(row.name, row.top): row for row in found}


@pytest.mark.parametrize("top", [True, False], ids=["top", "no top"])
@pytest.mark.parametrize("name", NAMES)
def test_an_architecture_computes_trains_and_comes_back_as_in_keras(rows, name, top):
    row = rows[name, top]
    assert row.holds(), row
