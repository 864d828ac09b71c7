"""Each case that is said to be tested is tested, and can be found by its name."""

import ast
from pathlib import Path

from tests.actors.elixir_cases import ELIXIR_CASES
from tests.actors.otp_cases import OTP_CASES

CASES = {**OTP_CASES, **ELIXIR_CASES}
TESTED = {case: where for case, where in CASES.items() if "::" in where}


def written_tests() -> dict[str, str]:
    """Every test of actors, `file::test`, with its source."""
    tests = {}
    for path in Path(__file__).parent.glob("test_*.py"):
        source = path.read_text("utf-8")
        for node in ast.parse(source).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                said = ast.get_source_segment(source, node)
                tests[f"{path.stem}::{node.name}"] = said or ""
    return tests


def test_each_test_is_there() -> None:
    """A case names a test that exists, or says why there is none."""
    tests = written_tests()
    assert [] == [f"{case}: {where}" for case, where in TESTED.items() if where not in tests]
    others = [where for where in CASES.values() if "::" not in where]
    assert [] == [where for where in others if not where.startswith("not applicable: ")]


def test_each_case_of_otp_is_found_by_its_name() -> None:
    """A test that was written for cases of OTP names each of them."""
    tests = written_tests()
    lost = [
        f"{case} in {where}"
        for case, where in OTP_CASES.items()
        if where.startswith("test_otp_") and case.split(": ")[1] not in tests[where]
    ]
    assert [] == lost
