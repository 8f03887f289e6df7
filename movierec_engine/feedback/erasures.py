"""A second record of who was erased, beside the log: `erasures.tsv`, a line `number<TAB>user_id<TAB>at_ms` for each.
A user id that is a text is written as in JSON, in ASCII: `3<TAB>"B00X"<TAB>1700000000000`.

It answers two questions when the log itself cannot: whether a model may still be asked about somebody while the log is
damaged, locked or gone, and whose past stays out of training after a broken log was moved away. A line is on disk
before its erasure is committed, so that nobody who was told "erased" is missing here; a line whose erasure was cut off
errs on the careful side.
"""

import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from movierec_engine.data.id_map import PublicId
from movierec_engine.store.files import replace_file

FILE_MODE = 0o600
_LINE = re.compile(rb'[0-9]*\t?([0-9]*|"[ -~]*)\t?[0-9]*')
"""A line, of which a killed writer may have left the end out."""


@dataclass(frozen=True)
class Erasure:
    """An erasure: everything of a person up to a moment is gone, and stays gone."""

    number: int
    """From 1, in the order of erasures over all people."""
    user_id: PublicId
    at_ms: int
    through_seq: int = 0
    """The newest event of the log, of anybody, at that moment; 0 where only this file remembers it."""


class ErasureFile:
    """The record of erasures. Reads come from memory until the file changes, and even after it is gone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._newest: dict[PublicId, Erasure] = {}

    @property
    def begun(self) -> bool:
        """True if there is a file, or was one that this process has read."""
        return self._stamp is not None or os.access(self.path, os.F_OK)

    def newest(self) -> dict[PublicId, Erasure] | None:
        """User -> their newest erasure, in the order of the numbers; None where there is no file and never was.

        Raises OSError when the file is there and cannot be read, or holds what was never written.
        """
        try:
            status = self.path.stat()
            stamp = status.st_ino, status.st_size, status.st_mtime_ns
            if stamp != self._stamp:
                self._newest, self._stamp = _parsed(self.path.read_bytes()), stamp
        except FileNotFoundError:
            return self._newest if self._stamp else None
        return self._newest

    def add(self, erasure: Erasure) -> None:
        """Append one; on disk when this returns. The file must be there."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"  # by a writer that was killed
            os.write(descriptor, b"\n" * torn + _line(erasure))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def write(self, erasures: Iterable[Erasure]) -> None:
        """Replace the file in one step; on disk when this returns."""
        replace_file(self.path, b"".join(map(_line, erasures)), FILE_MODE)


def _line(erasure: Erasure) -> bytes:
    return f"{erasure.number}\t{json.dumps(erasure.user_id)}\t{erasure.at_ms}\n".encode()


def _parsed(content: bytes) -> dict[PublicId, Erasure]:
    """The newest of each user; a line that a killed writer left unfinished was never acknowledged and is left out."""
    if not all(map(_LINE.fullmatch, content.split(b"\n"))):
        raise OSError("the record of erasures is damaged")
    by_number: dict[int, Erasure] = {}
    for line in content.splitlines(keepends=True):
        with suppress(ValueError):
            number, user_id, at_ms = (json.loads(part) for part in line.split(b"\t"))
            if line.endswith(b"\n"):  # of two by one number the first was cut off, so that its number was free
                by_number[number] = Erasure(number, user_id, at_ms)
    return {one.user_id: one for _, one in sorted(by_number.items())}
