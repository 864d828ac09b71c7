"""The house's rules hold in every file, and each rule catches what it is for."""

import re
import tomllib
from itertools import chain

import pytest

from tests.tidy.rules import CODE_RULES, FILE_LINES_MAX, FUNCTION_LINES_MAX, Rule
from tests.tidy.source import ROOT, Source, read_tree
from tests.tidy.text_rules import TEXT_RULES

SOURCES = list(read_tree(ROOT))
PYTHON = [source for source in SOURCES if source.is_python]
RULES = [*CODE_RULES, *TEXT_RULES]


def _findings(rule: Rule, sources: list[Source]) -> list[str]:
    found = chain.from_iterable(((s, line, what) for line, what in rule(s)) for s in sources)
    return [f"{source.name}:{line} {what}" for source, line, what in found]


@pytest.mark.parametrize("rule", CODE_RULES, ids=lambda rule: rule.__name__)
def test_the_code_is_tidy(rule: Rule) -> None:
    """No Python file breaks this rule."""
    found = _findings(rule, PYTHON)
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: rule.__name__)
def test_every_file_is_tidy(rule: Rule) -> None:
    """No file of any kind breaks this rule."""
    found = _findings(rule, SOURCES)
    assert found == [], "\n".join(found)


def test_tests_mirror_the_source() -> None:
    """A folder of tests below tests/actors, tests/channels and tests/app tests a folder of code."""
    folders = {s.path.parent for s in PYTHON if s.is_test and s.path.name.startswith("test_")}
    mirrors = {f.relative_to("tests") for f in folders if len(f.parts) > 1}
    code = {s.path.parent for s in PYTHON if not s.is_test}
    assert {m for m in mirrors if m.parts[0] in {"actors", "channels", "app"}} - code == set()


def test_the_lock_to_serve_is_part_of_the_lock() -> None:
    """What the image installs are versions that were tested."""
    pins = {
        s.name: {line for line in s.lines if "==" in line}
        for s in SOURCES
        if s.path.suffix == ".lock"
    }
    names = {line.split(";")[0].rstrip(" \\") for line in pins["requirements.lock"]}
    serve = {line.split(";")[0].rstrip(" \\") for line in pins["requirements.serve.lock"]}
    assert serve - names == set()


