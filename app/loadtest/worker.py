"""One process of a load test: reads what to do, connects, sends, counts, and tells.

Theory of operation. Lines of JSON come by stdin and go by stdout. One task drives the connections
through the steps of the run, one reads what the coordinator says, one tells how it goes. The end of
stdin is the end of the process, whatever it is doing: the coordinator is gone then. Signals from a
terminal are the coordinator's business, to whom they come, too.
"""

import gc
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, closing

import msgspec
import trio

from app.lines import line_of, read_lines
from app.loadtest.crowd import Crowd
from app.loadtest.errors import LoadTestError
from app.loadtest.limits import PROGRESS_S
from app.loadtest.messages import filler
from app.loadtest.model import Drain, Failed, FromWorker, Go, Share, ToWorker
from app.loadtest.run import Run
from app.loadtest.wire import Masker

_READ = msgspec.json.Decoder(ToWorker)


class Worker:
    """One process's part, between two streams.

    Args:
        commands: what the coordinator says.
        told: what it is told.
    """

    def __init__(self, commands: trio.abc.ReceiveStream, told: trio.abc.SendStream) -> None:
        self._commands = commands
        self._told = told
        self._turn = trio.StrictFIFOLock()  # of those who write
        self._go: Go | None = None
        self._drain: Drain | None = None

    async def run(self) -> None:
        """Do it; returns when all was told, or when the coordinator is gone."""
        async with aclosing(read_lines(self._commands)) as lines:
            async for line in lines:
                share = _READ.decode(line)
                assert isinstance(share, Share), "the first line says what to do"
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._listen, lines, nursery.cancel_scope)
                    await self._tell(await self._measure(share))
                    nursery.cancel_scope.cancel()
                return

    async def _listen(self, lines: AsyncIterator[bytes], scope: trio.CancelScope) -> None:
        async for line in lines:
            command = _READ.decode(line)
            if isinstance(command, Go):
                self._go = command
            elif isinstance(command, Drain):
                self._drain = command
        scope.cancel()

    async def _measure(self, share: Share) -> FromWorker:
        """All steps; the result, or why there is none."""
        masker = Masker(os.urandom(4), filler(share.plan))
        # Reads the certificates that this machine trusts, which takes a while.
        secure = None
        if share.target.is_secure:
            secure = await trio.to_thread.run_sync(ssl.create_default_context)
        crowd = Crowd(share.target, secure, share.run, masker, share.plan.sources)
        with closing(crowd):
            run = Run(share, crowd)
            telling = trio.CancelScope()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._tell_progress, run, telling)
                result: FromWorker
                try:
                    result = await self._steps(run)
                except LoadTestError as error:
                    result = Failed(str(error))
                telling.cancel()
        return result

    async def _steps(self, run: Run) -> FromWorker:
        await self._tell(await run.come_in())
        # What is there now stays: no collection of garbage has to look at it again.
        gc.collect()
        gc.freeze()
        await run.wait_until(lambda: self._go is not None)
        assert self._go is not None, "it was just waited for"
        await self._tell(await run.send(self._go.start_ns))
        await run.wait_until(lambda: self._drain is not None)
        assert self._drain is not None, "it was just waited for"
        return await run.drain(self._drain)

    async def _tell_progress(self, run: Run, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                await trio.sleep(PROGRESS_S)
                with trio.CancelScope(deadline=trio.current_time() + 1, shield=True):
                    await self._tell(run.progress())

    async def _tell(self, message: FromWorker) -> None:
        async with self._turn:
            await self._told.send_all(line_of(message))


def main() -> None:
    """Run one process on the standard streams."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    commands, told = trio.lowlevel.FdStream, trio.lowlevel.FdStream
    trio.run(lambda: Worker(commands(os.dup(0)), told(os.dup(1))).run())


if __name__ == "__main__":
    main()
