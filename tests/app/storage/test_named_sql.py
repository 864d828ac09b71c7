"""Named SQL: what is read from a file, and which files are refused."""

import pytest

from app.storage.named_sql import load_queries, parse_queries


def test_queries_are_attributes() -> None:
    """Each named block is an attribute that holds its text, without comments and semicolon."""
    queries = load_queries("tests.app.storage")
    assert queries.add_note == "insert into note (id, text) values ($1, $2)"
    assert "count_notes" in dir(queries)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """A misspelt query says which file lacks it."""
    queries = load_queries("tests.app.storage")
    with pytest.raises(
        AttributeError, match=r"tests\.app\.storage/queries\.sql has no query named"
    ):
        _ = queries.add_not


def test_comments_inside_a_query_stay() -> None:
    """Only the description is taken off."""
    text = "-- name: one\n-- A row.\nselect 1 -- inside\n  + 1;\n"
    assert parse_queries(text, "x.sql") == {"one": "select 1 -- inside\n  + 1"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "no query"),
        ("-- only a comment\n", "no query"),
        ("select 1;\n-- name: one\n-- A row.\nselect 1;", "before the first name"),
        ("-- name: One\n-- A row.\nselect 1;", "not of the form"),
        ("-- name: one two\n-- A row.\nselect 1;", "not of the form"),
        ("-- name: one\nselect 1;", "no comment that describes it"),
        ("-- name: one\n--\nselect 1;", "no comment that describes it"),
        ("-- name: one\n-- A row.\n", "has no SQL"),
        ("-- name: one\n-- A row.\nselect 1;\n-- name: one\n-- A row.\nselect 2;", "twice"),
    ],
)
def test_a_malformed_file_is_refused(text: str, complaint: str) -> None:
    """A file that does not keep to the form fails with the file's name and what is wrong."""
    with pytest.raises(AssertionError, match=complaint) as caught:
        parse_queries(text, "x.sql")
    assert str(caught.value).startswith("x.sql: ")
