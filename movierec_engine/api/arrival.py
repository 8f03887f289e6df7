"""Requests on their way in: when one is whole, so that whoever takes it waits for nothing."""

import re

MOST_HEAD_BYTES = 1 << 16
MOST_BODY_BYTES = 1 << 20
"""A request whose head or body is larger is not waited for; it gets refused."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,10})[ \t]*\r\n", re.IGNORECASE)
_CODED = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE)
_ASKS = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9a-f]{1,8})[ \t]*(;[^\r\n]*)?\r\n", re.IGNORECASE)
_MOST_CHUNK_LINE = 1 << 10


class Arrival:
    """The bytes of a request so far. deadline: until when it is waited for."""

    def __init__(self, begun: bytes, deadline: float) -> None:
        self.bytes, self.deadline = bytearray(begun), deadline
        self._body = 0  # where the body begins; 0 while the head is not there
        self._end: int | None = None  # where the request ends, once that is known
        self._chunk: int | None = None  # where the next chunk begins, in a body of chunks
        self._refused = False  # that it will be, whatever is still to come

    def add(self, part: bytes) -> None:
        """Take in what has come."""
        self.bytes += part
        if not self._body:
            self._read_head()
        if self._chunk is not None and self._end is None:
            self._read_chunks(self._chunk)

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here."""
        return self._end is not None and len(self.bytes) >= self._end

    @property
    def is_waited_for(self) -> bool:
        """Whether more is to come that is worth waiting for."""
        if self.is_whole or self._refused:
            return False
        most = self._body + MOST_BODY_BYTES + MOST_HEAD_BYTES if self._body else MOST_HEAD_BYTES
        return len(self.bytes) <= most and (self._end or 0) <= self._body + MOST_BODY_BYTES

    def asks_whether_to_go_on(self) -> bool:
        """Whether its client waits for `100 Continue` before it sends the body; from then on it counts as answered."""
        if not self._body or not self.is_waited_for:
            return False
        asked = _ASKS.search(self.bytes, 0, self._body)
        if asked is None:
            return False
        del self.bytes[asked.start() : asked.end()]
        gone = asked.end() - asked.start()
        self._body -= gone
        self._end = None if self._end is None else self._end - gone
        self._chunk = None if self._chunk is None else self._chunk - gone
        return True

    def _read_head(self) -> None:
        end = self.bytes.find(b"\r\n\r\n")
        if end < 0:
            return
        self._body = end + 4
        head = self.bytes[: end + 2]
        length = _LENGTH.search(head)
        if not _CODED.search(head):
            self._end = self._body + (int(length[1]) if length else 0)
        elif _CHUNKED.search(head) and length is None:
            self._chunk = self._body
        else:
            self._refused = True

    def _read_chunks(self, at: int) -> None:
        while line := _CHUNK.match(self.bytes, at):
            size = int(line[1], 16)
            if size == 0:
                last = self.bytes.find(b"\r\n\r\n", line.end() - 2)
                if last >= 0:
                    self._end = last + 4
                break
            if line.end() + size + 2 > len(self.bytes):
                break
            at = line.end() + size + 2
        else:
            self._refused = b"\r\n" in self.bytes[at:] or len(self.bytes) - at > _MOST_CHUNK_LINE
        self._chunk = at
