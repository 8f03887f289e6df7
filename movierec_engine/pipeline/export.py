"""Export: the lists of all users at once, as the API would answer them, in parts that an interrupted run keeps."""

import json
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import threadpool_limits

from movierec_engine.data.catalogue import ACTIVITY_FROM, activity_tier
from movierec_engine.data.id_map import Ids, PublicId, as_ids
from movierec_engine.errors import ConfigError, DataError, StoreError
from movierec_engine.models.lists import rows_in
from movierec_engine.models.registry import model_names
from movierec_engine.models.top_k import best_lists
from movierec_engine.recommending.fold_in import POPULARITY
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.arranging import arrange, arrange_lists
from movierec_engine.recommending.rules.candidates import more_of
from movierec_engine.reporting.progress import advance, step
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.serving.config import IndicesConfig
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.serving.list_making import MadeList, list_for
from movierec_engine.serving.list_options import ListOptions
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import of_user
from movierec_engine.store import ArtifactStore
from movierec_engine.store.files import fsync, replace_file

USERS_A_PART = 8192
BLOCK_BYTES = 32 * 2**20
"""Budget of a thread for the scores of one block of users."""
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_MANIFEST = "export.json"
LOCK = "lock"
_PART = "part-" + "[0-9]" * 6
_OWN = (f"{_PART}.parquet", f"{_PART}.unfinished", LOCK, f".{_MANIFEST}.*", _MANIFEST)
"""Names of all that an export writes into the folder of its parts, in the order in which they go."""


class Lists:
    """Lists of n users with k places each.

    items: int64 [n, k], -1 behind a list's last. scores: float32 [n, k]. source: object [n], where each list is from.
    """

    def __init__(self, n: int, k: int) -> None:
        self.items = np.full((n, k), -1, dtype=np.int64)
        self.scores = np.zeros((n, k), dtype=np.float32)
        self.source = np.full(n, POPULARITY, dtype=object)

    def put(self, place: int, items: ArrayLike, scores: ArrayLike, source: str) -> None:
        """Put one user's list in its place. items, scores: [<=k]."""
        length = len(np.asarray(items))
        self.items[place, :length], self.scores[place, :length], self.source[place] = items, scores, source


@dataclass(frozen=True)
class ListParts:
    """Complete lists of users, in Parquet files of one folder.

    schema: user_id, rank from 1, movie_id, score and source of each place of a list. A user's places stand together,
    the best first, and users in the order of the export.
    users: who was asked for. kept: users whose lists an earlier run had made.
    erased: people who were erased after the first part was begun, whose lists are passed by.
    """

    folder: Path
    schema: pa.Schema
    users: int
    kept: int
    erased: Ids

    def tables(self) -> Iterator[pa.Table]:
        """The parts in order, a table each. Raises StoreError for one that cannot be read."""
        for file in _parts(self.folder):
            try:
                table = pq.read_table(file, schema=self.schema)
            except (OSError, pa.ArrowException) as error:
                raise StoreError(f"{file} is damaged; delete it and export again, which makes it anew") from error
            gone = np.isin(table["user_id"].to_numpy(), self.erased)
            yield table.filter(pa.array(~gone)) if gone.any() else table

    def remove(self) -> None:
        """Delete them, once they are where they should go, and their folder unless somebody put other files there."""
        with suppress(OSError):
            for own in (path for pattern in _OWN for path in self.folder.glob(pattern)):
                own.unlink()
            self.folder.rmdir()


def index_to_export(
    store: ArtifactStore, data_set: str, model: str = "", device: str = "", repeat: bool = False
) -> LoadedIndex:
    """The index that the API would answer from: the promoted one, or a model's newest. repeat: as `serving.repeat`.

    Raises StoreError where there is none, or where it is damaged, ConfigError for a model that does not exist.
    """
    settings = IndicesConfig(data_set=data_set, repeat=repeat, remembered_lists=0)
    reloader = IndexReloader(store, settings, device=device or "auto", warm=False)
    served = reloader.current(model or None)
    if served is None or (model and served.model != model):
        if model and model not in model_names():
            raise ConfigError(f"there is no model {model!r}; choose one of {', '.join(model_names())}")
        refused = reloader.state().refused
        of_model = f" of model {model}" if model else ""
        on = f" trained on {device}" if device else ""
        why = "; ".join(f"{reference}: {reason}" for reference, reason in refused.items()) or reloader.out_of_reach
        then = f": {why}" if why else f"; run `movierec train {model or 'als'}`"
        raise StoreError(f"there is no index{of_model}{on} of {data_set} to export from{then}")
    return served


