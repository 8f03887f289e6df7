"""A small world whose titles try to be more than text."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.ratings import MOVIES_SCHEMA
from movierec_engine.retrieval.index import RetrievalIndex
from worlds import small_index

IDS = [10, 20, 30, 40, 50]
"""Of items 0 to 4: ids that a script can hold."""
TITLES = [
    "<script>window.hacked = 1</script>",
    "\"><img src=x onerror='window.hacked = 2'>, The",
    "long" * 75,
    "مغامرة {{ 7 * 7 }} ${window.hacked = 3}",
    "👩‍🚀 &lt;b&gt; & javascript:window.hacked=4",
]
SHOWN = ["<script>window.hacked = 1</script>", "The \"><img src=x onerror='window.hacked = 2'>", *TITLES[2:]]
"""As the pages show them: the article is put first."""
GENRES = ["Drama", "<i>Genre</i>"]


def hostile_index(model: str, sign: int = 1) -> RetrievalIndex:
    """A `small_index` with other ids and titles."""
    columns = {"movie_id": IDS, "title": TITLES, "year": [1990, None, 2000, 2001, 2002], "genres": [GENRES] * 5}
    index = small_index(model, sign)
    return replace(index, items=IdMap(np.array(IDS)), movies=pa.table(columns, schema=MOVIES_SCHEMA))
