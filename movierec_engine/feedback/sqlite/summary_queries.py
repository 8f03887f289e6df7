"""SQL of the SQLite log for the summary of lists and their feedback, and for the dashboard."""

_NEWEST_OF_REQUEST = """
NOT EXISTS (
    SELECT 1 FROM exposures WHERE user_id = x.user_id AND request_id = x.request_id
    AND (at_ms, exposure_id) > (x.at_ms, x.exposure_id)
) AND NOT EXISTS (SELECT 1 FROM exposures WHERE exposure_id = e.shown_in AND user_id = x.user_id)
"""
_ANSWERS = " UNION ALL ".join(
    f"""
    SELECT x.exposure_id, e.movie_id, e.kind, e.rating, e.at_ms, e.seq
    FROM events AS e NOT INDEXED JOIN exposures AS x ON x.user_id = e.user_id AND x.{name} = e.shown_in
    WHERE e.shown_in <> '' AND e.undone_ms IS NULL AND {more}
    AND EXISTS (SELECT 1 FROM json_each(x.movie_ids) WHERE value = e.movie_id)
    """
    for name, more in (("exposure_id", "TRUE"), ("request_id", _NEWEST_OF_REQUEST))
)
"""NOT INDEXED has the events read in the table's order, and x.user_id has the last lookup made for matches alone."""
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
liked AS (SELECT exposure_id, count(*) AS n FROM newest WHERE age = 1 AND rating >= ? GROUP BY exposure_id)
SELECT {{by}}, count(*) AS lists, count(DISTINCT user_id) AS users,
       coalesce(sum(clicked.n), 0) AS clicks, coalesce(sum(liked.n), 0) AS likes,
       count(clicked.n) AS lists_clicked, count(liked.n) AS lists_liked
FROM exposures LEFT JOIN clicked USING (exposure_id) LEFT JOIN liked USING (exposure_id)
GROUP BY {{by}} ORDER BY {{by}}
"""
_TEAM_NAMES = """
(SELECT json_group_array(value) FROM (SELECT DISTINCT value FROM json_each(x.teams) WHERE value <> '' ORDER BY value))
"""
_DAY = 86_400_000
"""Milliseconds of the occasion for which a draft stays the same, a day in UTC."""
DRAFTED = f"""
SELECT experiment, {_TEAM_NAMES} AS names, user_id, at_ms / {_DAY} AS day, count(*)
FROM exposures AS x WHERE teams <> '[]' GROUP BY 1, 2, 3, 4
"""
CREDITED = f"""
WITH {_ANSWERS}
SELECT x.experiment, {_TEAM_NAMES} AS names, x.user_id, x.at_ms / {_DAY} AS day,
       json_extract(x.teams, '$[' || shown.key || ']') AS team, count(*)
FROM exposures AS x, json_each(x.movie_ids) AS shown
JOIN clicks ON clicks.exposure_id = x.exposure_id AND clicks.movie_id = shown.value
WHERE x.teams <> '[]' GROUP BY x.experiment, names, x.user_id, day, team
"""
BY_DAY = """
WITH every AS (
    SELECT at_ms / 86400000 AS day, kind FROM events WHERE undone_ms IS NULL
    UNION ALL SELECT at_ms / 86400000, 'list_shown' FROM exposures
)
SELECT date(day * 86400, 'unixepoch'), kind, count(*) FROM every
WHERE day > (SELECT max(day) FROM every) - ? GROUP BY 1, 2 ORDER BY 1, 2
"""
LIKES_BY_DAY = """
SELECT movie_id, day, count(*) FROM (
    SELECT user_id, movie_id, max(at_ms) / 86400000 AS day FROM events
    WHERE undone_ms IS NULL AND (
        (at_ms >= ? AND kind IN ('click', 'watched', 'added_to_list'))
        OR (at_ms >= ? AND kind = 'rating' AND rating >= ?)
    ) GROUP BY user_id, movie_id
) GROUP BY movie_id, day ORDER BY day, movie_id
"""
TOTALS = """
SELECT kind, count(*) FROM events WHERE undone_ms IS NULL GROUP BY 1
UNION ALL SELECT 'list_shown', count(*) FROM exposures
"""
NEWEST_ANSWERS = """
SELECT experiment, model, version FROM exposures GROUP BY 1, 2, 3 ORDER BY 1, 2, max(at_ms)
"""
