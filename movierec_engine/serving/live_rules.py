"""The rules that hold at this moment: a host follows their pointers, and compiles them once for each catalogue."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from weakref import WeakKeyDictionary

from movierec_engine.errors import MovierecError
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.compiled import CompiledRules
from movierec_engine.recommending.rules.document import SCENARIOS, RuleDocument
from movierec_engine.recommending.rules.versions import current_rules, pointer_of
from movierec_engine.serving.catalogue import MovieCatalogue
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import ArtifactStore

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class HeldRules:
    """A scenario's document and the name of its version."""

    version: str
    document: RuleDocument


class LiveRules:
    """Rules by scenario. Rules that cannot be read are logged once, and those before them hold on.

    store: asked at each look. offline: what this host read before, for one that starts while the store is away.
    now: the present.

    `watch` follows in the background; without it the pointers are looked at whenever somebody asks.
    """

    def __init__(
        self, store: ArtifactStore, offline: ArtifactStore, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.store, self._offline, self._now = store, offline, now
        self._seen: dict[tuple[str, str], str | None] = {}
        self._held: dict[tuple[str, str], HeldRules | None] = {}
        self._compiled: WeakKeyDictionary[MovieCatalogue, dict[str, CompiledRules]] = WeakKeyDictionary()
        self._looking = threading.Lock()
        self._watched = False
        self._logged: set[str] = set()

    def watch(self, data_set: Callable[[], str | None], seconds: float, stop: threading.Event) -> None:
        """Follow the pointers of a data set until told to stop; run this in a thread of its own."""
        self._watched = True
        while True:
            if name := data_set():
                self.look(name)
            if stop.wait(seconds):
                return

    def active(self, served: LoadedIndex, scenario: str, region: str | None = None) -> ActiveRules | None:
        """The rules that hold for a list of an index now, None where none does."""
        data_set = served.lineage.data_set
        if not self._watched or (data_set, scenario) not in self._held:
            self.look(data_set)
        held = self._held.get((data_set, scenario))
        if held is None or not held.document.rules:
            return None
        return self.compiled(served, scenario, held).at(self._now(), region)

    def compiled(self, served: LoadedIndex, scenario: str, held: HeldRules) -> CompiledRules:
        """Rules fitted to the catalogue of an index."""
        of_catalogue = self._compiled.setdefault(served.catalogue, {})
        known = of_catalogue.get(scenario)
        if known is None or known.version != held.version:
            known = CompiledRules(held.document, served.catalogue.columns, served.catalogue.n_items, held.version)
            of_catalogue[scenario] = known
        return known

    @staticmethod
    def fitted(served: LoadedIndex, document: RuleDocument) -> list[str]:
        """Warnings about a rule document for the catalogue of an index. Raises RuleError where it does not fit."""
        return CompiledRules(document, served.catalogue.columns, served.catalogue.n_items).check(datetime.now(UTC))

    def look(self, data_set: str) -> None:
        """Read the pointers, and the documents of those that have moved."""
        with self._looking:
            for scenario in SCENARIOS:
                place = data_set, scenario
                try:
                    self._follow(*self._pointer(*place), *place)
                except Exception as error:  # whatever is wrong with the rules, lists are made and the watch goes on
                    self._held.setdefault(place, None)
                    if str(error) not in self._logged:
                        self._logged.add(str(error))
                        said = "rules for %s cannot be read, and those before them hold on: %s"
                        log.error(said, scenario, error, exc_info=not isinstance(error, (MovierecError, OSError)))

    def _pointer(self, data_set: str, scenario: str) -> tuple[str | None, ArtifactStore]:
        """A pointer's text, and the store that gave it."""
        try:
            return self.store.storage.pointer(data_set, pointer_of(scenario)), self.store
        except MovierecError:
            if (data_set, scenario) in self._held:
                raise
            return self._offline.storage.pointer(data_set, pointer_of(scenario)), self._offline

    def _follow(self, text: str | None, store: ArtifactStore, data_set: str, scenario: str) -> None:
        place = data_set, scenario
        if place in self._held and self._seen.get(place) == text:
            return
        found = None if text is None else current_rules(store, data_set, scenario)
        self._held[place] = None if found is None else HeldRules(found.version, found.document())
        self._seen[place] = text
        if self._watched and found is not None:
            log.info("rules for %s are %s, by %s", scenario, found.version, found.by)
