"""What 64 machines would take for a search and for ten million photos, by times that were measured on one core: no network and no disk
is a part of it but where it is said.
"""

import heapq
import json
import statistics
import time

PHOTOS = 10_000_000
BATCH = 64
REPEATS = 10
MACHINES = (1, 2, 4, 8, 16, 64)


def timed_search(model, data, flags, output, cache):
    """A search whose trials are trained here on one thread. Of each trial its JSON, its line and the processor's seconds."""
    from frostline import _core
    from frostline._progress import Progress

    flags, tell = [*flags, f"--repeats={REPEATS}", f"--cache={cache}", "--threads=1"], Progress(False)
    began = time.process_time()
    search = _core.AskedSearch(str(model), str(data), output, flags, tell)
    opened = time.process_time() - began
    runner = _core.TrialRunner(str(model), str(data), flags, tell)
    trials = {}
    while wanted := search.ask():
        for trial in wanted:
            began = time.process_time()
            line = runner.run(trial)
            trials[trial] = (line, time.process_time() - began)
            search.tell(line)
    began = time.process_time()
    search.finish(tell)
    finished = time.process_time() - began
    return {"model": str(model), "data": str(data), "flags": flags, "trials": trials, "opened": opened, "finished": finished}


def search_time(timed, machines, folder):
    """The seconds from the first trial to the last one, if each machine has one core: the search itself is asked, and told in the order in
    which the trials would end."""
    from frostline import _core
    from frostline._progress import Progress

    search = _core.AskedSearch(timed["model"], timed["data"], folder, timed["flags"], Progress(False))
    now, free, under_way, queue = 0.0, machines, [], []
    asked = set()
    while True:
        # what takes longest, which is asked for last, begins first
        for trial in reversed(search.ask()):
            if trial not in asked:
                asked.add(trial)
                queue.append(trial)
        while free and queue:
            trial = queue.pop(0)
            free -= 1
            heapq.heappush(under_way, (now + timed["trials"][trial][1], trial))
        if not under_way:
            return now
        now, trial = heapq.heappop(under_way)
        free += 1
        search.tell(timed["trials"][trial][0])


def timed_photos(model, paths):
    """Seconds of one core that batches of photos take, and what it takes to begin."""
    from frostline import _elsewhere

    began = time.process_time()
    embedder = _elsewhere.Embedder(str(model), threads=1)
    embedder.of([str(paths[0])])
    opened = time.process_time() - began
    batches = []
    for begin in range(0, len(paths) - BATCH + 1, BATCH):
        began = time.process_time()
        features, _ = embedder.of([str(path) for path in paths[begin : begin + BATCH]])
        batches.append(time.process_time() - began)
    photo = statistics.mean(path.stat().st_size for path in paths)
    return {"opened": opened, "batches": batches, "bytes": photo, "width": features[0].size}


def photos_time(timed, machines, cores):
    """Seconds that ten million photos take with so many machines of so many cores: each core takes its part, batch by batch, as fast as
    the batches that were measured, in turns."""
    workers = machines * cores
    count = PHOTOS // BATCH // workers + 1
    batches = timed["batches"]

    def of_worker(first):
        whole, rest = divmod(count, len(batches))
        return whole * sum(batches) + sum(batches[(first + at) % len(batches)] for at in range(rest))

    return timed["opened"] + max(of_worker(first) for first in range(len(batches)))


def text(search, photos):
    import pathlib
    import tempfile

    seconds = sorted(((cost, json.loads(trial)) for trial, (_, cost) in search["trials"].items()), key=lambda one: -one[0])
    total, (longest, slowest) = sum(cost for cost, _ in seconds), seconds[0]
    rows = ["| machines with one core each | search, seconds | times as fast |", "|---|---|---|"]
    alone = None
    with tempfile.TemporaryDirectory() as work:
        for machines in MACHINES:
            took = search_time(search, machines, pathlib.Path(work) / str(machines))
            alone = alone or took
            rows.append(f"| {machines} | {took:.1f} | {alone / took:.1f} |")
    per_photo = sum(photos["batches"]) / len(photos["batches"]) / BATCH
    rows += ["", "| machines | cores each | ten million photos | photos a second | read, MB/s |", "|---|---|---|---|---|"]
    for machines, cores in ((1, 1), (1, 16), (16, 16), (64, 1), (64, 16)):
        took = photos_time(photos, machines, cores)
        rate = PHOTOS / took
        rows.append(f"| {machines} | {cores} | {duration(took)} | {rate:,.0f} | {rate * photos['bytes'] / 1e6:,.0f} |")
    features = PHOTOS * photos["width"] * 4
    return f"""## Simulated: 64 machines

By the processor's time of one core. A search of {len(seconds)} trials takes {total:.1f} s of trials; the longest, `{slowest['arm']['name']}`, {longest:.1f} s.
Before the first trial each process takes {search['opened']:.1f} s for the scores, and the last step {search['finished']:.1f} s: neither is in the table.
A photo takes {1000 * per_photo:.1f} ms, of {photos['bytes'] / 1000:.0f} kB; to begin takes {photos['opened']:.1f} s. The features of all are {features / 1e9:.0f} GB.

{chr(10).join(rows)}"""


def duration(seconds):
    """`1 h 20 min`."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{seconds / 60:.1f} min"
