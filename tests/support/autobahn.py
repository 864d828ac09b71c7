"""Run Autobahn's fuzzingclient against the echo over both lanes, and tell what came out.

    python -m tests.support.autobahn path/to/wstest

docs/autobahn.md tells where `wstest` comes from. The exit status is 0 if no case failed.
"""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from tests.support.echo_server import ROOMY, echoing
from tests.support.sockets import plain

# Compression is not offered.
_EXCLUDED: Final = ("12.*", "13.*")
# What a case's verdict may be. "Non-strict" is allowed by the RFC, but not what Autobahn hoped for.
_GOOD: Final = frozenset({"OK", "NON-STRICT", "INFORMATIONAL"})


def tell(cases: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], bool]:
    """What came out, line by line, and whether it is good.

    Args:
        cases: by number, as in Autobahn's `index.json`.
    """
    verdicts = {
        number: {str(case["behavior"]), str(case["behaviorClose"])}
        for number, case in cases.items()
    }
    counts = Counter(case["behavior"] for case in cases.values())
    lines = [f"{len(cases)} cases: " + ", ".join(f"{n} {name}" for name, n in counts.most_common())]
    lines += [
        f"{number}: {', '.join(sorted(verdict))}"
        for number, verdict in sorted(verdicts.items())
        if verdict != {"OK"}
    ]
    return lines, bool(cases) and all(verdict <= _GOOD for verdict in verdicts.values())


async def _fuzz(wstest: str, folder: Path) -> bytes:
    """Run all cases; returns the report."""
    async with echoing(ROOMY) as endpoint, trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def serve(stream: trio.SocketStream) -> None:
            await endpoint.serve(plain(stream.socket), b"")

        nursery.start_soon(trio.serve_listeners, serve, listeners)
        port = listeners[0].socket.getsockname()[1]
        plan = {
            "outdir": str(folder / "report"),
            "servers": [{"agent": "agio", "url": f"ws://127.0.0.1:{port}/echo"}],
            "cases": ["*"],
            "exclude-cases": _EXCLUDED,
            "exclude-agent-cases": {},
        }
        spec = trio.Path(folder / "plan.json")
        await spec.write_bytes(msgspec.json.encode(plan))
        command = [wstest, "-m", "fuzzingclient", "-s", str(spec)]
        await trio.run_process(command, cwd=folder, stdout=subprocess.DEVNULL)
        nursery.cancel_scope.cancel()
    return await trio.Path(folder / "report" / "index.json").read_bytes()


def main(wstest: str) -> int:
    """Run and tell; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="agio-autobahn-") as folder:
        report = msgspec.json.decode(trio.run(_fuzz, wstest, Path(folder)))
    lines, good = tell(report["agio"])
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(str(Path(sys.argv[1]).resolve())))
