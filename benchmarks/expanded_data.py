"""Data of any size with the shapes of the bundled data: every user and every item in several copies, mixed at random.

For about c times the ratings each user u has c copies and each item i has b = c^(1/3) copies, as MovieLens grew: from
100,000 ratings to 25 million its users became 242 times as many and its items 6.5 times. Of each rating (u, i) every
copy of u has one, of one copy of i, so that users are as active as they were. This is a randomised Kronecker product
of the ratings with a c x b matrix, as in Belletti et al. 2019, "Scalable Realistic Recommendation Datasets through
Fractal Expansions":

- Each copy of a user belongs to one of b blocks, and takes the items' copies of its own block with probability .8 and
  else of another. Block q is as likely as 1 / (q + 1), so that the copies of an item are unequally popular, as items
  are; who likes what within a block is as it was.
- Each rating is, with probability .3, of the item, value and time of any rating drawn from all, so that copies differ.
  That keeps the distribution of popularity and blurs the structure. What a copy then has twice is dropped.

Ids are made anew. `write` streams one row group for a few copies of everybody, in little memory.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

BUNDLED = Path(__file__).parents[1] / "data" / "movielens-small"
OWN_BLOCK, FOREIGN = 0.8, 0.3
RATINGS, MOVIES = "ratings.parquet", "movies.csv"
_COPIES_AT_ONCE = 20
_KEPT = 0.953
"""Share of the ratings that are no repetition of another."""


def write(folder: Path, ratings: int) -> None:
    """Write `ratings.parquet` (user, item, rating, timestamp) and `movies.csv` of about so many ratings."""
    own = pyarrow.csv.read_csv(BUNDLED / "ratings.csv")
    movies = pyarrow.csv.read_csv(BUNDLED / "movies.csv")
    copies = max(1, round(ratings / len(own) / _KEPT))
    blocks = max(1, round(copies ** (1 / 3)))
    schema = pa.schema(
        [("user", pa.int64()), ("item", pa.int64()), ("rating", pa.float32()), ("timestamp", pa.int64())]
    )
    folder.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(folder / RATINGS, schema, compression="zstd") as file:
        for start in range(0, copies, _COPIES_AT_ONCE):
            parts = [
                _copy(own, number, copies, blocks) for number in range(start, min(start + _COPIES_AT_ONCE, copies))
            ]
            columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
            file.write_table(pa.table(columns, schema=schema))
    ids = (movies["movieId"].to_numpy()[:, None] * blocks + np.arange(blocks)).ravel()
    titles = np.repeat(movies["title"].to_numpy(), blocks)
    genres = np.repeat(movies["genres"].to_numpy(), blocks)
    pyarrow.csv.write_csv(pa.table({"movieId": ids, "title": titles, "genres": genres}), folder / MOVIES)


def _copy(own: pa.Table, number: int, copies: int, blocks: int) -> tuple[NDArray[np.generic], ...]:
    """The ratings of one copy of every user: users, items, ratings and times [<= n]."""
    rng = np.random.default_rng(number)
    user, item, rating, time = (own[name].to_numpy() for name in ("userId", "movieId", "rating", "timestamp"))
    taken = np.where(rng.random(len(user)) < FOREIGN, rng.integers(len(user), size=len(user)), np.arange(len(user)))
    share = 1 / np.arange(1, blocks + 1)
    share /= share.sum()
    of_user = rng.choice(blocks, size=user.max() + 1, p=share)[user]
    block = np.where(rng.random(len(user)) < OWN_BLOCK, of_user, rng.choice(blocks, size=len(user), p=share))
    copied_user, copied_item = user * copies + number, item[taken] * blocks + block
    first = np.unique(copied_user * (item.max() + 1) * blocks + copied_item, return_index=True)[1]
    columns = (copied_user, copied_item, rating[taken].astype(np.float32), time[taken])
    return tuple(column[first] for column in columns)
