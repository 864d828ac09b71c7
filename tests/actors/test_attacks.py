"""What attacks on this layer found: each as the least that shows it."""

import random

import trio

from actors import Actor, Backoff, DynamicSupervisor, Reply, actor_child, running
from actors.seeded import under_seeds
from tests.actors.support import Boom


class Fragile(Actor[str]):
    """Crashes when told to."""

    async def handle(self, message: str, reply: Reply) -> None:
        """Crash, or answer with the message."""
        if message == "crash":
            raise Boom(message)
        reply.send(message)


@under_seeds()
async def test_a_child_stopped_in_the_moment_of_its_crash_waits_for_no_backoff(
    chance: random.Random,
) -> None:
    """Its pause may be ahead of it, or begun."""
    shop = DynamicSupervisor("shop", max_children=1)
    async with running(shop):
        slow = Backoff(first_s=30.0, jitter=0)
        ref = await shop.start_child(actor_child("till", Fragile, backoff=slow))
        ref.cast("crash")
        for _ in range(chance.randrange(8)):
            await trio.lowlevel.checkpoint()
        await shop.terminate_child("till")
        assert trio.current_time() == 0