def read_users(file: Path, texts: bool) -> Ids:
    """The ids of a text file, one in each line, each once. texts: whether ids are texts; else they are whole numbers.

    Raises DataError for what is no id.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read as text: {error}") from error
    ids = [line for line in dict.fromkeys(lines) if line]
    if not ids:
        raise DataError(f"{file} names no user; write the id of one in each line")
    wrong = next((one for one in ids if not texts and not _WHOLE.fullmatch(one)), None)
    if wrong is not None:
        raise DataError(f"{file}: {wrong!r} is no id of a user here, which are whole numbers; write one in each line")
    return as_ids(ids if texts else [int(one) for one in ids])


def of_tier(served: LoadedIndex, live: LiveFeedback, tier: str) -> Ids:
    """The users of a tier of ACTIVITY_FROM, by interactions in training, as `/api/users` says it."""
    people = _people(served, frozenset(live.log(served.lineage.data_set).people()))
    interactions = np.zeros(len(people), dtype=np.int64)
    interactions[: len(served.index.users)] = np.diff(served.index.history.indptr)
    chosen: Ids = people[activity_tier(interactions) == list(ACTIVITY_FROM).index(tier)]
    return chosen


@step("making lists")
def make_lists(
    served: LoadedIndex,
    live: LiveFeedback,
    folder: Path,
    k: int,
    only: Ids | None = None,
    threads: int = 0,
    rules: ActiveRules | None = None,
) -> ListParts:
    """The k best movies of every user, as `/api/recommend` would answer at this moment, in parts.

    rules: those that the lists are made under, the same for all of them.

    Users are those that the model was trained on and those known by feedback alone, or `only` these. Who was erased and
    has said nothing since has no list. folder: of the parts; those that a run of the same export has left there are
    kept, those of other exports deleted. threads: 0 for one a core.

    Raises ConfigError for a folder of other files.
    """
    log = live.log(served.lineage.data_set)
    talkers = frozenset(log.people())
    users = _people(served, talkers) if only is None else only
    export = {
        "index": served.artifact.reference,
        "k": k,
        "repeat": served.repeat,
        "users": _digest(users),
        "rules": rules.version if rules else "",
    }
    erasure_before = _begin(folder, export, log.newest_erasure())
    schema, of_block = list_schema(served), _lists_of(served, live, k, talkers, rules)
    kept, rows = 0, rows_in(BLOCK_BYTES, len(served.index.items))
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool, threadpool_limits(1, "blas"):
        for number, start in enumerate(range(0, len(users), USERS_A_PART)):
            part, file = users[start : start + USERS_A_PART], folder / f"part-{number:06}.parquet"
            if file.exists():
                kept += len(part)
                continue
            blocks = [part[one : one + rows] for one in range(0, len(part), rows)]
            made, done = [], start
            for block, lists in zip(blocks, pool.map(of_block, blocks), strict=True):
                made.append(_table(served, block, lists, schema))
                done += len(block)
                advance(done, len(users), "users")
            _write(pa.concat_tables(made), file)
    return ListParts(folder, schema, len(users), kept, as_ids(log.erased_since(erasure_before)))


def list_schema(served: LoadedIndex) -> pa.Schema:
    """Columns of exported lists, with the version that they come from as the schema's metadata."""
    artifact = served.artifact
    about = {
        "data_set": artifact.slot.data_set,
        "model": artifact.slot.model,
        "device": artifact.slot.device,
        "version": artifact.version,
        "fingerprint": artifact.fingerprint,
    }
    user, movie = (pa.string() if ids.are_texts else pa.int64() for ids in (served.index.users, served.index.items))
    columns = {"user_id": user, "rank": pa.int32(), "movie_id": movie, "score": pa.float32(), "source": pa.string()}
    return pa.schema(columns, metadata={f"movierec.{name}": str(value) for name, value in about.items()})


def _lists_of(
    served: LoadedIndex, live: LiveFeedback, k: int, talkers: frozenset[PublicId], rules: ActiveRules | None
) -> Callable[[Ids], Lists]:
    """A function that makes the lists of a block of users.

    The lists of those who are known by the train data alone are made together; the others are asked about one by one,
    as the API does.
    """
    plain = ListOptions(k)
    data_set = served.lineage.data_set

    def of_block(block: Ids) -> Lists:
        rows = served.index.users.index(block)
        people = block.tolist()
        lists = Lists(len(people), k)
        alone = (rows < 0) | np.fromiter((one in talkers for one in people), np.bool_, len(people))
        together = np.flatnonzero(~alone)
        if served.index.exact:
            _put_together(lists, together, served, rows[together], rules)
        else:
            for place, user in zip(together.tolist(), rows[together].tolist(), strict=True):
                lists.put(place, *_asked_for(served.index, user, k, served.masked(user), rules))
        for place in np.flatnonzero(alone).tolist():
            person = of_user(served, people[place], live.state(data_set, people[place]))
            gone = person.erased and not (person.told or person.masked_since)
            made = MadeList([], [], POPULARITY) if gone else list_for(served, person, plain, rules=rules)
            lists.put(place, made.items, made.scores, made.source)
        return lists

    return of_block


