"""The home page in rows, and each of its rows continued."""

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from typing import cast

import numpy as np

from movierec_engine.api.answers import Home, HomeMovie, HomeRow, Recommendations, RowPage
from movierec_engine.api.cursors import ListName
from movierec_engine.api.errors import ApiError
from movierec_engine.api.home_exploration import explored_row, places_of
from movierec_engine.api.home_rows import FOR_YOU, POPULAR, HomeRows
from movierec_engine.api.list_services import ListServices
from movierec_engine.api.model_service import about
from movierec_engine.api.parameters import ratings_told
from movierec_engine.api.requests import HomeRequest, RowRequest
from movierec_engine.api.shown_lists import note_shown
from movierec_engine.api.trends import Trends
from movierec_engine.feedback import ListContext
from movierec_engine.feedback.events import MAX_LIST
from movierec_engine.feedback.experiments import Variant
from movierec_engine.recommending.rows.composition import compose
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.serving.live_exploration import Propensities
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import Person, of_history, of_user

OWN = (FOR_YOU, POPULAR)
"""The rows that are the person's own list, which is /api/recommend's."""
PAGES = 2048
"""Home pages that a worker remembers, of those asked for last."""
_FRESH = 0.1
"""The part of their life for which the cursors of a remembered page are given out again."""


class HomeService:
    """Builds home pages. The cache key holds everything a page depends on, the person's feedback included."""

    def __init__(self, services: ListServices, trends: Trends) -> None:
        self._service, self._live, self._trends = services.models, services.live, trends
        self._experiment, self._exploration = services.experiment, services.exploration
        self._cursors, self._rules = services.cursors, services.rules
        self._fresh = _FRESH * services.limits.cursor_seconds
        self._most = min(PAGES, services.limits.remembered_lists)
        self._pages: OrderedDict[Hashable, Home] = OrderedDict()
        self._lock = threading.Lock()

    def home(self, request: HomeRequest) -> Home:
        """A page of rows without a movie twice, the rows ordered by the person's taste.

        A user's page is noted as shown where their lists are: in an experiment, and where lists are explored.
        """
        variant = self._variant(request)
        served, person = self._asked(request, variant)
        rules = self._rules.active(served, "home", request.region)
        page = self._page(served, person, request, rules)
        plain = request.user_id is not None and request.model is None and not (request.exclude or request.filtered)
        propensities = Propensities()
        if plain and self._exploration.explores(served) and page["rows"] and page["rows"][0]["row"] in OWN:
            movies, propensities = explored_row(served, person, request, page, self._exploration, rules)
            page = self._with_first(served, request, page, movies)
        if variant or propensities.at_place:
            self._note(served, request, page, propensities, variant, rules)
        return page

    def _with_first(self, served: LoadedIndex, request: HomeRequest, page: Home, movies: list[HomeMovie]) -> Home:
        """A page with other movies in its first row, and what continues its rows after these."""
        first, *others = page["rows"]
        if movies == first["movies"]:
            return page
        shown = places_of(served, [movies, *(row["movies"] for row in others)])
        rows: list[HomeRow] = [{**first, "movies": movies}, *others]
        following = [
            None if row["next"] is None else self._cursors.write(self._name(request, row["row"], served), shown)
            for row in rows
        ]
        changed = [{**row, "next": cursor} for row, cursor in zip(rows, following, strict=True)]
        return cast(Home, {**page, "rows": changed})

    def _note(
        self, served: LoadedIndex, request: HomeRequest, page: Home, propensities: Propensities,
        variant: Variant | None, rules: ActiveRules | None,
    ) -> None:  # fmt: skip
        """Have a page noted as shown, as one list that begins with the person's own."""
        assert request.user_id is not None
        first = page["rows"][0] if page["rows"] and page["rows"][0]["row"] in OWN else None
        own = min(len(first["movies"]), MAX_LIST) if first else 0
        everything = [movie for row in page["rows"] for movie in row["movies"]]
        page["exposure_id"] = note_shown(
            self._live,
            served.lineage.data_set,
            request.user_id,
            cast(Recommendations, {**about(served), "recommendations": everything}),
            propensities,
            ListContext("home", request.region or "", rules.version if rules else "", own),
            experiment=self._experiment.config.name if variant else "",
            variant=variant.name if variant else "",
        )
        if variant:
            page["experiment"], page["variant"] = self._experiment.config.name, variant.name

    def _page(self, served: LoadedIndex, person: Person, request: HomeRequest, rules: ActiveRules | None) -> Home:
        """A page before anything of it is explored, remembered."""
        now = self._trends.of(served)
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
                "movies": [cast(HomeMovie, served.catalogue.movies[item]) for item in one.items.tolist()],
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
        served, person = self._asked(request, self._variant(request))
        name = self._name(request, request.row, served)
        before = self._cursors.read(request.next, name, len(served.catalogue.movies))
        person = person.without([served.catalogue.movies[place]["movie_id"] for place in before.tolist()])
        rules = self._rules.active(served, "home", request.region)
        row = HomeRows(served, person, request, self._trends.of(served), request.top_k, rules).named(request.row)
        if row is None:
            raise ApiError(404, f"there is no row {request.row!r}; GET /api/v1/home names a person's rows", "row")
        movies = [cast(HomeMovie, served.catalogue.movies[item]) for item in row.items.tolist()]
        following = self._cursors.after(name, before, row.items, request.top_k)
        return {
            **about(served), "row": row.name, "title": row.title, "reason": row.reason, "movies": movies,
            "next": following,
        }  # fmt: skip

    def _variant(self, request: HomeRequest) -> Variant | None:
        """The experiment variant whose model builds this user's page; None outside an experiment."""
        if request.user_id is None or request.model is not None:
            return None
        return self._experiment.of_page(request.user_id)

    def _asked(self, request: HomeRequest, variant: Variant | None) -> tuple[LoadedIndex, Person]:
        served = self._service.served(variant.model if variant else request.model)
        if request.user_id is None:
            return served, of_history(served, ratings_told(request.history or ()))
        return served, of_user(served, request.user_id, self._live.state(served.lineage.data_set, request.user_id))

    def _name(self, request: HomeRequest, row: str, served: LoadedIndex) -> ListName:
        return ListName(request.user_id, {**request.which, "list": row}, served.artifact.reference)
