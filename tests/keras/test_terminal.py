"""What a training shows on a terminal: one live line a stage, which is gone when the stage is."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios

from conftest import BINARY, ROOT

DEMO = ROOT / "crates" / "cli" / "assets" / "demo"


def on_a_terminal(*arguments, environment):
    """What is written to a terminal of 100 columns, and the exit status."""
    own, other = pty.openpty()
    fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    environment = {**environment, "TERM": "xterm"}
    process = subprocess.Popen([BINARY, *map(str, arguments)], stdin=other, stdout=other, stderr=other, env=environment)
    os.close(other)
    seen = b""
    while True:
        ready, _, _ = select.select([own], [], [], 60)
        assert ready, "nothing more is written"
        try:
            block = os.read(own, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        seen += block
    os.close(own)
    return seen.decode(), process.wait()


def test_a_stage_is_one_live_line_with_loss_rate_score_and_time(frostline, tmp_path):
    flags = ["--epochs", "40", "--batch", "2", "--unfreeze", "2", "--fine-tune-epochs", "2"]
    train = ["train", DEMO / "my_model_A.h5", DEMO / "fashion_subset.npz", "-o", tmp_path / "run", *flags]
    seen, status = on_a_terminal(*train, environment=frostline.environment)
    assert status == 0, seen
    live = re.findall(r"head (\d+)/40  loss (\d+\.\d{4})(.*?)  rate (\d\.\de-\d+).*? left", seen)
    assert live, seen
    assert all(float(rate) == 1e-3 for *_, rate in live)
    # after the first epoch the score of the last one is part of it
    assert any(re.fullmatch(r"  val accuracy [01]\.\d{4}", val) for _, _, val, _ in live), live
    assert re.search(r"fine-tune [12]/2  loss", seen)
    # what stays: the lines of the epochs and the summary, and nothing of the bar
    shown = [re.sub(r"^.*\x1b\[2K", "", line) for line in seen.replace("\r\n", "\n").split("\n")]
    kept = [line for line in shown if line.strip()]
    assert not any("left" in line and "█" in line for line in kept), kept
    assert any(line.startswith("test   loss") and "95 % interval" in line for line in kept), kept
    assert any(line.startswith("next   ") for line in kept), kept


def test_what_is_no_terminal_gets_no_bar(frostline, tmp_path):
    train = ["train", DEMO / "my_model_A.h5", DEMO / "fashion_subset.npz", "-o", tmp_path / "run", "--epochs", "2"]
    result = frostline.run(*train)
    assert result.returncode == 0
    assert "\x1b" not in result.stderr and "█" not in result.stderr
