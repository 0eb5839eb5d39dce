"""Ray and Dask with real clusters of several processes on this machine: what they make together is what one process makes, to the bit."""

import json
import os
import signal

import frostline as fl
import frostline.dask
import frostline.ray
import numpy as np
import pytest
from frostline import _elsewhere

WORKERS = 2
SEARCH = {"repeats": 2, "progress": False}


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "small.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def photos(folder):
    return sorted(str(path) for path in folder.rglob("*.png"))


@pytest.fixture(scope="module")
def alone(saved, folder, tmp_path_factory):
    """The search in one process, and its lines."""
    output = tmp_path_factory.mktemp("alone") / "search"
    return fl.depth(saved, folder, output=output, **SEARCH), lines(output)


@pytest.fixture(scope="module")
def on_ray():
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, logging_level="error", log_to_driver=False)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def on_dask():
    import distributed

    with distributed.LocalCluster(WORKERS, threads_per_worker=1, dashboard_address=None) as cluster:
        with distributed.Client(cluster) as client:
            yield client


def lines(output):
    """The outcomes of a search, without how long each took, and what they depend on."""
    key, *outcomes = map(json.loads, (output / "search.jsonl").read_text().splitlines())
    for outcome in outcomes:
        del outcome["seconds"]
    return key, sorted(outcomes, key=json.dumps)


def without_times(value):
    """What a search has found, but what a clock says."""
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key != "cost"}
    return [without_times(one) for one in value] if isinstance(value, list) else value


def dies_once(flag):
    """A worker that is killed in the middle of its first trial."""
    trial = _elsewhere.trial

    def killed(*given):
        try:
            os.close(os.open(flag, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return trial(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    return killed


def found_the_same(found, output, alone):
    expected, of_one = alone
    assert without_times(found.document) == without_times(expected.document)
    assert lines(output) == of_one, "lines differ, or a trial was told twice"
    models = [(folder / "model.keras").read_bytes() for folder in (output, expected.path)]
    assert models[0] == models[1]


def test_ray_makes_the_features_that_one_process_makes(on_ray, saved, folder, photos):
    expected = fl.embed(saved, folder, progress=False, no_cache=True)
    by_path = dict(zip(expected.paths, expected.features))
    rows = fl.ray.embed(saved, photos, workers=WORKERS, batch_size=16).take_all()
    assert len(rows) == len(photos) and not any(row["error"] for row in rows)
    for row in rows:
        assert np.array_equal(row["features"], by_path[os.path.relpath(row["path"], folder)])
    # bytes, one of them no picture, in a column of another name
    items = [{"file": open(path, "rb").read(), "at": at} for at, path in enumerate(photos[:9])]
    items[4]["file"] = b"no picture"
    data = on_ray.data.from_items(items)
    pool = on_ray.data.ActorPoolStrategy(size=1)
    rows = data.map_batches(
        fl.ray.Embedder, fn_constructor_args=[str(saved), "file"], compute=pool, batch_size=4
    ).take_all()
    for row in rows:
        path = os.path.relpath(photos[row["at"]], folder)
        is_sound = row["at"] != 4
        assert bool(row["error"]) != is_sound
        assert np.array_equal(row["features"], by_path[path]) if is_sound else np.isnan(row["features"]).all()


def test_ray_finds_what_one_process_finds_though_a_worker_is_killed(on_ray, saved, folder, alone, tmp_path, monkeypatch):
    import test_cluster

    on_ray.cloudpickle.register_pickle_by_value(test_cluster)
    monkeypatch.setattr(_elsewhere, "trial", dies_once(str(tmp_path / "killed")))
    found = fl.ray.depth(saved, folder, output=tmp_path / "search", **SEARCH)
    assert (tmp_path / "killed").exists()
    found_the_same(found, tmp_path / "search", alone)


def test_a_model_in_memory_goes_to_the_workers(on_ray, model, photos, saved):
    rows = fl.ray.embed(model, photos[:3], workers=1).take_all()
    expected = fl.embed(saved, photos[:3], progress=False, no_cache=True)
    assert np.array_equal([row["features"] for row in rows], expected.features)


def test_dask_does_the_same(on_dask, saved, folder, photos, alone, tmp_path, monkeypatch):
    import distributed.protocol.pickle as pickle
    import test_cluster

    pickle.cloudpickle.register_pickle_by_value(test_cluster)
    features = fl.dask.embed(on_dask, saved, photos, batch_size=16)
    assert np.array_equal(features, fl.embed(saved, photos, progress=False, no_cache=True).features)
    with pytest.raises(fl.FrostlineError, match="1 of 2 images could not be read"):
        fl.dask.embed(on_dask, saved, [photos[0], str(saved)])
    monkeypatch.setattr(_elsewhere, "trial", dies_once(str(tmp_path / "killed")))
    found = fl.dask.depth(on_dask, saved, folder, output=tmp_path / "search", **SEARCH)
    assert (tmp_path / "killed").exists()
    found_the_same(found, tmp_path / "search", alone)


def test_a_worker_that_sees_other_images_is_refused(saved, folder, images, tmp_path):
    job = _elsewhere.Job(saved, folder, tmp_path / "search", False, {"repeats": 2})
    wanted = job.search.ask()[0]
    line = _elsewhere.trial(job.work(1), job.model, job.key, wanted)
    assert json.loads(line)["arm"] == json.loads(wanted)["arm"]["name"]
    key = json.loads(job.key)
    with pytest.raises(fl.FrostlineError, match="images, processor differ") as raised:
        _elsewhere.trial(job.work(1), job.model, json.dumps({**key, "images": "", "processor": ""}), wanted)
    assert "machines of one kind" in raised.value.help
    with pytest.raises(fl.ArgumentError, match="in the memory of this process"):
        _elsewhere.Job(saved, images, tmp_path / "other", False, {})
    with pytest.raises(fl.ArgumentError, match="`budget` is no keyword"):
        _elsewhere.Job(saved, folder, tmp_path / "other", False, {"budget": "3"})
