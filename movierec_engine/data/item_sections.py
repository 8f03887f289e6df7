"""Texts in which a line such as `1:` names the item of the lines below it, as the Netflix Prize's ratings are written.

    1:
    1488844,3,2005-09-06
    822109,5,2005-05-13

A row is a user, a rating and a date, or whatever else follows the user.
"""

import codecs
import re
from pathlib import Path
from typing import IO

_ITEM_LINE = re.compile(rb"^[ \t]*(\d+):[ \t]*(?=\r?$)", re.MULTILINE)
_USER = re.compile(rb"^[^,\r\n]*,", re.MULTILINE)
_BELOW = re.compile(rb"\s*[^\s,:]+,[^:]*")
_HEAD_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 22


def has_item_lines(text: Path) -> bool:
    """True if the first line names an item, and the next one is a user's, with commas between what it says."""
    with text.open("rb") as file:
        lines = [line for line in file.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8).splitlines() if line.strip()]
    return len(lines) > 1 and bool(_ITEM_LINE.fullmatch(lines[0]) and _BELOW.fullmatch(lines[1]))


def write_with_items(text: Path, copy: IO[bytes]) -> None:
    """The same rows with their item behind the user: `1488844,1,3,2005-09-06`.

    A line that names an item becomes an empty one, so that every row stays on its line.
    """
    item, begun = b"", b""
    with text.open("rb") as file:
        if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
            file.seek(0)
        while block := file.read(_BLOCK_BYTES):
            lines, newline, begun = (begun + block).rpartition(b"\n")
            item = _write(lines + newline, item, copy)
    _write(begun, item, copy)


def _write(lines: bytes, item: bytes, copy: IO[bytes]) -> bytes:
    """Write whole lines, of which the first ones are of `item`; returns the item that the next line is of."""
    first, *named = _ITEM_LINE.split(lines)
    for of, rows in ((item, first), *zip(named[::2], named[1::2], strict=True)):
        copy.write(_USER.sub(rb"\g<0>" + of + b",", rows))
    return named[-2] if named else item
