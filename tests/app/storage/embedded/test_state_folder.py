"""The state folder: what it keeps, who may open it, and where servers' files go."""

import os
import shutil
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.storage import StartupError
from app.storage.embedded import StateFolder, StateFolderInUse
from tests.support.folders import folder_for_servers

_AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place that stands for /var/lib/agio."""
    with folder_for_servers() as folder:
        monkeypatch.setattr("app.storage.embedded.state_folder._ELSEWHERE", folder / "agio")
        yield folder / "agio"


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_what_it_holds_is_ours_alone(state: StateFolder) -> None:
    """Secrets and locks are closed to others, and so is the folder unless servers pass through."""
    state.secret("server")
    assert _mode(state.path) == (0o711 if os.geteuid() == 0 else 0o700)
    assert {_mode(file) for file in state.path.iterdir()} == {0o600}


def test_one_process_has_it(state: StateFolder) -> None:
    """A folder that is open is refused in one line, and free again once closed."""
    with pytest.raises(StateFolderInUse, match=r"in use by another agio$"):
        StateFolder(state.path)
    state.close()
    StateFolder(state.path).close()


def test_another_version_is_refused(state_path: Path) -> None:
    """A folder of another layout is refused in one line, and left alone."""
    StateFolder(state_path).close()
    (state_path / "version").write_text("2\n")
    with pytest.raises(StartupError, match=r"is of version '2', this Agio's are of version '1'"):
        StateFolder(state_path)
    with pytest.raises(StartupError, match="version"):  # and not: in use
        StateFolder(state_path)


def test_a_folder_of_somebody_elses_is_refused(state_path: Path) -> None:
    """A folder that is not empty and not ours is not touched."""
    state_path.mkdir()
    (state_path / "thesis.txt").write_text("years of work")
    with pytest.raises(StartupError, match="not empty and not a state folder"):
        StateFolder(state_path)
    assert (state_path / "thesis.txt").read_text() == "years of work"


def test_a_file_in_its_place_is_refused(state_path: Path) -> None:
    """A path that cannot be a folder is refused in one line."""
    state_path.write_text("")
    with pytest.raises(StartupError, match="cannot use the state folder"):
        StateFolder(state_path)


def test_secrets_last(state_path: Path) -> None:
    """A secret is made once and stays; each name has its own."""
    with StateFolder(state_path) as state:
        one, other = state.secret("one"), state.secret("other")
    with StateFolder(state_path) as state:
        assert (state.secret("one"), state.secret("other")) == (one, other)
    assert one != other
    assert len(one) == 32


def test_a_port_lasts(state_path: Path) -> None:
    """A server's port is the same at the next start."""
    with StateFolder(state_path) as state:
        port = state.port("server")
    with StateFolder(state_path) as state:
        assert state.port("server") == port


def test_a_port_that_was_taken_is_chosen_again(state_path: Path) -> None:
    """A port that somebody else listens on is given up, unless that is our own old server."""
    with StateFolder(state_path) as state:
        port = state.port("server")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with StateFolder(state_path) as state:
            assert state.port("server", in_use_by_us=True) == port
        with StateFolder(state_path) as state:
            chosen = state.port("server")
            assert chosen != port
            assert state.port("server") == chosen
    with StateFolder(state_path) as state:
        assert state.port("server") == chosen


def test_the_servers_files_are_here_where_they_can_be(state: StateFolder) -> None:
    """A folder that the servers' user can reach holds everything."""
    assert state.home == state.path
    assert state.folder("server") == state.path / "server"
    assert _mode(state.folder("server")) == 0o700


def test_a_folder_takes_its_data_along(state_path: Path) -> None:
    """Moved or copied, a folder leads to its own data and never to those of another."""
    with StateFolder(state_path) as state:
        (state.folder("server") / "data").write_text("of before")
    copy = shutil.copytree(state_path, state_path.with_name("copy"))
    moved = state_path.rename(state_path.with_name("moved"))
    for path in (copy, moved):
        with StateFolder(path) as state:
            assert state.home == path
            assert (state.folder("server") / "data").read_text() == "of before"


@_AS_ROOT
def test_the_servers_files_go_elsewhere_where_they_must(tmp_path: Path, elsewhere: Path) -> None:
    """Below a folder that others cannot enter, the servers' files go where their user can."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    with StateFolder(hidden / "state") as state:
        home = state.home
        assert home.parent == elsewhere
        assert state.run_as.can_enter(state.folder("server"))
        assert state.folder("server").stat().st_uid == state.run_as.uid
    with StateFolder(hidden / "state") as state:
        assert state.home == home


@_AS_ROOT
def test_data_of_a_folder_that_is_gone_is_set_aside(tmp_path: Path, elsewhere: Path) -> None:
    """A new folder where another was does not take over its data, and does not delete it."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    with StateFolder(hidden / "state") as state:
        (state.folder("server") / "data").write_text("of before")
    (hidden / "state").rename(hidden / "moved")
    with StateFolder(hidden / "state") as state:
        assert list(state.folder("server").iterdir()) == []
    kept = [file.read_text() for file in elsewhere.glob("*.before-*/server/data")]
    assert kept == ["of before"]


@_AS_ROOT
@pytest.mark.usefixtures("elsewhere")
def test_one_process_has_data_that_are_elsewhere(tmp_path: Path) -> None:
    """A copy of a folder whose data are elsewhere does not use them beside the first."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    with StateFolder(hidden / "state") as state:
        home = state.home
        copy = shutil.copytree(hidden / "state", hidden / "copy")
        with StateFolder(copy) as other, pytest.raises(StateFolderInUse, match=str(home)):
            _ = other.home


@_AS_ROOT
def test_data_out_of_reach_are_said(state_path: Path) -> None:
    """A folder that was moved to where its servers cannot follow is refused in one line."""
    with StateFolder(state_path) as state:
        state.folder("server")
    hidden = state_path.with_name("hidden")
    hidden.mkdir(mode=0o700)
    moved = state_path.rename(hidden / "state")
    with StateFolder(moved) as state, pytest.raises(StartupError, match="no longer reach"):
        _ = state.home


@_AS_ROOT
@pytest.mark.usefixtures("elsewhere")
def test_data_that_is_gone_is_said(tmp_path: Path) -> None:
    """A folder whose data was removed is refused, not quietly begun anew."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    with StateFolder(hidden / "state") as state:
        home = state.home
    shutil.rmtree(home)
    with StateFolder(hidden / "state") as state, pytest.raises(StartupError, match="is gone"):
        _ = state.home


@pytest.mark.usefixtures("elsewhere")
def test_secrets_alone_need_no_place_for_servers(tmp_path: Path) -> None:
    """Where no server is run, nothing is made outside the folder."""
    with StateFolder(tmp_path / "state") as state:
        state.secret("one")
        assert {file.name for file in state.path.iterdir()} == {"version", "lock", "one.secret"}


@_AS_ROOT
def test_another_users_folder_is_refused(state_path: Path) -> None:
    """A folder that a user made is not mixed with files of root's."""
    state_path.mkdir()
    os.chown(state_path, 65534, 65534)
    with pytest.raises(StartupError, match="belongs to user 65534, not to user 0"):
        StateFolder(state_path)
