"""The command `agio`: what each subcommand prints, and one line for each thing that is wrong."""

import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from pathlib import Path

import msgspec
import pytest

from app import cli, config
from app.http.schemas import TreeAnswer
from app.identity.model import Identity, Role, Scope
from app.identity.tokens import TTL_SECONDS_MAX, Tokens
from app.telemetry import events
from tests.app.inspect.trees import actor, supervisor
from tests.support.databases import Databases

SECRET = "a secret of the tests, at least 32 bytes long"


@pytest.fixture(autouse=True)
def own_state(state_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's, and none of the caller's settings."""
    for name in list(config.BY_NAME):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    monkeypatch.setenv("AGIO_STATE_DIR", str(state_path))
    return state_path


def _failed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that a failing command prints."""
    assert cli.main(arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("agio: ")
    return line


@pytest.mark.parametrize("role", ["buyer", "seller", "operator"])
def test_token_prints_a_bare_token(
    role: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A script can take the output as it is; by default it is the demo's person of that role."""
    monkeypatch.setenv("AGIO_TOKEN_SECRET", SECRET)
    assert cli.main(["token", role]) == 0
    out, err = capsys.readouterr()
    assert (err, out) == ("", out.strip() + "\n")
    found = Tokens(SECRET).verify(out.strip())
    assert isinstance(found, Identity)
    assert (found.person, found.role, found.line) == (f"demo-{role}", role, "demo")


def test_token_takes_a_name_a_line_and_a_lifetime(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whose, of which line and for how long can be said."""
    monkeypatch.setenv("AGIO_TOKEN_SECRET", SECRET)
    cli.main(["token", "buyer", "--user", "ann", "--line", "shoes", "--ttl", "60"])
    found = Tokens(SECRET, now=lambda: 0).verify(capsys.readouterr().out.strip())
    assert not isinstance(found, Identity), "a token is not valid before it is issued"
    cli.main(["token", "buyer", "--user", "ann", "--line", "shoes", "--ttl", "60"])
    found = Tokens(SECRET).verify(capsys.readouterr().out.strip())
    assert isinstance(found, Identity)
    assert (found.person, found.line) == ("ann", "shoes")


def test_token_has_the_scopes_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each by its name; a name that is none is refused before a token is made."""
    monkeypatch.setenv("AGIO_TOKEN_SECRET", SECRET)
    named = ["--scope", "ledger:read", "--scope", "ledger:post", "--scope", "ledger:read"]
    assert cli.main(["token", "seller", *named]) == 0
    found = Tokens(SECRET).verify(capsys.readouterr().out.strip())
    assert isinstance(found, Identity)
    assert found.scopes == {Scope.LEDGER_READ, Scope.LEDGER_POST}
    with pytest.raises(SystemExit):
        cli.main(["token", "seller", "--scope", "ledger:everything"])
    out, err = capsys.readouterr()
    assert out == ""
    assert "ledger:everything" in err


def test_token_works_before_the_first_up(
    own_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a secret it makes one in the state folder, ours alone, and uses it ever after."""
    issued = []
    for _ in range(2):
        assert cli.main(["token", "buyer"]) == 0
        issued.append(capsys.readouterr().out.strip())
    (file,) = own_state.glob("*.secret")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    tokens = Tokens(file.read_text("ascii").strip())
    assert all(isinstance(tokens.verify(token), Identity) for token in issued)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--user", "a b"], "is no name"),
        (["--line", "A"], "is no business line"),
        (["--ttl", "0"], f"1 to {TTL_SECONDS_MAX} seconds"),
    ],
)
def test_token_refuses_what_would_not_verify(
    arguments: list[str],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A token nobody would accept is not printed."""
    monkeypatch.setenv("AGIO_TOKEN_SECRET", SECRET)
    assert reason in _failed(capsys, "token", "buyer", *arguments)


@pytest.mark.parametrize(
    ("command", "missing"),
    [("serve", "AGIO_DATABASE_URL"), ("migrate", "AGIO_DATABASE_URL")],
)
def test_a_command_says_what_it_needs(
    command: str, missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting that a command cannot do without is named."""
    assert missing in _failed(capsys, command)


def test_serve_needs_a_token_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nodes that each made a secret of their own would not know each other's tokens."""
    monkeypatch.setenv("AGIO_DATABASE_URL", "postgresql://127.0.0.1:1/agio")
    assert "AGIO_TOKEN_SECRET" in _failed(capsys, "serve")


@pytest.mark.parametrize(
    "command", ["serve", "up", "migrate", "token buyer", "ledger check", "inspect"]
)
def test_a_wrong_setting_stops_every_command(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing starts on settings that are not understood."""
    monkeypatch.setenv("AGIO_PORT", "http")
    assert "AGIO_PORT is 'http'" in _failed(capsys, *command.split())


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("settings", config.markdown()),
        ("events", events.markdown()),
        ("version", f"agio {version('agio')}\n"),
    ],
)
def test_what_tells_about_agio_works_with_wrong_settings(
    command: str,
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Who mistyped a setting can still look it up."""
    monkeypatch.setenv("AGIO_PORT", "http")
    assert cli.main([command]) == 0
    assert capsys.readouterr() == (expected, "")


@pytest.mark.parametrize("arguments", [[], ["dance"], ["token"], ["token", "admin"], ["ledger"]])
def test_wrong_arguments_are_told_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Argparse explains, with status 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: agio" in capsys.readouterr().err


@pytest.mark.servers
def test_migrate_tells_what_it_did(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first run applies the migrations, the second finds nothing to do."""
    monkeypatch.setenv("AGIO_DATABASE_URL", empty_database_url)
    assert cli.main(["migrate"]) == 0
    assert "0001" in capsys.readouterr().out
    assert cli.main(["migrate"]) == 0
    assert capsys.readouterr().out == "nothing to apply\n"


@pytest.mark.servers
def test_migrate_runs_as_the_owner(
    empty_database_url: str,
    databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The server's role is told whom to name instead; with the owner's URL it works."""
    monkeypatch.setenv("AGIO_DATABASE_URL", databases.as_server(empty_database_url))
    assert "set AGIO_DATABASE_OWNER_URL" in _failed(capsys, "migrate")
    monkeypatch.setenv("AGIO_DATABASE_OWNER_URL", empty_database_url)
    assert cli.main(["migrate"]) == 0
    assert "0001" in capsys.readouterr().out
    monkeypatch.delenv("AGIO_DATABASE_OWNER_URL")
    assert cli.main(["migrate"]) == 0
    assert capsys.readouterr().out == "nothing to apply\n"


@pytest.mark.servers
def test_ledger_check_is_clean_on_a_new_database(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A ledger without entries balances."""
    monkeypatch.setenv("AGIO_DATABASE_URL", database_url)
    assert cli.main(["ledger", "check"]) == 0
    assert "clean" in capsys.readouterr().out


@pytest.mark.servers
def test_ledger_check_refuses_a_database_that_is_not_ours(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without our schema there is nothing to check, and that is not the same as clean."""
    monkeypatch.setenv("AGIO_DATABASE_URL", empty_database_url)
    assert _failed(capsys, "ledger", "check")


@pytest.mark.servers
@pytest.mark.parametrize("command", ["migrate", "ledger check", "serve"])
def test_an_unreachable_database_is_one_line(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The line names the place and never the password."""
    monkeypatch.setenv("AGIO_TOKEN_SECRET", SECRET)
    monkeypatch.setenv("AGIO_PORT", "0")
    monkeypatch.setenv("AGIO_DATABASE_URL", "postgresql://agio:hush-hush@127.0.0.1:1/agio")
    line = _failed(capsys, *command.split())
    assert "127.0.0.1:1" in line
    assert "hush-hush" not in line


def test_a_ledger_check_without_a_ledger_makes_none(
    own_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is neither a URL nor a state folder it says so, and leaves nothing behind."""
    assert "no database" in _failed(capsys, "ledger", "check")
    assert not own_state.exists()


@pytest.mark.servers
def test_a_line_is_added_once(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator's new business line is there to sell in; adding it again is refused."""
    monkeypatch.setenv("AGIO_DATABASE_URL", database_url)
    assert cli.main(["line", "add", "acme", "--commission-bp", "250"]) == 0
    assert capsys.readouterr().out == "added acme\n"
    assert "already" in _failed(capsys, "line", "add", "acme")
    assert cli.main(["ledger", "check"]) == 0


@pytest.mark.parametrize(
    "arguments", [["Upper"], ["acme", "--commission-bp", "10001"], ["acme", "--name", "\n"]]
)
def test_a_line_that_cannot_be_is_refused(
    arguments: list[str], own_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the database would not take is refused before it is asked."""
    assert _failed(capsys, "line", "add", *arguments)
    assert not own_state.exists()


@pytest.fixture
def inspected() -> Iterator[str]:
    """The URL of somebody who shows the same small tree to whoever has a token of an operator."""
    tree = supervisor("agio", "rest_for_one", actor("hub", mailbox={"waiting": 3, "peak": 12}))
    body = msgspec.json.encode(TreeAnswer("agio", 300.0, tree))

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = Tokens(SECRET).verify(self.headers["authorization"].removeprefix("Bearer "))
            is_operator = isinstance(found, Identity) and found.role is Role.OPERATOR
            self.send_response(200 if is_operator else 403)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_inspect_prints_one_picture_where_there_is_no_terminal(
    inspected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a token of its own making, which nobody sees."""
    monkeypatch.setenv("AGIO_TOKEN_SECRET", SECRET)
    assert cli.main(["inspect", "--url", inspected]) == 0
    assert capsys.readouterr() == (
        f"""\
Agio at {inspected}, up 5 min
1 supervisor, 1 actor, 0 tasks, 0 restarts, 3 messages waiting

  NAME   KIND          STATE      AGE  RESTARTS  MAILBOX  PEAK
  agio   rest_for_one  running  5 min         0
  └ hub  actor         running  5 min         0     3/64    12
""",
        "",
    )


def test_inspect_finds_the_node_by_its_settings(
    inspected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it listens, or where this machine finds it when it listens everywhere."""
    monkeypatch.setenv("AGIO_TOKEN_SECRET", SECRET)
    monkeypatch.setenv("AGIO_HOST", "0.0.0.0")  # noqa: S104 - nothing listens there
    monkeypatch.setenv("AGIO_PORT", inspected.rpartition(":")[2])
    assert cli.main(["inspect", "--once"]) == 0
    assert f"Agio at {inspected}, " in capsys.readouterr().out


def test_inspect_prints_the_answer_as_json(
    inspected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """For programs; a token that is given is used, and no secret is needed."""
    token = Tokens(SECRET).issue("ann", Role.OPERATOR, "demo", 60)
    assert cli.main(["inspect", "--url", inspected, "--json", "--token", token]) == 0
    answer = msgspec.json.decode(capsys.readouterr().out, type=TreeAnswer)
    assert [path for path, _ in answer.tree.walk()] == ["agio", "agio/hub"]


def test_inspect_does_not_show_a_token_that_is_refused(
    inspected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says that it was."""
    token = Tokens(SECRET).issue("bob", Role.BUYER, "demo", 60)
    assert token not in _failed(capsys, "inspect", "--url", inspected, "--token", token)


def test_inspect_needs_a_secret_and_makes_none(
    own_state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One made now would be no running node's."""
    assert "no token secret" in _failed(capsys, "inspect")
    assert not own_state.exists()


def test_inspect_cannot_guess_a_port(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node that took any free port is to be named."""
    monkeypatch.setenv("AGIO_PORT", "0")
    assert "--url" in _failed(capsys, "inspect")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--every", "0"],
        ["--every", "nan"],
        ["--every", "soon"],
        ["--children", "-1"],
        ["--children", "101"],
    ],
)
def test_inspect_takes_numbers_within_bounds(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """And says which."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["inspect", *arguments])
    assert caught.value.code == 2
    assert "is not a number from" in capsys.readouterr().err
