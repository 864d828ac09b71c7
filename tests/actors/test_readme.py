"""The page about actors says what is so, and the folder needs nothing of the project."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ACTORS = Path(__file__).parents[2] / "actors"


def test_the_example_runs_with_a_copy_of_the_folder(tmp_path: Path) -> None:
    """Copied elsewhere, `actors` works by itself, and prints what the page says."""
    page = (ACTORS / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shutil.copytree(ACTORS, tmp_path / "actors", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "example.py").write_text(example, "utf-8")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "example.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = re.findall(r"print\(.*\)  # ([^:\n]+)", example)
    assert (ran.stderr, ran.stdout.splitlines()) == ("", said)
    assert len(example.splitlines()) <= 30
