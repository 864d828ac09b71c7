"""An actor that lives once: it must start in time, and may give up."""

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import Actor, Brood, Lifeline, StartTimeout, System, only_life


class Patient(Actor[str]):
    """Waits for what nobody brings, from its start on, until it gives up."""

    def __init__(self) -> None:
        self.said_goodbye = False

    async def started(self) -> None:
        """Wait in vain."""
        await trio.sleep_forever()

    async def stopping(self) -> None:
        """Only who ends in turn comes here."""
        self.said_goodbye = True


async def test_who_gives_up_ends_at_once_and_in_peace() -> None:
    """Nothing crashed, and nothing was killed; what was awaited is cancelled."""
    told: list[str] = []
    ends: list[bool] = []
    life = Lifeline("owner", system=System(lambda event, _: told.append(event)))
    patient = Patient()
    async with trio.open_nursery() as nursery:
        brood = Brood(
            life.part("b"), nursery, max_children=1, on_gone=lambda it: ends.append(it.in_peace)
        )
        brood.start_child_nowait(only_life("patient", patient))
        await wait_all_tasks_blocked()
        patient.give_up()
        await wait_all_tasks_blocked()
        assert ends == [True]
    assert (told, patient.said_goodbye) == (["actor.stopped"], False)


async def test_an_only_life_must_be_ready_in_time(autojump_clock: MockClock) -> None:
    """Else it is a crash, as of any child."""
    ends: list[Exception | None] = []
    async with trio.open_nursery() as nursery:
        brood = Brood(
            Lifeline().part("b"), nursery, max_children=1, on_gone=lambda it: ends.append(it.error)
        )
        brood.start_child_nowait(only_life("patient", Patient(), start_s=3))
        await trio.sleep(4)
    assert autojump_clock.current_time() == 4
    assert [str(end) for end in ends] == [str(StartTimeout("patient", 3))]
