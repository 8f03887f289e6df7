"""SQL of the PostgreSQL log, and ids and events as its tables hold them."""

import hashlib
import json

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.events import FeedbackEvent

INSERT = """
INSERT INTO events (user_id, key, movie_id, kind, rating, shown_in, share, timestamp, at_ms)
SELECT %(user)s, %(key)s, %(movie)s, %(kind)s, %(rating)s::float8, %(shown_in)s, %(share)s::float8, %(timestamp)s::int8,
    coalesce(%(timestamp)s::int8 * 1000, greatest(%(now)s::int8, (
        SELECT max(at_ms) FROM events WHERE user_id = %(user)s AND movie_id = %(movie)s AND undone_ms IS NULL)))
WHERE NOT (EXISTS (SELECT FROM erasures WHERE user_id = %(user)s)
           AND EXISTS (SELECT FROM erased_keys WHERE digest IN (%(digest)s, %(key_digest)s)))
ON CONFLICT (user_id, key) DO NOTHING RETURNING seq
"""
KNOWN = """
SELECT seq, undone_ms, movie_id, kind, rating, shown_in, share, timestamp FROM events WHERE user_id = %s AND key = %s
"""
STATE = """
SELECT coalesce((SELECT number FROM erasures WHERE user_id = %(user)s), 0), kind, movie_id, rating, share,
    at_ms / 1000
FROM (VALUES (1)) AS once LEFT JOIN events ON user_id = %(user)s AND undone_ms IS NULL ORDER BY at_ms / 1000, seq
"""
"""One row at least, for somebody without events."""
EXPOSE = """
INSERT INTO exposures SELECT %(exposure_id)s, %(user)s, %(at_ms)s, %(movies)s, %(model)s, %(version)s, %(experiment)s,
    %(variant)s, %(teams)s, %(request_id)s, %(propensities)s::float8[], %(inclusions)s::float8[],
    %(context)s
WHERE NOT EXISTS (SELECT FROM erasures WHERE user_id = %(user)s AND at_ms >= %(at_ms)s) ON CONFLICT DO NOTHING
RETURNING exposure_id
"""
COUNT = """
INSERT INTO impressions VALUES (%s, %s)
ON CONFLICT (movie_id) DO UPDATE SET lists = impressions.lists + excluded.lists
"""
FORGET_KEYS = """
WITH gone AS (DELETE FROM events WHERE user_id = %(user)s RETURNING key)
INSERT INTO erased_keys SELECT sha256(convert_to(%(user)s || ' ' || key, 'UTF8')) FROM gone ON CONFLICT DO NOTHING
"""
ERASE = """
INSERT INTO erasures (number, user_id, at_ms, through_seq)
SELECT coalesce(max(number), 0) + 1, %(user)s, %(now)s, %(through)s FROM erasures
ON CONFLICT (user_id) DO UPDATE SET number = excluded.number, at_ms = excluded.at_ms,
    through_seq = excluded.through_seq, xid = excluded.xid RETURNING number
"""
NEWEST_SEQ = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM events_seq_seq"
CHANGED = """
WITH changed AS (
    SELECT user_id, NULL::int8 AS number, xid FROM events WHERE xid >= pg_snapshot_xmin(%(since)s)
    AND xid < pg_snapshot_xmax(pg_current_snapshot())
    UNION ALL SELECT user_id, number, xid FROM erasures WHERE xid >= pg_snapshot_xmin(%(since)s)
    AND xid < pg_snapshot_xmax(pg_current_snapshot())
)
SELECT pg_current_snapshot()::text, NULL, NULL
UNION ALL SELECT NULL, user_id, number FROM changed WHERE NOT pg_visible_in_snapshot(xid, %(since)s)
"""
"""Rows whose transaction was not finished at the earlier moment and is now. A row that came from another server, by a
backup, may name a transaction that is still to come here; it is no change."""


def coded(public_id: PublicId) -> str:
    """An id as the tables hold it: a JSON text, in which a number is told from a text."""
    return json.dumps(public_id)


def decoded(text: str) -> PublicId:
    """An id from the tables."""
    return json.loads(text) if text.startswith('"') else int(text)


def row_of(event: FeedbackEvent, now: int) -> dict[str, object]:
    user = coded(event.user_id)
    return {
        "user": user,
        "key": event.key,
        "movie": coded(event.movie_id),
        "kind": event.kind,
        "rating": None if event.rating is None else float(event.rating),
        "shown_in": event.shown_in,
        "share": None if event.share is None else float(event.share),
        "timestamp": event.timestamp,
        "now": now,
        "digest": hashlib.sha256(f"{user} {event.key}".encode()).digest(),
        "key_digest": hashlib.sha256(event.key.encode()).digest(),
    }
