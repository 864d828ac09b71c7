"""Lines between processes: whole ones, whatever the pieces, and of bounded size."""

import pytest
from trio.testing import memory_stream_one_way_pair

from app.lines import read_lines


async def test_lines_come_whole() -> None:
    """However they are cut; what is no whole line at the end is dropped."""
    sending, receiving = memory_stream_one_way_pair()
    for piece in (b"a", b"b\ncd\n\ne", b"f\n", b"half"):
        await sending.send_all(piece)
    await sending.aclose()
    assert [b"ab", b"cd", b"", b"ef"] == [line async for line in read_lines(receiving)]


async def test_a_line_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of ours is that long."""
    monkeypatch.setattr("app.lines.LINE_BYTES_MAX", 10)
    sending, receiving = memory_stream_one_way_pair()
    await sending.send_all(b"x" * 11)
    with pytest.raises(ValueError, match="a line without end"):
        [line async for line in read_lines(receiving)]
