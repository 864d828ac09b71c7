"""Settings: every row's legal and illegal values, files for secrets, and a page that is current."""

from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path

import pytest

from app.config import TABLE, Settings, markdown, read_settings
from app.storage.errors import StartupError
from channels.client_limits import Limit, LimitName, Mode
from channels.origin import Origins, Pattern

SECRET = "a secret of the tests, at least 32 bytes long"
DOCS = Path(__file__).parents[2] / "docs"

LEGAL: dict[str, list[tuple[str, object]]] = {
    "AGIO_DATABASE_URL": [
        (url, url)
        for url in (
            "postgresql://u:p@127.0.0.1:5432/agio",
            "postgres://h/d",
            "postgresql:///agio?host=/run/postgresql",
        )
    ],
    "AGIO_DATABASE_OWNER_URL": [("postgresql://owner:p@h/d", "postgresql://owner:p@h/d")],
    "AGIO_REDIS_URL": [
        (url, url) for url in ("redis://h:6379/0", "rediss://:p@h", "unix:///run/valkey.sock")
    ],
    "AGIO_HOST": [("0.0.0.0", "0.0.0.0"), ("::1", "::1"), ("localhost", "localhost")],  # noqa: S104 - a value that is read, not an address that is bound
    "AGIO_PORT": [("0", 0), ("65535", 65535)],
    "AGIO_STATE_DIR": [("some/where", Path("some/where"))],
    "AGIO_TOKEN_SECRET": [(SECRET, SECRET), ("é" * 16, "é" * 16)],
    "AGIO_ORIGINS": [
        ("*", Origins(everyone=True)),
        (
            "https://a.com, //*.b.com",
            Origins((Pattern("https", "a.com", False, 443), Pattern(None, "b.com", True, None))),
        ),
    ],
    "AGIO_BENCH_ROOMS": [("1", True), ("0", False), ("true", True), ("False", False)],
    "AGIO_LOG_LEVEL": [("debug", "debug"), ("ERROR", "error")],
    "AGIO_RESERVATION_SECONDS": [("1", 1), ("86400", 86400)],
    "AGIO_POOL_SIZE": [("2", 2), ("200", 200)],
    "AGIO_DRAIN_SECONDS": [("0", 0), ("300", 300)],
    "AGIO_TRUSTED_PROXIES": [
        ("10.0.0.0/8, ::1", (ip_network("10.0.0.0/8"), ip_network("::1/128"))),
    ],
    **{
        f"AGIO_LIMIT_{name.upper()}": [
            ("1024", Limit(1_024, Mode.ENFORCE)),
            ("1024:dry_run", Limit(1_024, Mode.DRY_RUN)),
            ("off", Limit()),
        ]
        for name in LimitName
    },
}

ILLEGAL = {
    "AGIO_DATABASE_URL": ["mysql://h/d", "localhost", "postgresql://h:port/d", "postgresql:"],
    "AGIO_DATABASE_OWNER_URL": ["owner", "mysql://owner@h/d"],
    "AGIO_REDIS_URL": ["http://h", "redis:", "redis://h:99999"],
    "AGIO_HOST": ["two words", "http://h"],
    "AGIO_PORT": ["65536", "-1", "4000.0", "x", " 1", "٣", "tcp://10.0.0.1:4000"],
    "AGIO_STATE_DIR": ["a\0b"],
    "AGIO_TOKEN_SECRET": ["x" * 31],
    "AGIO_ORIGINS": ["a.com,", "*,a.com", "two words", "https://a.com/path"],
    "AGIO_BENCH_ROOMS": ["yes", "2"],
    "AGIO_LOG_LEVEL": ["loud"],
    "AGIO_RESERVATION_SECONDS": ["0", "86401"],
    "AGIO_POOL_SIZE": ["1", "201"],
    "AGIO_DRAIN_SECONDS": ["301", "1e3"],
    "AGIO_TRUSTED_PROXIES": ["10.0.0.1/8", "proxy", "10.0.0.1,", "*"],
    **{
        f"AGIO_LIMIT_{name.upper()}": [
            "0",
            "9999999999",
            "1024:dry",
            "dry_run",
            "-1",
            "off:dry_run",
        ]
        for name in LimitName
    },
}