def _put_together(
    lists: Lists, places: NDArray[np.int64], served: LoadedIndex, users: NDArray[np.int64], rules: ActiveRules | None
) -> None:
    """Put the lists of trained users who have said nothing since where they belong: places, users int64 [m]."""
    index = served.index
    scores = index.scores_of(users.tolist())
    for row, user in zip(scores, users.tolist(), strict=True):
        row[served.mask(user)] = -np.inf
    k = lists.items.shape[1]
    if rules is None:
        items, of_items = best_lists(scores, k)
    else:
        if rules.allowed is not None:
            most = np.where(rules.allowed[: len(index.items)], np.float32(np.inf), np.float32(-np.inf))
            np.minimum(scores, most, out=scores)  # several times as fast as a mask
        made = arrange_lists(rules, *best_lists(scores, rules.candidates(k)), k, more_of(scores))
        items, of_items = made.items, made.scores
    lists.items[places, : items.shape[1]], lists.scores[places, : items.shape[1]] = items, of_items
    lists.source[places] = np.where(index.personal[users], index.source, POPULARITY)


def _asked_for(
    index: RetrievalIndex, user: int, k: int, masked: NDArray[np.integer[Any]], rules: ActiveRules | None
) -> tuple[NDArray[np.int64], NDArray[np.float32], str]:
    """A list of an index that is searched."""
    if rules is None:
        return index.recommend(user, k, masked)
    allowed = None if rules.allowed is None else rules.allowed[: len(index.items)]

    def more(n: int, mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        return index.recommend(user, n, masked, mask if allowed is None else mask & allowed)[:2]

    items, scores, source = index.recommend(user, rules.candidates(k), masked, allowed)
    made = arrange(rules, items, scores, k, more)
    return made.items, made.scores, source


def _people(served: LoadedIndex, talkers: frozenset[PublicId]) -> Ids:
    """The trained users, and after them those known by feedback alone, without whom an erasure leaves nothing."""
    users = served.index.users
    kind = str if users.are_texts else int
    others = sorted(one for one in talkers if isinstance(one, kind) and users.place(one) is None)
    return np.concatenate([users.ids, as_ids(others)]) if others else users.ids


def _table(served: LoadedIndex, users: Ids, lists: Lists, schema: pa.Schema) -> pa.Table:
    row, place = np.nonzero(lists.items >= 0)
    columns = {
        "user_id": users[row],
        "rank": (place + 1).astype(np.int32),
        "movie_id": served.index.items.ids[lists.items[row, place]],
        "score": lists.scores[row, place],
        "source": lists.source[row],
    }
    return pa.table(columns, schema=schema)


def begun_in(folder: Path) -> dict[str, Any] | None:
    """The manifest of the export whose parts a folder holds; None where it holds nothing, or is not there.

    Raises ConfigError for a folder of other files, among which no parts are put.
    """
    if (manifest := folder / _MANIFEST).is_file():
        with suppress(ValueError, TypeError, KeyError):
            begun = json.loads(manifest.read_text(encoding="utf-8"))
            return {"export": begun["export"], "newest_erasure": int(begun["newest_erasure"])}
    others = sorted(set(folder.glob("*")) - {folder / LOCK, *folder.glob(f".{_MANIFEST}.*")})
    if others:
        raise ConfigError(
            f"{folder} holds other files ({others[0].name}) and no parts of an export; let --parts name a new folder"
        )
    return None


def _begin(folder: Path, export: dict[str, Any], newest_erasure: int) -> int:
    """Clear a folder of the parts of other exports; the number of the newest erasure when this one was begun."""
    begun = begun_in(folder)
    if begun and begun["export"] == export:
        return int(begun["newest_erasure"])
    for file in _parts(folder):
        file.unlink()
    replace_file(folder / _MANIFEST, json.dumps({"export": export, "newest_erasure": newest_erasure}, indent=1))
    return newest_erasure


def _write(table: pa.Table, file: Path) -> None:
    """Write a part so that it is there whole or not at all."""
    unfinished = file.with_suffix(".unfinished")
    pq.write_table(table, unfinished, compression="zstd")
    fsync(unfinished)  # an export that goes on after a power cut takes the part for whole
    unfinished.replace(file)


def _parts(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"{_PART}.parquet"))


def _digest(users: Ids) -> str:
    return sha256("\n".join(map(str, users.tolist())).encode()).hexdigest()
