"""The notebook runs from its first cell to its last, and what it shows is there."""

import ast
import json

from conftest import ROOT


def test_the_notebook_runs(monkeypatch, capsys):
    notebook = json.loads((ROOT / "docs/first_photos.ipynb").read_text())
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "save it without outputs"
    monkeypatch.chdir(ROOT / "docs")
    names, shown = {"__name__": "__main__"}, []
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        lines = ast.parse("".join(cell["source"]))
        last = lines.body.pop() if isinstance(lines.body[-1], ast.Expr) else None
        exec(compile(lines, "cell", "exec"), names)
        if last is not None:
            shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), names))
    (images, seconds), verdict, (tensors, scores), kind, (name, overlay), run = shown
    assert images == [392, 0, 0] and seconds > 0 and "of new photos like these to be right" in verdict
    assert tensors > 200 and scores["estimate"]["accuracy"] > 0.6 and kind.__name__ == "Functional"
    assert name in "ABCDEFGHP" and overlay[2] == 3 and "</iframe>" in run._repr_html_()
    assert "food.onnx" in capsys.readouterr().out
