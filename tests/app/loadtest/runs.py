"""A run that was never run: two processes, ten points, and some of everything."""

from app.loadtest.histogram import Histogram
from app.loadtest.model import Joined, Plan, Result
from app.loadtest.summary import Summary, summarise

MS = 1_000_000
PLAN = Plan(connections=1_000, rooms=2, rate=100.0, window=None, duration_s=1.0, processes=2)


def histogram(*values_ms: float) -> Histogram:
    """Of these milliseconds."""
    made = Histogram({})
    for value in values_ms:
        made.add(int(value * MS))
    return made


def result(**changes: object) -> Result:
    """What one of the processes counted, with these changes."""
    usual: dict[str, object] = {
        "sent": 50,
        "unsent": 0,
        "expected": 25_000,
        "delivered": 25_000,
        "late": 0,
        "duplicates": 0,
        "reordered": 0,
        "refused": 0,
        "refusal": "",
        "gone": 0,
        "stalls": 0,
        "bytes_in": 3_000_000,
        "busy": 0.25,
        "cpu": 0.2,
        "slots": {slot: histogram(*[2.0] * 90, *[4.0] * 9, 100.0) for slot in range(10)},
        "lag": histogram(*[0.1] * 50),
    }
    return Result(**{**usual, **changes})  # type: ignore[arg-type]  # as the fields are


def summary(plan: Plan = PLAN, **changes: object) -> Summary:
    """Of two processes, the second one with these changes."""
    joined = [
        Joined(histogram(*[20.0] * 500), 1_000 * MS, 1_400 * MS),
        Joined(histogram(*[40.0] * 500), 1_100 * MS, 1_500 * MS),
    ]
    url = "ws://127.0.0.1:4000/socket/websocket"
    return summarise(url, plan, joined, [result(), result(**changes)])
