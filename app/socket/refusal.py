"""The one renderer of refusals for Phoenix clients: every error reply of ours has this shape."""

from app.domain.errors import Refusal


def response_of(refusal: Refusal) -> dict[str, str | bool]:
    """`{code, message, retryable, reason}`; `reason` equals `code`, where Phoenix clients look."""
    return {**refusal.to_wire(), "reason": refusal.code.value}
