"""Data, models and runs in an object store, against moto's S3 server, and on Python's own web server: what is read and written is
what folders on this machine give, what did not change is not fetched again, and no secret is told."""

import http.server
import json
import shutil
import signal
import subprocess
import threading
import time

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import BINARY, Frostline, small_backbone
from moto.server import DomainDispatcherApplication, create_backend_app
from PIL import Image
from test_packed import CLASSES, pack
from werkzeug.serving import make_server

KEY, SECRET = "AKIDOFATEST", "a-secret-that-nobody-may-read"


class Watched:
    """Answers as moto does; notes the requests, and goes wrong where it is told to."""

    def __init__(self):
        self.app = DomainDispatcherApplication(create_backend_app)
        self.requests = []
        self.busy = self.broken = 0
        self.refused = None
        # photos that are given before all others wait
        self.given = None

    def __call__(self, environ, start):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if method == self.refused:
            start("403 Forbidden", [("Content-Length", "0")])
            return [b""]
        self.requests.append((method, path, environ.get("HTTP_RANGE")))
        # moto finds buckets by who asks
        if environ.get("HTTP_AUTHORIZATION", "Bearer").startswith("Bearer"):
            environ["HTTP_AUTHORIZATION"] = f"AWS4-HMAC-SHA256 Credential={KEY}/20260101/us-east-1/s3/aws4_request"
        is_photo = method == "GET" and path.endswith((".jpg", ".tar"))
        if is_photo and self.given is not None:
            self.given -= 1
            if self.given < 0:
                time.sleep(2)
                start("503 Slow Down", [("Content-Length", "0")])
                return [b""]
        if is_photo and self.busy > 0:
            self.busy -= 1
            start("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        answer = self.app(environ, start)
        if is_photo and self.broken > 0:
            self.broken -= 1
            whole = b"".join(answer)
            # what was promised is longer
            return [whole[: len(whole) // 2]]
        return answer

    def fetched(self):
        found = [path for method, path, _ in self.requests if method == "GET" and path.strip("/").count("/") > 0]
        self.requests.clear()
        return found


@pytest.fixture(scope="module")
def server():
    watched = Watched()
    found = make_server("127.0.0.1", 0, watched, threaded=True)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    watched.url = f"http://127.0.0.1:{found.server_port}"
    yield watched
    found.shutdown()


@pytest.fixture
def bucket(server):
    """An empty bucket."""
    server.busy = server.broken = 0
    server.refused = server.given = None
    s3 = boto3.resource(
        "s3", endpoint_url=server.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
    found = s3.Bucket("oftests")
    found.create()
    found.objects.all().delete()
    server.requests.clear()
    return found


@pytest.fixture
def frostline(server, tmp_path):
    found = Frostline(tmp_path / "cache")
    for name in list(found.environment):
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")) or name.lower().endswith("_proxy"):
            del found.environment[name]
    found.environment |= {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": server.url,
        # a machine that knows no credentials, at once
        "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9",
    }
    return found


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "photos"
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in range(8):
            draw = np.random.default_rng(100 * number + index)
            pixels = draw.integers(0, 120, (6, 8, 3), dtype="uint8") + np.uint8(60 * number)
            Image.fromarray(pixels).resize((50, 40), Image.BICUBIC).save(folder / name / f"{index:03}.jpg")
    return folder


def files(photos):
    return sorted(photos.rglob("*.jpg"))


def upload(bucket, folder, key):
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        bucket.upload_file(str(file), f"{key}/{file.relative_to(folder)}")


def in_folders(photos, local):
    shutil.copytree(photos, local / "photos")
    (local / "photos/notes.md").write_text("no photo")
    return "photos"


def in_a_list(photos, local):
    in_folders(photos, local)
    lines = [f"photos/{file.relative_to(photos)},{file.parent.name}" for file in files(photos)[::2]]
    (local / "list.csv").write_text("path,label\n" + "\n".join(lines))
    return "list.csv"


def in_arrays(photos, local):
    pixels = np.stack([np.asarray(Image.open(file)) for file in files(photos)])
    labels = np.array([CLASSES.index(file.parent.name) for file in files(photos)])
    np.savez(local / "photos.npz", x_train=pixels, y_train=labels)
    return "photos.npz"


def in_shards(photos, local):
    (local / "deep").mkdir()
    for shard in range(3):
        own = files(photos)[shard::3]
        members = [(f"{file.parent.name}-{file.name}", file.read_bytes()) for file in own]
        labels = [(f"{file.parent.name}-{file.stem}.txt", file.parent.name.encode()) for file in own]
        pack(local / f"deep/shard-{shard}.tar", members + labels)
    return "deep/shard-{0..2}.tar"


def in_tables(photos, local):
    (local / "tables").mkdir()
    for part in range(2):
        own = files(photos)[part::2]
        rows = {"image": [{"bytes": file.read_bytes(), "path": file.name} for file in own]}
        rows["label"] = [file.parent.name for file in own]
        pq.write_table(pa.table(rows), local / f"tables/train-{part:05}-of-00002.parquet")
    return "tables"


LAYOUTS = [in_folders, in_a_list, in_arrays, in_shards, in_tables]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_data_are_read_where_they_lie_and_once(frostline, server, bucket, photos, tmp_path, layout):
    local = tmp_path / "local"
    local.mkdir()
    name = layout(photos, local)
    upload(bucket, local, "some/data")
    backbone = small_backbone(tmp_path, 4, 6)

    def features(data, output):
        frostline.done("embed", backbone, data, "-o", tmp_path / output, "--no-cache")
        found = np.load(tmp_path / output)
        return {array: found[array] for array in ("features", "labels", "paths", "classes")}

    here = features(local / name, "here.npz")
    server.fetched()
    there = features(f"s3://oftests/some/data/{name}", "there.npz")
    for array in here:
        np.testing.assert_array_equal(here[array], there[array], err_msg=array)
    first = server.fetched()
    assert first and len(first) == len(set(first)) and not any(path.endswith("notes.md") for path in first)
    # of a list no more than what it names
    assert layout is not in_a_list or len(first) == 1 + len(here["paths"])
    again = features(f"s3://oftests/some/data/{name}", "again.npz")
    np.testing.assert_array_equal(there["features"], again["features"])
    assert server.fetched() == []


def test_googles_store_is_read_and_written(frostline, server, bucket, photos, tmp_path):
    """moto speaks the part of Google's XML protocol that is S3's."""
    backbone = small_backbone(tmp_path, 4, 6)
    account = {"gcs_base_url": server.url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    frostline.environment["GOOGLE_SERVICE_ACCOUNT_KEY"] = json.dumps(account)
    upload(bucket, photos, "photos")
    frostline.done("embed", backbone, photos, "-o", tmp_path / "here.npz", "--no-cache")
    expected = (tmp_path / "here.npz").read_bytes()
    # data, a cache, a file and a run
    for computed in 24, 0:
        one = machine(frostline, tmp_path / f"machine-{computed}")
        told = one.json(
            "embed", backbone, "gs://oftests/photos", "-o", "gs://oftests/all.npz", "--cache", "gs://oftests/cache"
        )
        assert told["computed"] == computed
        assert bucket.Object("all.npz").get()["Body"].read() == expected
    frostline.done("train", backbone, "gs://oftests/photos", "-o", "gs://oftests/run")
    there, here = [frostline.json("evaluate", "gs://oftests/run", data) for data in ("gs://oftests/photos", photos)]
    assert there["confusion"] == here["confusion"] and bucket.Object("run/run.json").content_length > 0


def test_what_changed_is_fetched_and_what_is_gone_is_gone(frostline, server, bucket, photos):
    upload(bucket, photos, "photos")
    assert frostline.json("check", "s3://oftests/photos")["classes"][0]["images"] == 8
    server.fetched()
    bucket.upload_file(str(photos / "cat/000.jpg"), "photos/dog/007.jpg")
    bucket.Object("photos/cat/001.jpg").delete()
    found = frostline.json("check", "s3://oftests/photos/")
    assert [one["images"] for one in found["classes"]] == [7, 8, 8]
    assert any("`dog/007.jpg` (dog) is the same as `cat/000.jpg`" in line for line in found["duplicates"])
    assert server.fetched() == ["/oftests/photos/dog/007.jpg"]


def test_what_a_killed_fetch_brought_goes_when_it_is_gone(frostline, server, bucket, photos, tmp_path):
    upload(bucket, photos, "photos")
    server.given = 5
    fetching = subprocess.Popen([BINARY, "check", "s3://oftests/photos"], env=frostline.environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (here := list((tmp_path / "cache").rglob("photos/*/*.jpg"))):
        assert time.monotonic() < deadline and fetching.poll() is None
        time.sleep(0.05)
    fetching.kill()
    fetching.wait()
    server.given = None
    gone = here[0]
    bucket.Object(f"photos/{gone.parent.name}/{gone.name}").delete()
    found = frostline.json("check", "s3://oftests/photos")["classes"]
    assert sum(one["images"] for one in found) == len(files(photos)) - 1
    assert not gone.exists()


def test_a_run_is_uploaded_whole_and_read_again(frostline, server, bucket, photos, tmp_path):
    upload(bucket, photos, "photos")
    backbone = small_backbone(tmp_path, 4, 6)
    bucket.upload_file(str(backbone), "model.keras")
    how = ("--epochs", 2, "--val", 0.25)
    server.requests.clear()
    there = frostline.run("train", "s3://oftests/model.keras", "s3://oftests/photos", "-o", "s3://oftests/runs/a", *how)
    assert there.returncode == 0, there.stderr
    assert "wrote  s3://oftests/runs/a" in there.stdout and str(tmp_path / "cache") not in there.stdout + there.stderr
    put = [path for method, path, _ in server.requests if method == "PUT"]
    assert put[-1] == "/oftests/runs/a/run.json" and "/oftests/runs/a/model.keras" in put
    record = bucket.Object("runs/a/run.json").get()["Body"].read().decode()
    found = json.loads(record)
    assert found["source"]["data"] == "s3://oftests/photos" and found["source"]["model"] == "s3://oftests/model.keras"
    # to the bit what this machine's own folders give
    frostline.done("train", backbone, photos, "-o", tmp_path / "run", *how)
    for source, name in (("s3://oftests/runs/a", "there"), (tmp_path / "run", "here")):
        frostline.done("convert", source, "-o", tmp_path / f"{name}.safetensors")
    assert (tmp_path / "there.safetensors").read_bytes() == (tmp_path / "here.safetensors").read_bytes()
    scores = [frostline.json("evaluate", run, photos) for run in ("s3://oftests/runs/a", tmp_path / "run")]
    assert scores[0]["confusion"] == scores[1]["confusion"]
    image = photos / "owl/000.jpg"
    lines = [
        json.loads(frostline.done("predict", "s3://oftests/runs/a", source, "--json"))
        for source in (image, "s3://oftests/photos/owl/000.jpg")
    ]
    assert lines[0]["scores"] == lines[1]["scores"] and lines[1]["image"] == "s3://oftests/photos/owl/000.jpg"
    again = frostline.run("train", backbone, photos, "-o", "s3://oftests/runs/a", *how)
    assert again.returncode == 1 and "holds a run already" in again.stderr
    for text in (there.stdout, there.stderr, record):
        assert SECRET not in text and KEY not in text


def machine(frostline, folder):
    """Another machine: it has none of the copies of the first."""
    found = Frostline(folder)
    found.environment = {**frostline.environment, "XDG_CACHE_HOME": str(folder)}
    return found


def test_features_that_one_machine_computed_are_there_for_others(frostline, server, bucket, photos, tmp_path):
    backbone = small_backbone(tmp_path, 4, 6)
    at = "s3://oftests/some/features"

    def embedded(machine, cache):
        output = tmp_path / "features.npz"
        told = machine.json("embed", backbone, photos, "-o", output, "--cache", cache)
        return told["computed"], output.read_bytes()

    others = [machine(frostline, tmp_path / f"machine-{index}") for index in range(3)]
    count, features = embedded(frostline, tmp_path / "here")
    assert count == 24 and embedded(others[0], at) == (24, features)
    assert server.fetched() == []
    assert embedded(others[1], at) == (0, features) and len(server.fetched()) == 2
    # nothing is fetched or computed twice, and what a killed process was fetching goes
    [copy] = (tmp_path / "machine-1/frostline-stores").glob("*/features")
    (copy / ".frostline-abandoned").write_text("half an object")
    assert embedded(others[1], at) == (0, features) and server.fetched() == []
    assert not (copy / ".frostline-abandoned").exists()
    # what is damaged there is computed again
    [shard] = [one for one in bucket.objects.all() if one.key.endswith(".safetensors")]
    content = bytearray(shard.get()["Body"].read())
    content[len(content) // 2] ^= 1
    shard.put(Body=bytes(content))
    computed, again = embedded(others[2], at)
    assert again == features and 0 < computed <= 24
    # a cache is a help: one that is broken is told, and no reason to stop
    bucket.objects.all().delete()
    server.refused = "PUT"
    result = others[0].run("train", backbone, photos, "-o", tmp_path / "run", "--cache", "s3://oftests/other")
    assert result.returncode == 0 and "the feature cache `s3://oftests/other`: " in result.stderr, result.stderr
    assert "403" in result.stderr or "may not be used" in result.stderr
    frostline.done("train", backbone, photos, "-o", tmp_path / "local", "--no-cache")
    assert (tmp_path / "run/model.keras").read_bytes() == (tmp_path / "local/model.keras").read_bytes()


def test_shards_on_machines_that_have_a_store_in_common(frostline, server, bucket, photos, tmp_path):
    upload(bucket, photos, "photos")
    backbone = small_backbone(tmp_path, 4, 6)
    bucket.upload_file(str(backbone), "model.keras")
    model, data = "s3://oftests/model.keras", "s3://oftests/photos"
    machines = [machine(frostline, tmp_path / f"machine-{index}") for index in range(3)]
    # features
    frostline.done("embed", backbone, photos, "-o", tmp_path / "alone.npz")
    server.fetched()
    fetched = []
    for index in (1, 0):
        machines[index].done("embed", model, data, "-o", "s3://oftests/out/all.npz", "--shard", f"{index}/3")
        fetched.append({path for path in server.fetched() if path.endswith(".jpg")})
    # each its own photos
    assert [len(photos) for photos in fetched] == [8, 8] and fetched[0].isdisjoint(fetched[1])
    refused = machines[2].run("merge", "s3://oftests/out/all.npz")
    assert refused.returncode == 1 and "the shards 2/3 are missing" in refused.stderr
    machines[2].done("embed", model, data, "-o", "s3://oftests/out/all.npz", "--shard", "2/3")
    frostline.done("merge", "s3://oftests/out/all.npz")
    merged = bucket.Object("out/all.npz").get()["Body"].read()
    assert merged == (tmp_path / "alone.npz").read_bytes()
    # who may not use the place is told before the work
    refused = machines[0].run("embed", model, data, "-o", "s3://another-bucket/all.npz", "--shard", "0/2", "--json")
    assert refused.returncode == 1 and "`s3://another-bucket/all.npz" in refused.stderr and refused.stdout == "", refused
    # how many layers to reuse
    flags = ("--repeats", 2, "--cuts", "conv2d,conv2d_1")
    alone = frostline.json("depth", backbone, photos, "-o", tmp_path / "alone", *flags)
    # what is relative is so to where the shards were
    command = ("depth", model, data, "-o", "s3://oftests/best", *flags, "--cache", "s3://oftests/cache")
    shards = [
        subprocess.Popen(
            [BINARY, *map(str, command), "--shard", f"{index}/3", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=machines[index].environment,
        )
        for index in range(2)
    ]
    outcomes = [shard.communicate() for shard in shards]
    assert [shard.returncode for shard in shards] == [0, 0], outcomes
    trained = [json.loads(stdout)["trained"] for stdout, _ in outcomes]
    lines = (tmp_path / "alone/search.jsonl").read_text().splitlines()
    # both have worked, and nothing was trained twice
    assert min(trained) > 0 and sum(trained) == len(lines) - 1, trained
    left = {one.key for one in bucket.objects.filter(Prefix="best/")}
    assert left == {"best/shards/0.jsonl", "best/shards/1.jsonl", "best/shards/command.json"}
    # one that comes late, on a machine that has seen nothing
    assert machines[2].json(*command, "--shard", "2/3")["trained"] == 0
    found = machines[2].json("merge", "s3://oftests/best")
    assert without_times(found) == without_times(alone)
    bucket.download_file("best/model.keras", str(tmp_path / "best.keras"))
    assert (tmp_path / "best.keras").read_bytes() == (tmp_path / "alone/model.keras").read_bytes()
    # with the finished run it does what it does with one in a folder
    there, here = machines[0].run(*command), frostline.run("depth", backbone, photos, "-o", tmp_path / "alone", *flags)
    assert (there.returncode, "holds a finished run" in there.stderr) == (here.returncode, "holds a finished run" in here.stderr)
    assert there.returncode == 1, there.stderr


def without_times(found):
    """The verdict and the table, without what differs from run to run."""
    return json.loads(json.dumps(found), object_hook=lambda one: {key: value for key, value in one.items() if "second" not in key})


def test_a_shard_fetches_the_photos_of_a_list_that_are_its_own(frostline, server, bucket, photos, tmp_path):
    local = tmp_path / "local"
    local.mkdir()
    in_a_list(photos, local)
    upload(bucket, local, "data")
    shutil.move(local / "list.csv", tmp_path / "list.csv")
    backbone = small_backbone(tmp_path, 4, 6)
    frostline.done("embed", backbone, tmp_path / "list.csv", "--root", local, "-o", tmp_path / "alone.npz")
    lists = [("s3://oftests/data/list.csv",), (tmp_path / "list.csv", "--root", "s3://oftests/data")]
    server.fetched()
    for number, source in enumerate(lists):
        output = tmp_path / f"all-{number}.npz"
        command = ("embed", backbone, *source, "-o", output, "--no-cache")
        for shard in "0/2", "1/2":
            told = frostline.json(*command, "--shard", shard)
            fetched = [path for path in server.fetched() if path.endswith(".jpg")]
            assert (told["images"], len(fetched)) == (6, 6) and told["skipped"] == []
        frostline.done("merge", output)
        assert output.read_bytes() == (tmp_path / "alone.npz").read_bytes()
    # what is here is not fetched again; what has changed is, and what is gone is gone
    shard = (*command, "--shard", "0/2")
    frostline.done(*shard)
    assert server.fetched() == []
    bucket.upload_file(str(local / "photos/owl/000.jpg"), "data/photos/cat/000.jpg")
    frostline.done(*shard)
    assert server.fetched() == ["/oftests/data/photos/cat/000.jpg"]
    bucket.Object("data/photos/cat/002.jpg").delete()
    told = frostline.run(*shard)
    assert "cat/002.jpg" in told.stderr, told


def test_two_processes_that_are_the_same_shard(frostline, server, bucket, photos, tmp_path):
    backbone = small_backbone(tmp_path, 4, 6)
    command = ("depth", backbone, photos, "-o", "s3://oftests/best", "--shard", "0/2", "--repeats", "30", "--lost-after", "2s")
    older = subprocess.Popen(
        [BINARY, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=machine(frostline, tmp_path / "older").environment,
    )
    deadline = time.monotonic() + 60
    while not any(one.key == "best/shards/0.json" for one in bucket.objects.all()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    newer = subprocess.Popen(
        [BINARY, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=machine(frostline, tmp_path / "newer").environment,
    )
    _, told = older.communicate(timeout=60)
    assert older.returncode == 1 and "another process is the shard 0/2" in told and "help: " in told, told
    newer.send_signal(signal.SIGTERM)
    assert "the same command goes on" in newer.communicate(timeout=60)[1]


def test_a_store_that_is_busy_or_breaks_off_is_asked_again(frostline, server, bucket, photos, tmp_path):
    upload(bucket, photos, "photos")
    server.busy, server.broken = 3, 4
    assert frostline.json("check", "s3://oftests/photos")["skipped"] == []
    local = tmp_path / "local"
    local.mkdir()
    in_shards(photos, local)
    upload(bucket, local, "packed")
    server.requests.clear()
    server.broken = 1
    assert "24 photos in 3 classes" in frostline.done("check", "s3://oftests/packed/deep/shard-{0..2}.tar")
    # it goes on where it was broken off
    assert any(range_ and not range_.startswith("bytes=0-") for _, _, range_ in server.requests)


def test_what_is_wrong_is_told_with_a_remedy_and_no_secret(frostline, server, bucket, photos, tmp_path):
    upload(bucket, photos, "photos")

    def refused(words, *arguments, **environment):
        found = Frostline(tmp_path / "cache")
        found.environment = {**frostline.environment, **environment}
        result = found.run(*arguments)
        assert result.returncode == 1 and words in result.stderr and "help: " in result.stderr, result.stderr
        assert SECRET not in result.stderr and KEY not in result.stderr
        return result.stderr

    refused("`s3://oftests/nothing` is not there", "check", "s3://oftests/nothing")
    refused("is no model and no run", "evaluate", "s3://oftests/photos", photos)
    refused("`ftp://` is no kind of address", "check", "ftp://host/photos")
    stderr = refused("holds a query, a user or a password", "check", "https://host/a.tar?X-Amz-Signature=word")
    assert "X-Amz-Signature" not in stderr
    del frostline.environment["AWS_ACCESS_KEY_ID"]
    assert "AWS_ACCESS_KEY_ID" in refused("no credentials for `s3://oftests/photos`", "check", "s3://oftests/photos")
    del frostline.environment["AWS_SECRET_ACCESS_KEY"]
    assert "AWS_ACCESS_KEY_ID" in refused("`s3://oftests/photos`", "check", "s3://oftests/photos")
    refused("nothing is written to `https://host/cache`", "embed", "x.keras", photos, "-o", "x.npz", "--cache", "https://host/cache")
    refused("--cache is `s3://oftests/cache`", "cache", "list", "--cache", "s3://oftests/cache")
    refused("nothing is written to `https://host/run`", "train", "x.keras", photos, "-o", "https://host/run")


def test_a_web_server_gives_files_and_lists_nothing(frostline, photos, tmp_path):
    local = tmp_path / "local"
    local.mkdir()
    in_a_list(photos, local)
    in_shards(photos, local)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(local))

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_port}"
        assert "24 photos in 3 classes" in frostline.done("check", f"{url}/deep/shard-{{0..2}}.tar")
        assert frostline.json("check", f"{url}/list.csv")["classes"] == frostline.json("check", local / "list.csv")["classes"]
        result = frostline.run("check", f"{url}/photos")
        assert result.returncode == 1 and "is listed by no server" in result.stderr and "help: " in result.stderr
        result = frostline.run("check", f"{url}/nothing.tar")
        assert result.returncode == 1 and "is not there" in result.stderr
        web.shutdown()