BY_NAME = {setting.name: setting for setting in TABLE}
SECRETS = [setting.name for setting in TABLE if setting.secret]


def _refused(environment: dict[str, str]) -> str:
    with pytest.raises(StartupError) as caught:
        read_settings(environment)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_table_the_settings_and_these_tests_name_the_same() -> None:
    """A field without a row, a row without a field, or either without a test cannot be."""
    assert [field.name for field in fields(Settings)] == [setting.field for setting in TABLE]
    assert set(BY_NAME) == set(LEGAL) == set(ILLEGAL)


def test_nothing_set_gives_the_defaults() -> None:
    """An empty environment is a legal one, and other programs' variables are none of ours."""
    assert read_settings({}) == Settings()
    assert read_settings({"PATH": "/bin", "PORT": "x", "AGIO_PORT": ""}) == Settings()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [(name, text, value) for name, cases in LEGAL.items() for text, value in cases],
)
def test_a_legal_value_is_read(name: str, text: str, value: object) -> None:
    """Each setting's legal values arrive in its field, with its type."""
    got = getattr(read_settings({name: text}), BY_NAME[name].field)
    assert (type(got), got) == (type(value), value)


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, cases in ILLEGAL.items() for text in cases]
)
def test_an_illegal_value_is_told_in_one_line(name: str, text: str) -> None:
    """The line names the variable and what is legal, and the value only where it is no secret."""
    message = _refused({name: text})
    assert message.startswith(f"{name} is ")
    assert BY_NAME[name].legal in message
    assert (repr(text) in message) == (name not in SECRETS)


def test_a_long_illegal_value_is_shortened() -> None:
    """A message stays one readable line whatever was pasted."""
    assert len(_refused({"AGIO_PORT": "9" * 10_000})) < 300


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AGIO_PROT", "did you mean AGIO_PORT?"),
        ("AGIO_DATABSE_URL", "did you mean AGIO_DATABASE_URL?"),
        ("AGIO_TOKEN_SECRET_FIL", "did you mean AGIO_TOKEN_SECRET_FILE?"),
        ("AGIO_QQQQQQQQQQQQQQQQ", "`agio settings` lists them all"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    """A mistyped setting does not pass for a default."""
    assert _refused({name: "1"}) == f"{name} is no setting: {hint}"


def test_only_secrets_come_from_files() -> None:
    """AGIO_PORT_FILE and its like are no settings."""
    assert "is no setting" in _refused({"AGIO_PORT_FILE": "port"})


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_comes_from_a_file(name: str, tmp_path: Path) -> None:
    """What the file holds, without its line end, is the value."""
    text, value = LEGAL[name][0]
    file = tmp_path / "secret"
    file.write_text(f"{text}\n")
    assert getattr(read_settings({f"{name}_FILE": str(file)}), BY_NAME[name].field) == value


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    """With a value and a file nobody can tell which one was meant."""
    both = {"AGIO_TOKEN_SECRET": SECRET, "AGIO_TOKEN_SECRET_FILE": str(tmp_path)}
    assert _refused(both) == "AGIO_TOKEN_SECRET and AGIO_TOKEN_SECRET_FILE are both set: set one"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file or directory"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff", "is not UTF-8"),
        (b"short", "is not at least 32 bytes"),
        (b"x" * 70_000, "is too long"),
    ],
)
def test_a_bad_secret_file_is_told_in_one_line(
    content: bytes | None, reason: str, tmp_path: Path
) -> None:
    """A file that is missing, empty or wrong is told as such, without what it holds."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    message = _refused({"AGIO_TOKEN_SECRET_FILE": str(file)})
    assert message.startswith("AGIO_TOKEN_SECRET")
    assert reason in message
    assert "short" not in message


def test_the_repr_shows_no_secret() -> None:
    """Settings in a log or a traceback tell nothing that must not be told."""
    given = {name: LEGAL[name][0][0] for name in SECRETS}
    shown = repr(read_settings(given))
    assert [value for value in given.values() if value in shown] == []


def test_the_page_is_current() -> None:
    """docs/settings.md is what the table prints: `make docs` writes it anew."""
    assert (DOCS / "settings.md").read_text("utf-8") == markdown()
