"""The two snippets that `agio up` prints, pasted as they are into a shell."""

import subprocess
from pathlib import Path

import pytest
import trio

from tests.e2e.up import Up, agio_up

pytestmark = [pytest.mark.servers, pytest.mark.slow]

# A Python starts, connects and joins; the machines are shared.
_SNIPPET_SECONDS = 60


def _snippets(up: Up) -> tuple[str, str]:
    """The one that watches and the one that buys, as their headings frame them."""
    _, _, rest = up.banner.partition("Watch the demo sale")
    watch, _, rest = rest.partition("Buy in it")
    buy, _, _ = rest.partition("Ctrl-C")
    return watch.partition("\n")[2], buy.partition("\n")[2]


async def _read_until(stream: trio.abc.ReceiveStream, text: str) -> str:
    said = ""
    with trio.fail_after(_SNIPPET_SECONDS):
        async for chunk in stream:
            said += chunk.decode()
            if text in said:
                return said
    raise AssertionError(f"it ended without {text!r}: {said}")


async def test_the_snippets_work_as_pasted(state_path: Path) -> None:
    """One shows the sale and then the stock falling, because the other buys."""
    async with agio_up(state_path) as up:
        watch, buy = _snippets(up)
        watcher = await trio.lowlevel.open_process(
            ["bash", "-c", watch], stdout=subprocess.PIPE, start_new_session=True
        )
        try:
            assert watcher.stdout is not None
            shown = await _read_until(watcher.stdout, "'stock': 50")
            assert "demo-mug" in shown
            bought = await trio.run_process(["bash", "-c", buy], capture_stdout=True)
            assert b'"transaction"' in bought.stdout
            told = await _read_until(watcher.stdout, "'stock': 49")
            assert "stock_changed" in told
        finally:
            watcher.kill()
            with trio.CancelScope(deadline=trio.current_time() + 5, shield=True):
                await watcher.wait()
