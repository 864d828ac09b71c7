"""What the package holds beside its code: everything that the code reads."""

import tomllib
from fnmatch import fnmatch
from importlib import resources
from pathlib import Path

_ROOT = Path(__file__).parent.parent


def test_each_file_that_is_no_code_is_packaged() -> None:
    """SQL, scripts and marks: a pattern of the package data names each of them."""
    tool = tomllib.loads((_ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = [name.removesuffix("*") for name in tool["packages"]["find"]["include"]]
    files = [
        file
        for folder in folders
        for file in (_ROOT / folder).rglob("*")
        if file.is_file() and file.suffix not in {".py", ".md"} and "__pycache__" not in file.parts
    ]
    patterns = tool["package-data"]["*"]
    assert {file.suffix for file in files} >= {".sql", ".lua"}
    assert [file for file in files if not any(fnmatch(file.name, each) for each in patterns)] == []
    assert resources.files("app.storage").joinpath("history.lua").is_file()
