"""Requests on their way in: whole at their last byte, wherever they are cut, and no longer waited for where in vain."""

import random

import pytest

from movierec_engine.api.arrival import MOST_BODY_BYTES, MOST_HEAD_BYTES, Arrival

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        POST + b"Content-Length: 9\r\n\r\n{\r\n\r\n}   ",
        POST + b"content-length:\t0 \r\nX: y\r\n\r\n",
        CHUNKED + b"0\r\n\r\n",
        CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n",
        CHUNKED + b"A;a=b\r\n0123456789\r\n000\r\nX: y\r\nZ: 0\r\n\r\n",
        POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
        POST + b"Transfer-Encoding: chunked\r\nExpect: 100-Continue\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ],
)
def test_a_request_is_whole_at_its_last_byte_however_it_is_cut(request_bytes: bytes) -> None:
    cuts = random.Random(0)
    for most in (1, 3, 10, len(request_bytes)):
        arrival, asked, at = Arrival(b"", 0.0), 0, 0
        while at < len(request_bytes):
            assert arrival.is_waited_for and not arrival.is_whole, request_bytes[:at]
            size = cuts.randint(1, most)
            arrival.add(request_bytes[at : at + size])
            asked += arrival.asks_whether_to_go_on()
            at += size
        assert arrival.is_whole and not arrival.is_waited_for
        assert asked == (1 if b"expect" not in arrival.bytes.lower() and b"Expect" in request_bytes else 0)


def test_bytes_of_the_next_request_do_not_count() -> None:
    arrival = Arrival(b"GET / HTTP/1.1\r\n\r\nGET", 0.0)
    arrival.add(b"")
    assert arrival.is_whole


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /" + b"a" * MOST_HEAD_BYTES,
        POST + b"Content-Length: %d\r\n\r\n" % (MOST_BODY_BYTES + 1),
        CHUNKED + b"zz\r\n",
        CHUNKED + b"5;" + b"a" * 2000,
        CHUNKED + b"1\r\na\r\n" * (MOST_BODY_BYTES // 5),
        CHUNKED + b"0\r\n" + b"X: y\r\n" * (MOST_BODY_BYTES // 5),
        POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_what_will_be_refused_is_not_waited_for(begun: bytes) -> None:
    arrival = Arrival(b"", 0.0)
    arrival.add(begun)
    assert not arrival.is_waited_for
    assert not arrival.is_whole
    assert not arrival.asks_whether_to_go_on()
