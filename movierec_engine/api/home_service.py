"""The home page in rows, and each of its rows continued."""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import cast

import numpy as np

from movierec_engine.api.answers import Home, HomeRow, RowPage
from movierec_engine.api.config import ServingConfig
from movierec_engine.api.cursors import Cursors, ListName
from movierec_engine.api.errors import ApiError
from movierec_engine.api.home_rows import HomeRows
from movierec_engine.api.live_feedback import LiveFeedback
from movierec_engine.api.live_rules import LiveRules
from movierec_engine.api.loaded_index import LoadedIndex
from movierec_engine.api.model_service import ModelService, about
from movierec_engine.api.person import Person, of_history, of_user
from movierec_engine.api.requests import HomeRequest, RowRequest
from movierec_engine.api.trends import Trends
from movierec_engine.recommending.rows.composition import compose

PAGES = 2048
"""Home pages that a worker remembers, of those asked for last."""
_FRESH = 0.1
"""The part of their life for which the cursors of a remembered page are given out again."""


class HomeService:
    """Pages are remembered by all that they depend on, a person's feedback among it, so that none is ever stale."""

    def __init__(
        self, service: ModelService, live: LiveFeedback, limits: ServingConfig, cursors: Cursors, trends: Trends,
        rules: LiveRules,
    ) -> None:  # fmt: skip
        self._service, self._live, self._cursors, self._trends = service, live, cursors, trends
        self._rules = rules
        self._fresh = _FRESH * limits.cursor_seconds
        self._most = min(PAGES, limits.remembered_lists)
        self._pages: OrderedDict[Hashable, Home] = OrderedDict()
        self._lock = threading.Lock()

    def home(self, request: HomeRequest) -> Home:
        """A page of rows without a movie twice, the rows ordered by the person's taste."""
        served, person = self._asked(request)
        now = self._trends.of(served)
        rules = self._rules.active(served, "home", request.region)
        told = tuple(person.told.items())
        key = (
            served.artifact.reference, now.stamp, rules, request, person.user, told, person.masked_since, person.erased,
            int(time.time() / self._fresh),
        )  # fmt: skip
        with self._lock:
            if key in self._pages:
                self._pages.move_to_end(key)
                return cast(Home, dict(self._pages[key]))
        rows = HomeRows(served, person, request, now, request.top_k * (request.rows + 1), rules)
        placed = compose(rows.every(), rows.relevance, request.top_k, request.rows, rows.first)
        shown = np.sort(np.concatenate([one.items for one in placed])) if placed else np.empty(0, dtype=np.int64)
        page = cast(Home, {**about(served), "source": rows.source, "rows": []})
        if request.user_id is not None:
            page["user_id"] = request.user_id
        for one in placed:
            name = self._name(request, one.row.name, served)
            row: HomeRow = {
                "row": one.row.name,
                "title": one.row.title,
                "reason": one.row.reason,
                "movies": [served.catalogue.movies[item] for item in one.items.tolist()],
                "next": self._cursors.write(name, shown) if len(one.items) >= request.top_k else None,
            }
            page["rows"].append(row)
        with self._lock:
            self._pages[key] = page
            while len(self._pages) > self._most:
                self._pages.popitem(last=False)
        return cast(Home, dict(page))

    def row(self, request: RowRequest) -> RowPage:
        """One row, from its beginning or continued. Raises ApiError 404 for a row that there is none of."""
        served, person = self._asked(request)
        name = self._name(request, request.row, served)
        before = self._cursors.read(request.next, name, len(served.catalogue.movies))
        person = person.without([served.catalogue.movies[place]["movie_id"] for place in before.tolist()])
        rules = self._rules.active(served, "home", request.region)
        row = HomeRows(served, person, request, self._trends.of(served), request.top_k, rules).named(request.row)
        if row is None:
            raise ApiError(404, f"there is no row {request.row!r}; GET /api/v1/home names a person's rows", "row")
        movies = [served.catalogue.movies[item] for item in row.items.tolist()]
        following = self._cursors.after(name, before, row.items, request.top_k)
        return {
            **about(served), "row": row.name, "title": row.title, "reason": row.reason, "movies": movies,
            "next": following,
        }  # fmt: skip

    def _asked(self, request: HomeRequest) -> tuple[LoadedIndex, Person]:
        served = self._service.served(request.model)
        if request.user_id is None:
            return served, of_history(served, request.history or ())
        return served, of_user(served, request.user_id, self._live.state(served.lineage.data_set, request.user_id))

    def _name(self, request: HomeRequest, row: str, served: LoadedIndex) -> ListName:
        return ListName(request.user_id, {**request.which, "list": row}, served.artifact.reference)
