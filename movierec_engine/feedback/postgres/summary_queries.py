"""SQL of the PostgreSQL log for the summary of lists and their feedback, and for the dashboard."""

_NEWEST_OF_REQUEST = """
NOT EXISTS (
    SELECT FROM exposures AS other WHERE other.user_id = x.user_id AND other.request_id = x.request_id
    AND (other.at_ms, other.exposure_id) > (x.at_ms, x.exposure_id)
) AND NOT EXISTS (SELECT FROM exposures AS own WHERE own.exposure_id = e.shown_in AND own.user_id = x.user_id)
"""
_ANSWERS = " UNION ALL ".join(
    f"""
    SELECT x.exposure_id, e.movie_id, e.kind, e.rating, e.at_ms, e.seq
    FROM events AS e JOIN exposures AS x ON x.user_id = e.user_id AND x.{name} = e.shown_in
    WHERE e.shown_in <> '' AND e.undone_ms IS NULL AND e.movie_id = ANY(x.movie_ids) AND {more}
    """
    for name, more in (("exposure_id", "TRUE"), ("request_id", _NEWEST_OF_REQUEST))
)
_ANSWERS = f"""
answers AS ({_ANSWERS}),
clicks AS (SELECT DISTINCT exposure_id, movie_id FROM answers WHERE kind = 'click')
"""
LIST_COUNTS = f"""
WITH {_ANSWERS},
newest AS (
    SELECT exposure_id, movie_id, rating,
           row_number() OVER (PARTITION BY exposure_id, movie_id ORDER BY at_ms / 1000 DESC, seq DESC) AS age
    FROM answers WHERE kind = 'rating'
),
clicked AS (SELECT exposure_id, count(*) AS n FROM clicks GROUP BY exposure_id),
liked AS (SELECT exposure_id, count(*) AS n FROM newest WHERE age = 1 AND rating >= %s GROUP BY exposure_id)
SELECT {{by}}, count(*), count(DISTINCT user_id), coalesce(sum(clicked.n), 0)::bigint,
       coalesce(sum(liked.n), 0)::bigint, count(clicked.n), count(liked.n)
FROM exposures LEFT JOIN clicked USING (exposure_id) LEFT JOIN liked USING (exposure_id)
GROUP BY {{by}} ORDER BY {{by}}
"""
_NAMES = "ARRAY(SELECT DISTINCT name FROM unnest(x.teams) AS name WHERE name <> '' ORDER BY name)"
_DAY = 86_400_000
"""Milliseconds of the occasion for which a draft stays the same, a day in UTC."""
DRAFTED = f"""
SELECT experiment, {_NAMES} AS names, user_id, at_ms / {_DAY} AS day, count(*)
FROM exposures AS x WHERE teams <> '{{}}' GROUP BY 1, 2, 3, 4
"""
CREDITED = f"""
WITH {_ANSWERS}
SELECT x.experiment, {_NAMES} AS names, x.user_id, x.at_ms / {_DAY} AS day, x.teams[shown.place] AS team, count(*)
FROM exposures AS x CROSS JOIN unnest(x.movie_ids) WITH ORDINALITY AS shown(movie_id, place)
JOIN clicks ON clicks.exposure_id = x.exposure_id AND clicks.movie_id = shown.movie_id
WHERE x.teams <> '{{}}' GROUP BY 1, 2, 3, 4, 5
"""
BY_DAY = f"""
WITH every AS (
    SELECT at_ms / {_DAY} AS day, kind FROM events WHERE undone_ms IS NULL
    UNION ALL SELECT at_ms / {_DAY}, 'list_shown' FROM exposures
)
SELECT (date '1970-01-01' + day::int)::text, kind, count(*) FROM every
WHERE day > (SELECT max(day) FROM every) - %s GROUP BY 1, 2 ORDER BY 1, 2
"""
LIKES_BY_DAY = f"""
SELECT movie_id, day, count(*) FROM (
    SELECT user_id, movie_id, max(at_ms) / {_DAY} AS day FROM events
    WHERE undone_ms IS NULL AND (
        (at_ms >= %s AND kind IN ('click', 'watched', 'added_to_list'))
        OR (at_ms >= %s AND kind = 'rating' AND rating >= %s)
    ) GROUP BY user_id, movie_id
) AS newest GROUP BY movie_id, day ORDER BY day, movie_id
"""
TOTALS = """
SELECT kind, count(*) FROM events WHERE undone_ms IS NULL GROUP BY 1
UNION ALL SELECT 'list_shown', count(*) FROM exposures
"""
NEWEST_ANSWERS = """
SELECT experiment, model, version FROM exposures GROUP BY 1, 2, 3 ORDER BY 1, 2, max(at_ms)
"""
