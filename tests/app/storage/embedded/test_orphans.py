"""However we end, no server is left behind."""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.servers,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start ends them"),
]

_WAIT_MS = 10_000


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process that runs PostgreSQL and Valkey, ready."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.servers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield process
    shutil.rmtree(Path(ready["folder"]).parent, ignore_errors=True)


def _family(pid: int) -> list[int]:
    """Descriptors of all processes below `pid`, whichever of its threads started them."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found.append(os.pidfd_open(int(child)))
            found.extend(_family(int(child)))
    return found


def _all_end(processes: list[int]) -> bool:
    """Whether all of these end, within a deadline each."""
    ended = []
    for process in processes:
        poll = select.poll()
        poll.register(process, select.POLLIN)
        ended.append(bool(poll.poll(_WAIT_MS)))
        os.close(process)
    return all(ended)


def test_killed_we_leave_nothing(parent: subprocess.Popen[str]) -> None:
    """After `kill -9` of ours the kernel ends the servers and their children."""
    family = _family(parent.pid)
    assert len(family) > 2
    parent.send_signal(signal.SIGKILL)
    assert _all_end(family)


def test_cut_off_we_leave_nothing(parent: subprocess.Popen[str]) -> None:
    """When the suite's end of the pipe closes, the servers end in order."""
    family = _family(parent.pid)
    assert parent.stdin is not None
    parent.stdin.close()
    assert _all_end(family)
    assert parent.wait(_WAIT_MS / 1000) == 0
