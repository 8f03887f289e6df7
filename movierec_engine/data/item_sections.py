"""Texts in which a line such as `1:` names the item of the lines below it, as the Netflix Prize's ratings are written.

1:
1488844,3,2005-09-06
822109,5,2005-05-13
"""

import re
from pathlib import Path
from typing import IO

_ITEM_LINE = re.compile(rb"\s*(\d+):\s*")
_BELOW = re.compile(rb"\s*[^\s,:]+,[^:]*")
_HEAD = 1 << 16


def has_item_lines(text: Path) -> bool:
    """True if the first line names an item, and the next one is a user's, with commas between what it says."""
    with text.open("rb") as file:
        lines = [line for line in file.read(_HEAD).splitlines() if line.strip()]
    first = lines[0].removeprefix(b"\xef\xbb\xbf") if lines else b""
    return len(lines) > 1 and bool(_ITEM_LINE.fullmatch(first) and _BELOW.fullmatch(lines[1]))


def write_with_items(text: Path, copy: IO[bytes]) -> None:
    """The same rows with their item behind the user: `1488844,1,3,2005-09-06`.

    A line that names an item becomes an empty one, so that every row stays on its line.
    """
    item = b""
    with text.open("rb") as file:
        for line in file:
            if line[-4:].rstrip()[-1:] == b":" and (named := _ITEM_LINE.fullmatch(line.removeprefix(b"\xef\xbb\xbf"))):
                item = named[1]
                copy.write(b"\r\n" if line.endswith(b"\r\n") else b"\n")
            elif not line.strip():
                copy.write(line)
            else:
                user, comma, rest = line.partition(b",")
                copy.write(user + b"," + item + comma + rest)