def test_the_lock_covers_the_project() -> None:
    """Whoever adds a dependency runs `make lock`: what is installed comes from the lock alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = chain.from_iterable(project["optional-dependencies"].values())
    wanted = {_name(each) for each in [*project["dependencies"], *extras]} - {project["name"]}
    pinned = {_name(line) for line in (ROOT / "requirements.lock").read_text("ascii").splitlines()}
    assert wanted - pinned == set()


def _name(requirement: str) -> str:
    """The distribution that a line asks for."""
    return re.split(r"[^a-z0-9._-]", requirement.lower(), maxsplit=1)[0]


def test_the_whole_tree_is_read() -> None:
    """The rules see the code, the tests, the SQL and the papers."""
    names = {source.name for source in SOURCES}
    expected = {"app/config.py", "tests/test_tidy.py", "migrations/0001_base.sql", "README.md"}
    assert expected - names == set()


# What each rule is for ----------------------------------------------------------------------------

LONG = "def f() -> None:\n" + "    g()\n" * FUNCTION_LINES_MAX
TALL = "x = 1\n" * (FILE_LINES_MAX + 1)
INNER = "def f() -> None:\n    import json\n"
SLEEP = "async def test_x({}):\n    await trio.sleep(1)\n"
HALF = "pass  # noqa"

OFFENDERS = {
    "import_direction": [
        ("actors/x.py", "import channels.hub\n"),
        ("channels/x.py", "from app.domain.money import Money\n"),
        ("app/domain/x.py", "from app.config import X\n"),
        ("app/x.py", "from tests.support import y\n"),
        ("app/x.py", "from app import domain\nimport bench\n"),
    ],
    "libraries_at_home": [
        ("app/sales/service.py", "import asyncpg\n"),
        ("channels/hub.py", "import redis.asyncio\n"),
        ("app/http/router.py", "from quart import Quart\n"),
        ("app/http/router.py", "from app.main import serve\n"),
    ],
    "purity": [
        ("app/ledger/rules.py", "import trio\n"),
        ("actors/restart_state.py", "from app.storage import Database\n"),
        ("channels/protocol.py", "async def f() -> None: ...\n"),
        ("app/domain/money.py", "from trio import Event\n"),
    ],
    "imports_at_the_top": [("app/x.py", INNER), ("tests/x.py", "class A:\n  " + INNER[:-1])],
    "sizes": [
        ("app/x.py", LONG),
        ("tests/x.py", TALL),
        ("app/x.py", "def f(a, b, c, d, *, e, f, g): ...\n"),
    ],
    "no_mocks_no_sleeps": [
        ("tests/x.py", "from unittest.mock import Mock\n"),
        ("tests/x.py", "import time\ntime.sleep(1)\n"),
        ("tests/x.py", SLEEP.format("")),
        ("tests/x.py", "async def wait() -> None:\n    await trio.sleep(1)\n"),
        ("tests/x.py", "def test_x(monkeypatch):\n    monkeypatch.setattr(a, 'b', 1)\n"),
    ],
    "shields_have_deadlines": [
        ("app/x.py", "with trio.CancelScope(shield=True): ...\n"),
        ("app/x.py", "scope.shield = True\n"),
    ],
    "buffers_are_bounded": [
        ("app/x.py", "trio.open_memory_channel(math.inf)\n"),
        ("app/x.py", "trio.open_memory_channel[int](inf)\n".replace("[int]", "")),
    ],
    "sql_in_sql_files": [
        ("app/x.py", "Q = 'select a from b where c'\n"),
        ("tests/x.py", "Q = 'INSERT INTO a VALUES (1)'\n"),
        ("app/x.py", "Q = f'drop table {name}'\n"),
    ],
    "exceptions_have_reasons": [
        ("app/x.py", HALF + "\n"),
        ("app/x.py", HALF + ": S101\n"),
        ("app/x.py", "pass  # type:" + " ignore[attr-defined]\n"),
        ("app/x.py", "pass  # type:" + " ignore - because\n"),
    ],
    "tests_say_what_holds": [
        ("tests/x.py", "def test_x(): ...\n"),
        ("tests/x.py", "class TestX:\n    async def test_x(self):\n        '''No full stop'''\n"),
    ],
    "no_stubs": [("app/x.py", "raise NotImplementedError\n")],
    "names_say_something": [("app/utils.py", ""), ("app/common/x.py", ""), ("app/x_utils.py", "")],
    "no_package_hosts": [("x.lock", "https://py" + "pi.org/simple\n"), ("y", "NPM" + "JS.com\n")],
    "no_machine_paths": [("x.md", "see /ro" + "ot/x\n"), ("x.md", "see sha" + "red/x\n")],
    "locks_are_pins_and_hashes": [
        ("x.lock", "--index-url somewhere\n"),
        ("x.lock", "a>=1 \\\n"),
        ("x.lock", "    --hash=md5:00\n"),
    ],
    "lines_end_cleanly": [("x", "a \n"), ("x", "a"), ("x", "a\n\n"), ("x", "a\tb\n")],
}

INNOCENTS = {
    "import_direction": [
        ("app/x.py", "import actors\nfrom channels.hub import Hub\nfrom app.y import z\n"),
        ("actors/x.py", "import trio\nfrom actors.mailbox import Mailbox\nimport application\n"),
    ],
    "libraries_at_home": [
        ("app/storage/x.py", "import asyncpg\nimport asyncio\n"),
        ("app/http/adapter.py", "from quart import Quart\n"),
        ("tests/x.py", "import asyncpg\n"),
    ],
    "purity": [("app/ledger/rules.py", "from app.domain.money import Money\n")],
    "sizes": [("app/x.py", "class A:\n    def f(self, a, b, c, d, e, f): ...\n")],
    "no_mocks_no_sleeps": [
        ("tests/x.py", SLEEP.format("autojump_clock")),
        ("app/x.py", "import time\ntime.sleep(1)\n"),
        ("tests/x.py", "def test_x(monkeypatch):\n    monkeypatch.setattr('a.ROWS_MAX', 1)\n"),
    ],
    "shields_have_deadlines": [
        ("app/x.py", "with trio.CancelScope(deadline=d, shield=True): ...\n"),
        ("app/x.py", "with trio.move_on_after(1) as scope:\n    scope.shield = True\n"),
        ("app/x.py", "with trio.move_on_after(1, shield=True): ...\n"),
    ],
    "buffers_are_bounded": [("app/x.py", "trio.open_memory_channel(BATCHES_MAX)\n")],
    "sql_in_sql_files": [
        ("app/x.py", '"""Select something from a list."""\nA = "update the set"\n'),
    ],
    "exceptions_have_reasons": [
        ("app/x.py", HALF + ": S101, D100 - because\nx = '# noqa'\n"),
        ("app/x.py", "pass  # type:" + " ignore[attr-defined]  # because\n"),
    ],
    "locks_are_pins_and_hashes": [
        ("x.lock", f"a-b==1.0 ; python_version < '3' \\\n    --hash=sha256:{'0' * 64}\n"),
    ],
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_catches_what_it_is_for(rule: Rule) -> None:
    """Every seeded offender is found: a rule that finds nothing would not be noticed otherwise."""
    missed = [
        (name, text)
        for name, text in OFFENDERS[rule.__name__]
        if not list(rule(Source(name, text)))
    ]
    assert missed == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_each_rule_lets_the_innocent_be(rule: Rule) -> None:
    """What looks like an offender and is none is let be."""
    sources = [Source(name, text) for name, text in INNOCENTS.get(rule.__name__, [])]
    assert _findings(rule, sources) == []
