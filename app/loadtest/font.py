"""Letters for pictures: small ones, digits and the signs that numbers need. Pure.

A letter is five columns, from the left; the lowest bit of a column is its top. Letters stand on
bit 6; bit 7 is for what hangs below.
"""

from typing import Final

COLUMNS: Final = 5
ASCENT: Final = 7
"""Pixels above the line on which letters stand."""

# What is not in the table is shown as a box.
UNKNOWN: Final = bytes.fromhex("7f4141417f")

_ROWS: Final = """
    0 3e5149453e  1 00427f4000  2 4261514946  3 2141454b31  4 1814127f10
    5 2745454539  6 3c4a494930  7 0171090503  8 3649494936  9 064949291e
    a 2054545478  b 7f48444438  c 3844444420  d 384444487f  e 3854545418
    f 087e090102  g 0ca4a4a47c  h 7f08040478  i 00447d4000  j 2040443d00
    k 7f10284400  l 00417f4000  m 7c04180478  n 7c08040478  o 3844444438
    p fc24242418  q 18242418fc  r 7c08040408  s 4854545420  t 043f444020
    u 3c4040207c  v 1c2040201c  w 3c4030403c  x 4428102844  y 1ca0a0a07c
    z 4464544c44
    . 0060600000  , 0080602000  / 2010080402  % 2313086462  - 0808080808
    + 08083e0808  ( 001c224100  ) 0041221c00  : 0036360000
"""

_WORDS: Final = _ROWS.split()

GLYPHS: Final = {
    " ": bytes(COLUMNS),
    **{
        letter: bytes.fromhex(columns)
        for letter, columns in zip(_WORDS[::2], _WORDS[1::2], strict=True)
    },
}
"""The columns of each letter."""
