"""Photos in tar files as WebDataset lays them out (written by Python's tarfile) and in Parquet as Hugging Face writes it (by
pyarrow): the same features and the same trained model, to the bit, as of the same photos in folders."""

import io
import json
import subprocess
import sys
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BINARY, small_backbone
from PIL import Image

CLASSES = ("cat", "dog", "owl")
EACH = 12
# what `datasets` 5 writes into the schema's metadata
FEATURES = {
    "info": {
        "features": {
            "image": {"_type": "Image"},
            "label": {"names": list(CLASSES), "_type": "ClassLabel"},
        }
    }
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    return small_backbone(tmp_path_factory.mktemp("model"), 4, 6)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of class folders, and its files in order: class, name, bytes."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    files = []
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in range(EACH):
            draw = np.random.default_rng(100 * number + index)
            pixels = draw.integers(0, 120, (6, 8, 3), dtype="uint8") + np.uint8(60 * number)
            image = Image.fromarray(pixels).resize((50, 40), Image.BICUBIC)
            image.save(folder / name / f"{index:03}.jpg", quality=90)
            files.append((name, f"{index:03}", (folder / name / f"{index:03}.jpg").read_bytes()))
    return folder, files


def pack(path, members):
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return path


def samples(files, ending, content):
    for label, key, photo in files:
        yield f"{label}-{key}.jpg", photo
        yield f"{label}-{key}.{ending}", content(label)


def number(label):
    return str(CLASSES.index(label)).encode()


def table(files, metadata=FEATURES):
    rows = {
        "image": [{"bytes": photo, "path": f"{label}-{key}.jpg"} for label, key, photo in files],
        "label": [CLASSES.index(label) for label, _, _ in files],
    }
    found = pa.table(rows)
    return found.replace_schema_metadata({"huggingface": json.dumps(metadata)}) if metadata else found


def trained(frostline, backbone, data, output, *flags):
    """The weights of a head that is trained by steps, and run.json."""
    record = frostline.json("train", backbone, data, "-o", output, "--epochs", 3, "--val", 0.25, *flags)
    frostline.done("convert", output, "-o", output / "all.safetensors")
    return (output / "all.safetensors").read_bytes(), record


@pytest.fixture(scope="module")
def of_folders(frostline, backbone, photos, tmp_path_factory):
    return trained(frostline, backbone, photos[0], tmp_path_factory.mktemp("runs") / "run")


def shards(files, folder):
    """Three shards with numbers of classes, whose names lie beside them."""
    folder.mkdir()
    members = list(samples(files, "cls", number))
    for shard in range(3):
        pack(folder / f"shard-{shard:03}.tar", members[shard * 2 * EACH : (shard + 1) * 2 * EACH])
    (folder / "classes.txt").write_text("\n".join(CLASSES))
    return folder


def by_pattern(files, folder):
    return shards(files, folder) / "shard-{000..002}.tar"


def one_tar_of_names(files, folder):
    return pack(folder.with_suffix(".tar"), samples(files, "txt", str.encode))


def one_tar_of_documents(files, folder):
    members = samples(files, "json", lambda label: json.dumps({"id": 7, "label": label}).encode())
    return pack(folder.with_suffix(".tar"), members)


def one_tar_of_folders(files, folder):
    # as `tar` finds them in a folder: in any order
    members = [(f"./photos/{label}/{key}.jpg", photo) for label, key, photo in reversed(files)]
    return pack(folder.with_suffix(".tar"), [*members, ("./photos/README.txt", b"of mine")])


def several_tables(files, folder):
    folder.mkdir()
    for part, rows in enumerate((files[:20], files[20:])):
        name = folder / f"train-{part:05}-of-00002.parquet"
        # pages of few rows, groups of few pages
        pq.write_table(table(rows), name, row_group_size=9, data_page_size=2000, write_batch_size=2)
    return folder


def one_table(files, folder, **how):
    pq.write_table(table(files), folder.with_suffix(".parquet"), **how)
    return folder.with_suffix(".parquet")


def with_zstd(files, folder):
    return one_table(files, folder, compression="zstd", data_page_version="2.0", use_dictionary=False)


def with_gzip(files, folder):
    return one_table(files, folder, compression="gzip")


def of_plain_bytes(files, folder):
    rows = {"image": [photo for *_, photo in files], "label": [label for label, *_ in files]}
    pq.write_table(pa.table(rows), folder.with_suffix(".parquet"), compression="none")
    return folder.with_suffix(".parquet")


LAYOUTS = [
    shards,
    by_pattern,
    one_tar_of_names,
    one_tar_of_documents,
    one_tar_of_folders,
    several_tables,
    with_zstd,
    with_gzip,
    of_plain_bytes,
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_training_is_that_of_the_photos_in_folders_to_the_bit(
    frostline, backbone, photos, of_folders, tmp_path, layout
):
    data = layout(photos[1], tmp_path / "packed")
    weights, record = trained(frostline, backbone, data, tmp_path / "run")
    assert record["classes"] == list(CLASSES)
    assert record["images"] == of_folders[1]["images"]
    assert record["val"] == of_folders[1]["val"]
    assert weights == of_folders[0]


@pytest.mark.parametrize("layout", [shards, several_tables])
def test_features_and_scores_are_the_same_without_a_cache(frostline, backbone, photos, of_folders, tmp_path, layout):
    """Pixels, not features of the same photos that were kept."""
    data = layout(photos[1], tmp_path / "packed")
    found = []
    for source, name in ((photos[0], "folders"), (data, "packed")):
        frostline.done("embed", backbone, source, "-o", tmp_path / f"{name}.npz", "--no-cache")
        found.append(np.load(tmp_path / f"{name}.npz"))
    np.testing.assert_array_equal(found[0]["features"], found[1]["features"])
    np.testing.assert_array_equal(found[0]["labels"], found[1]["labels"])
    trained(frostline, backbone, photos[0], tmp_path / "run")
    scores = [frostline.json("evaluate", tmp_path / "run", source) for source in (photos[0], data)]
    assert scores[0]["confusion"] == scores[1]["confusion"] and scores[0]["loss"] == scores[1]["loss"]


def test_the_solved_head_and_the_search_take_them(frostline, backbone, photos, tmp_path):
    data = one_tar_of_names(photos[1], tmp_path / "packed")
    records = [
        frostline.json("train", backbone, source, "-o", tmp_path / name)
        for source, name in ((photos[0], "folders"), (data, "packed"))
    ]
    assert records[0]["estimate"] == records[1]["estimate"]
    assert (tmp_path / "packed" / "report.html").exists()
    scores = [frostline.json("depth", backbone, source)["scores"] for source in (photos[0], data)]
    assert scores[0] == scores[1]


def test_predictions_are_those_of_the_files(frostline, backbone, photos, tmp_path):
    folder, files = photos
    trained(frostline, backbone, folder, tmp_path / "run")
    pack(tmp_path / "packed.tar", [(f"{label}/{key}.jpg", photo) for label, key, photo in files])
    lines = [
        [json.loads(line) for line in frostline.done("predict", tmp_path / "run", source, "--json").splitlines()]
        for source in (folder, tmp_path / "packed.tar")
    ]
    assert len(lines[0]) == len(lines[1]) == 3 * EACH
    assert [line["scores"] for line in lines[0]] == [line["scores"] for line in lines[1]]
    assert lines[1][0]["image"] == "cat/000.jpg"


def test_parts_are_told_by_names_of_files(frostline, backbone, photos, tmp_path):
    files = photos[1]
    held = [index for index in range(len(files)) if index % 4 == 0]
    rest = [file for index, file in enumerate(files) if index not in held]
    data = tmp_path / "set/data"
    data.mkdir(parents=True)
    pq.write_table(table(rest), data / "train-00000-of-00001.parquet")
    pq.write_table(table([files[index] for index in held]), data / "test-00000-of-00001.parquet")
    told = frostline.done("check", tmp_path / "set")
    assert f"{len(rest)} photos in 3 classes: cat 9, dog 9, owl 9; test {len(held)}" in told
    assert "36 pictures in 2 Parquet files" in told
    record = frostline.json("train", backbone, tmp_path / "set", "-o", tmp_path / "run", "--epochs", 1)
    assert record["images"][2] == len(held) and record["test"] is not None


def test_check_names_what_is_damaged_and_what_is_left_out(frostline, photos, tmp_path):
    files = list(photos[1])
    label, key, photo = files[3]
    files[3] = (label, key, photo[: len(photo) // 2])
    data = pack(tmp_path / "a.tar", [*samples(files, "cls", number), ("notes.md", b"x"), ("cat-001.npy", b"x")])
    found = frostline.json("check", data)
    assert [skip["name"] for skip in found["skipped"]] == ["cat-003.jpg"]
    assert any("2 members that are no pictures" in line and "notes.md" in line for line in found["warnings"])
    rows = table(files).slice(0, 8).to_pydict()
    rows["image"][5] = None
    pq.write_table(pa.table(rows), tmp_path / "b.parquet")
    found = frostline.json("check", tmp_path / "b.parquet", "--task", "numbers")
    assert sorted(skip["name"] for skip in found["skipped"]) == ["b.parquet[3]", "b.parquet[5]"]


@pytest.mark.parametrize("layout", [one_tar_of_names, one_table])
def test_a_file_that_is_cut_off_is_an_error_with_a_remedy(frostline, photos, tmp_path, layout):
    data = layout(photos[1], tmp_path / "packed")
    whole = data.read_bytes()
    for share in (0.02, 0.3, 0.7, 0.85):
        data.write_bytes(whole[: int(share * len(whole))])
        result = frostline.run("check", data)
        assert result.returncode == 1 and "help: " in result.stderr and str(data) in result.stderr, (share, result)


def test_what_is_not_clear_is_asked(frostline, photos, tmp_path):
    files = photos[1]

    def refused(data, words):
        result = frostline.run("check", data)
        assert result.returncode == 1 and words in result.stderr and "help: " in result.stderr, result.stderr

    members = list(samples(files, "cls", number))
    del members[5]
    refused(pack(tmp_path / "a.tar", members), "has no label")
    members = [*samples(files, "cls", number), ("cat-000.png", b"x")]
    refused(pack(tmp_path / "b.tar", members), "two pictures of one sample, `cat-000.jpg` and `cat-000.png`")
    refused(pack(tmp_path / "c.tar", [(f"{key}{label}.jpg", photo) for label, key, photo in files]), "has no label")
    (tmp_path / "d.tar.gz").write_bytes(b"x")
    refused(tmp_path / "d.tar.gz", "is compressed as a whole")
    refused(tmp_path / "e-{0..3}.tar", "stands for 4 files, of which 4 are not there")
    rows = table(files).to_pydict()
    refused_table = tmp_path / "f.parquet"
    pq.write_table(pa.table({"picture": rows["label"], "label": rows["label"]}), refused_table)
    refused(refused_table, "has no column of images; its columns are `picture`, `label`")
    images = [{"bytes": None, "path": "x.jpg"}] * 4
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(images, kind), "label": [0, 1, 0, 1]}), refused_table)
    refused(refused_table, "holds paths of pictures, and no pictures")
    pq.write_table(table(files), refused_table, compression="brotli")
    refused(refused_table, "is compressed by BROTLI")


def test_several_labels_are_learned_as_such(frostline, photos, tmp_path):
    files = photos[1]
    metadata = {"info": {"features": {"labels": {"feature": FEATURES["info"]["features"]["label"], "_type": "List"}}}}
    rows = table(files).to_pydict()
    both = [[label] if label != 1 else [0, 1] for label in rows["label"]]
    found = pa.table({"image": rows["image"], "labels": both})
    pq.write_table(found.replace_schema_metadata({"huggingface": json.dumps(metadata)}), tmp_path / "a.parquet")
    assert "36 photos with 3 labels: cat 24, dog 12, owl 12" in frostline.done("check", tmp_path / "a.parquet")


def test_memory_does_not_grow_with_the_photos(frostline, tmp_path):
    """A table of 300 MB is read a block at a time."""
    draw = np.random.default_rng(0)
    path = tmp_path / "large.parquet"
    kind = pa.schema([("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())])
    with pq.ParquetWriter(path, kind, compression="none", write_batch_size=1) as writer:
        for group in range(5):
            rows = []
            for _ in range(20):
                image = Image.fromarray(draw.integers(0, 255, (16, 16, 3), dtype="uint8"))
                content = io.BytesIO()
                image.save(content, "png")
                # a PNG ends where it says: what follows is not looked at
                rows.append({"bytes": content.getvalue() + draw.bytes(3_000_000), "path": None})
            writer.write_table(pa.table({"image": rows, "label": [index % 2 for index in range(20)]}, schema=kind))
    script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    told = subprocess.run(
        [sys.executable, "-c", script, BINARY, "check", path, "--threads", "2"],
        capture_output=True,
        text=True,
        env=frostline.environment,
        check=True,
    )
    assert "100 photos in 2 classes" in told.stdout
    # 64 MiB, and 16 MiB a thread, with what a page takes while it is read
    assert int(told.stdout.split()[-1]) < 200 * 1024, told.stdout
