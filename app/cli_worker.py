"""What a worker's process runs; its parent starts it, nobody else has a reason to.

What goes wrong at a start is told to the parent, who tells it to the person.
"""

import os
import sys
from functools import partial

import trio

from app.config import read_settings
from app.main import serve
from app.storage.errors import StartupError
from app.telemetry import start_telemetry
from app.workers.berth import Berth


def main(number: int, count: int) -> int:
    """Serve as worker `number` of `count`; returns the exit status."""
    berth = Berth(number, count)
    try:
        settings = read_settings(os.environ)
        with start_telemetry(settings.log_level, worker=number) as telemetry:
            run = partial(serve, embed=False, on_ready=lambda *_: None, berth=berth)
            trio.run(run, settings, telemetry)
    except StartupError as error:
        berth.say_failed(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
