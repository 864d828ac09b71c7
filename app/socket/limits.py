"""What the settings allow clients, as the endpoint takes it."""

from app.config import Settings
from channels.client_limits import ClientLimits, Limit, LimitName, Mode
from channels.limits import MESSAGE_BYTES_CEILING, TOPICS_CEILING, Limits


def limits_of(settings: Settings) -> Limits:
    """The limits of a node's endpoint.

    Topics and the size of messages are bounded hard, too: at the limit where it is enforced, and
    where it is not, at what a node can bear.
    """
    clients = ClientLimits(
        **{name.value: getattr(settings, f"limit_{name}") for name in LimitName},
    )
    return Limits(
        channels=_hard(clients.topics, TOPICS_CEILING),
        message_bytes=_hard(clients.message_bytes, MESSAGE_BYTES_CEILING),
        drain_s=settings.drain_seconds,
        clients=clients,
        trusted_proxies=settings.trusted_proxies or (),
    )


def _hard(limit: Limit, ceiling: int) -> int:
    return limit.value if limit.mode is Mode.ENFORCE else ceiling
