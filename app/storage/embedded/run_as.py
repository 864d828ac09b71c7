"""Whom a server runs as.

PostgreSQL refuses to run as root, so where we are root the child alone drops to `nobody`; our own
process keeps its rights. Such a child may not be able to reach what we can: below a home folder
that others cannot enter, neither the binaries nor the data are of use to it. Whether it can is
found out by asking the kernel in that user's name, never by reading mode bits.
"""

import os
import pwd
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.storage.errors import StartupError
from app.storage.limits import (
    EMBEDDED_PROBE_S,
)

_UNPRIVILEGED: Final = "nobody"

# Nothing of ours is a server's business: secrets travel in the environment, too.
ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user that servers run as.

    Attributes:
        uid: its number, and `gid` its group's; both None for the user we are.
    """

    uid: int | None = None
    gid: int | None = None

    @property
    def is_other(self) -> bool:
        """Whether it is not the user we are."""
        return self.uid is not None

    def options(self) -> dict[str, Any]:
        """What `subprocess` needs in order to start a child as this user."""
        if not self.is_other:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make this user the owner of `path`."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def can_enter(self, folder: Path) -> bool:
        """Whether this user can reach `folder` and go into it."""
        return self.can_run(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)])

    def can_run(self, command: Sequence[str]) -> bool:
        """Whether this user can run `command`, and it ends well."""
        try:
            done = subprocess.run(  # noqa: S603 - our own commands, no shell expands them
                command,
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=EMBEDDED_PROBE_S,
                check=False,
                **self.options(),
            )
        except (OSError, subprocess.SubprocessError):
            return False
        return done.returncode == 0


def choose_user() -> RunAs:
    """The user we are, or an unprivileged one where we are root."""
    if os.geteuid() != 0:
        return RunAs()
    try:
        user = pwd.getpwnam(_UNPRIVILEGED)
    except KeyError:
        raise StartupError(
            f"PostgreSQL does not run as root, and there is no user {_UNPRIVILEGED!r} to run it as"
        ) from None
    return RunAs(user.pw_uid, user.pw_gid)
