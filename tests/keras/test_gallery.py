"""Every architecture of keras.applications, with and without its top; see `gallery.py`. The table is printed."""

import pytest
from gallery import NAMES, all_rows, table


@pytest.fixture(scope="module")
def rows():
    found = {(row.name, row.top): row for row in all_rows(NAMES)}
    print(f"\n{table(found.values())}")
    return found


@pytest.mark.parametrize("top", [True, False], ids=["top", "no_top"])
@pytest.mark.parametrize("name", NAMES)
def test_an_application(name, top, rows):
    row = rows[name, top]
    assert row.holds(), " | ".join(row.cells())
