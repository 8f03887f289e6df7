"""Cursors: what an answer gives as `next`, by which a list continues without repeats and without gaps.

A cursor says what was shown, and nothing is remembered on the server: the next page is the best of what is left at that
moment, without what was shown, rated and dismissed. A movie can so neither come twice nor be passed over, whatever is
said between two pages, and the ranking follows what is said.

    version, second in which it was written, whom it is for, which list it is, which index it is from     29 bytes
    the places of what was shown, ascending, as gaps, deflated
    HMAC-SHA256 of all that (RFC 2104), its first 16 bytes

in base64 for URLs. A thousand movies of sixty thousand are 1.3 kB. A gap of 255 q + r is q bytes of 255 and one of r.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movierec_engine.api.config import CURSOR_SECRET_VARIABLE, KEYS_VARIABLE
from movierec_engine.api.errors import ApiError

_VERSION = 1
_HEAD = struct.Struct(">BI8s8s8s")
_MAC_BYTES = 16
_STEP = 255


@dataclass(frozen=True)
class ListName:
    """The list that a cursor continues; `index` is the reference of the version that answers.

    whom: the user's id, None for somebody without one. what: the request's parameters that say which list it is.
    """

    whom: Any
    what: Mapping[str, Any]
    index: str


class Cursors:
    """secret: all hosts of a service have the same, as of `secret_of_environment`. seconds: how long a cursor lasts."""

    def __init__(self, secret: bytes, seconds: float) -> None:
        self._secret, self._seconds = secret, seconds

    def write(self, name: ListName, shown: NDArray[np.int64]) -> str:
        """A cursor. shown: int64 [n], the places of all movies that were shown, ascending."""
        head = _HEAD.pack(_VERSION, int(time.time()), *_digests(name))
        body = head + zlib.compress(_gaps(shown), 9)
        return base64.urlsafe_b64encode(body + self._mac(body)).rstrip(b"=").decode()

    def after(self, name: ListName, before: NDArray[np.int64], shown: NDArray[np.int64], asked: int) -> str | None:
        """The `next` of a page; None where the list has ended.

        before, shown: the places of the movies that were shown on earlier pages, ascending, and on this one. asked: how
        many it should have had.
        """
        return self.write(name, np.union1d(before, shown)) if len(shown) >= asked else None

    def read(self, text: str | None, name: ListName, n_movies: int) -> NDArray[np.int64]:
        """The places that were shown, int64 [n], ascending; none of a first page, which has no cursor.

        Raises ApiError 400 for a cursor that is none of ours or belongs to another person or list, and 410 for one that
        is too old or of another index version.
        """
        if text is None:
            return np.empty(0, dtype=np.int64)
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError as error:
            raise _forged() from error
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(body) < _HEAD.size or not hmac.compare_digest(mac, self._mac(body)):
            raise _forged()
        version, written, *digests = _HEAD.unpack_from(body)
        if version != _VERSION:
            raise ApiError(410, "next is of another release; ask for the list again without it", "next")
        whom, what, index = (mine == theirs for mine, theirs in zip(_digests(name), digests, strict=True))
        if not whom:
            raise ApiError(400, "next belongs to somebody else's list; ask for this one without it", "next")
        if not what:
            raise ApiError(400, "next belongs to a list of other parameters; send those, or leave next out", "next")
        if not index:
            said = "next is of another index version, and lists have changed since; ask for the list again without it"
            raise ApiError(410, said, "next")
        if time.time() > written + self._seconds:
            said = f"next is older than {self._seconds:g} s; ask for the list again without it"
            raise ApiError(410, said, "next")
        return _places(body[_HEAD.size :], n_movies)

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, body, "sha256")[:_MAC_BYTES]


def secret_of_environment() -> bytes:
    """The secret that signs cursors: MOVIEREC_CURSOR_SECRET, or else one made of MOVIEREC_API_KEYS.

    Hosts of a service share either, and so take each other's cursors. Where neither is set everything is open, and the
    secret is none: damage is noticed, and who forges a cursor gains what `exclude` gives them anyway.
    """
    for variable in (CURSOR_SECRET_VARIABLE, KEYS_VARIABLE):
        if value := os.environ.get(variable, "").strip():
            return hashlib.sha256(f"cursors of {variable} {value}".encode()).digest()
    return hashlib.sha256(b"cursors of an open server").digest()


def _digests(name: ListName) -> tuple[bytes, bytes, bytes]:
    whom, what = json.dumps(name.whom), json.dumps(name.what, sort_keys=True, default=list)
    first, second, third = (hashlib.sha256(text.encode()).digest()[:8] for text in (whom, what, name.index))
    return first, second, third


def _gaps(places: NDArray[np.int64]) -> bytes:
    """Ascending places as bytes: each gap to the one before in steps of 255 and a rest."""
    gaps = np.diff(places, prepend=-1) - 1
    ends = np.cumsum(gaps // _STEP + 1) - 1
    written = np.full(ends[-1] + 1 if len(ends) else 0, _STEP, dtype=np.uint8)
    written[ends] = gaps % _STEP
    return written.tobytes()


def _places(deflated: bytes, n_movies: int) -> NDArray[np.int64]:
    """The movies that `_gaps` wrote. Raises ApiError 400 if they are no valid list out of n_movies movies."""
    try:
        unpacking = zlib.decompressobj()
        written = np.frombuffer(unpacking.decompress(deflated, 2 * n_movies + 1), dtype=np.uint8).astype(np.int64)
    except zlib.error as error:
        raise _forged() from error
    (ends,) = (written != _STEP).nonzero()
    places = np.cumsum(written)[ends] + np.arange(len(ends))
    if not unpacking.eof or (len(places) and places[-1] >= n_movies) or (len(written) and written[-1] == _STEP):
        raise _forged()
    return np.asarray(places)


def _forged() -> ApiError:
    return ApiError(400, "next is no cursor of this service; send back what an answer gave as next", "next")
