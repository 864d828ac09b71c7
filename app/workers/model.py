"""What a parent and its workers tell each other: lines of JSON on the workers' own pipes. Pure."""

import msgspec


class Up(msgspec.Struct, tag="up"):
    """From a worker, once: it serves.

    Attributes:
        port: the port that all share.
        local_port: its own, on the loopback interface, where its siblings ask it.
    """

    port: int
    local_port: int


class Failed(msgspec.Struct, tag="failed"):
    """From a worker, before it ends: it cannot serve.

    Attributes:
        reason: one line for a person.
    """

    reason: str


class Crew(msgspec.Struct, tag="crew"):
    """To each worker, whenever it changes: who is there.

    Attributes:
        local_ports: of each worker that serves, by its number.
        restarts: how often each was started again, by its number.
    """

    local_ports: dict[int, int]
    restarts: dict[int, int]


FromWorker = Up | Failed
