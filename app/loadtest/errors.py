"""How a load test fails."""

from app.storage.errors import StartupError


class LoadTestError(StartupError):
    """Nothing could be measured, for the reason this one line gives."""
