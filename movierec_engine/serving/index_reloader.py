"""Reloading of indices: new versions are noticed and loaded in the background, and swapped as one."""

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from movierec_engine.data.ratings import Movies
from movierec_engine.errors import MovierecError, StoreError
from movierec_engine.retrieval.index import RetrievalIndex
from movierec_engine.retrieval.masks import no_mask, serving_mask
from movierec_engine.serving.catalogue import MovieCatalogue
from movierec_engine.serving.config import IndicesConfig
from movierec_engine.serving.lineage import Lineage
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import SERVING, Artifact, ArtifactStore, Slot, is_refitted, kinds, measured_index

log = logging.getLogger(__name__)

_ROLLED_BACK = "rolled back"
WARMING_SECONDS = 0.25
"""Spent on the lists of a version before it answers."""
FIRST_LOOK_SECONDS = 20
"""How long a request to a server that has just started waits for the first index at most."""
IN_USE_SECONDS = 600.0
"""How often a cache on this host is told that the files of what answers are in use."""
RETRY_SECONDS = (1.0, 60.0)
"""How long after a version was refused it is tried again: at first, and at most, each wait twice the one before."""


@dataclass(frozen=True)
class ServingState:
    """The store's versions at one moment, and those that answer. Requests read one state and nothing else.

    defaults: the versions that should answer by default, best first: the promoted one alone, or each model's newest.
    newest: each model's newest version.
    served: by model what answers, and under None what answers by default.
    refused: reference of each version in the store that is not served though it should be -> why.
    """

    signature: Hashable = ()
    defaults: tuple[Artifact, ...] = ()
    newest: dict[str, Artifact] = field(default_factory=dict)
    served: dict[str | None, LoadedIndex] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def stands_in(self) -> bool:
        """True if another version answers by default than the one that should."""
        default, wanted = self.served.get(None), self.defaults[:1]
        return default is not None and default.artifact.reference != (wanted[0].reference if wanted else "")


class IndexReloader:
    """Follows the store. A version that cannot be loaded is refused, logged once, and what was served stays.

    A refused version is tried again, at growing intervals. Meanwhile a server that has just started answers from the
    release before it, the newest that loads.

    settings: the usual ones where they are left out.
    device: `auto`, or the kind of device whose indices alone are served; a promoted one of another kind is passed by.
    titles: replaces the titles that the indices carry.
    warm: whether an index answers by default only once nothing is left to be made that a request would wait for, but
        for the places of new movies, which are made after it. In a server lists are not explored with those before.
    on_change: called with the state before and the one that has taken its place. clock: seconds that only grow.

    `watch` follows in the background; without it the store is looked at whenever somebody asks.
    """

    def __init__(
        self,
        store: ArtifactStore,
        settings: IndicesConfig | None = None,
        *,
        device: str = "auto",
        titles: Movies | None = None,
        warm: bool = True,
        on_change: Callable[[ServingState, ServingState], None] = lambda before, now: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._settings, self.device, self._titles = store, settings or IndicesConfig(), device, titles
        self._data_set = self._settings.data_set  # the only one, from the first look at it on, where none is set
        self._now = ServingState()
        self._writing = threading.Lock()  # held by whoever makes the next state; never by a request that finds its own
        self._asked: dict[str, float] = {}  # model -> when it was last asked for
        self._clock = clock
        self._retry_wait, self._retry_at = RETRY_SECONDS[0], float("inf")
        self._told_at = clock()
        self._alive: WeakValueDictionary[str, LoadedIndex] = WeakValueDictionary()  # also evicted ones that are in use
        self._logged: set[tuple[str, str]] = set()
        self._watched = False
        self.out_of_reach = ""  # why the last look did not get as far as the store
        self._looked = threading.Event()
        self._warm, self._on_change = warm, on_change
        self._catalogues: WeakValueDictionary[tuple[object, ...], MovieCatalogue] = WeakValueDictionary()

    def watch(self, seconds: float, stop: threading.Event, after: Callable[[], None] = lambda: None) -> None:
        """Follow the store until told to stop; run this in a thread of its own. after: called after each look."""
        while True:
            self.refresh()
            after()
            if stop.wait(seconds):
                return

    def expect_watcher(self) -> None:
        """From now on requests use the versions that `watch` has found, and wait only for its first look."""
        self._watched = True

    @property
    def looked(self) -> bool:
        """True once the store has been looked at and the versions to serve are loaded."""
        return self._looked.is_set()

    def state(self) -> ServingState:
        """The versions that are served at this moment."""
        if not self._watched:
            self.refresh()
        return self._now

    def current(self, model: str | None = None) -> LoadedIndex | None:
        """The version to answer from: the default one, or the newest of a model. None while there is none."""
        if not self._watched:
            self.refresh()
        elif not self._looked.is_set():
            self._looked.wait(FIRST_LOOK_SECONDS)
        now = self._now
        if model is not None and model in now.newest:
            self._asked[model] = self._clock()
            return now.served.get(model) or self._serve(model)
        return now.served.get(model)

    def versions(self, model: str) -> list[Artifact]:
        """All readable versions of a model in the store, newest first."""
        slots = (slot for slot in self._slots() if slot.model == model)
        found = [version for slot in slots for version in self._store.versions(slot)]
        return sorted(found, key=lambda artifact: artifact.version, reverse=True)

    def refresh(self) -> None:
        """Look at the store; load what is new in it, and swap to it once it is there."""
        with self._writing:
            try:
                changed = self._signature() != self._now.signature
                if changed or self._clock() >= self._retry_at:
                    self._retry_wait = RETRY_SECONDS[0] if changed else min(2 * self._retry_wait, RETRY_SECONDS[1])
                    self._swap(self._look())
                self._say_what_is_used()
                self.out_of_reach = ""
            except (StoreError, OSError) as error:  # of the store or a disk, which the next look may find again
                self.out_of_reach = str(error)
                if self._is_new(kinds.FAISS_INDEX, str(error)):
                    log.error("%s; what was served stays, and it is looked at again", error)
            except Exception as error:  # whatever is wrong with what was found, the thread goes on looking
                if self._is_new(kinds.FAISS_INDEX, repr(error)):
                    log.exception("%s cannot be looked at; what was served stays", self._store.location)
            finally:
                self._looked.set()

    def _say_what_is_used(self) -> None:
        """Keep the files of the served versions in this host's cache; missing ones are fetched again."""
        if self._clock() - self._told_at < IN_USE_SECONDS:
            return
        self._told_at = self._clock()
        for one in self._now.served.values():
            for artifact in (one.artifact, *one.lineage.used):
                with suppress(StoreError, OSError):
                    _ = artifact.folder

    def _swap(self, found: ServingState) -> None:
        """Load what a look has found, then let it answer."""
        before = self._now
        served: dict[str | None, LoadedIndex] = {}
        if default := self._default(found):
            if self._warm:
                default.catalogue.warm()
            served[None] = default
        for model, one in before.served.items():
            if model is not None and model in found.newest:
                served[model] = self._load(found.newest[model], found.refused) or one
        if self._warm and self._watched and default is not None:
            default.catalogue.expect_places()
        self._take(
            ServingState(found.signature, found.defaults, found.newest, self._within_bounds(served), found.refused)
        )
        if self._watched and default is not None and default is not before.served.get(None):  # in a server
            log.info("answering from %s", default.artifact.reference)
        if self._warm and default is not None:
            # after it answers, and beside the watch: it takes seconds, for which the start or a promotion would wait
            threading.Thread(target=default.catalogue.place_new, name="new movies", daemon=True).start()

    def _default(self, found: ServingState) -> LoadedIndex | None:
        """The version that answers by default: the one that should, else the one that did, else a stand-in.

        That is the version that vouches for a refitted one, else the newest earlier release that loads; nothing that
        was never released.
        """
        stays = self._now.served.get(None)
        for artifact in found.defaults:
            one = self._load(artifact, found.refused)
            if one or stays:
                return one or stays
        if stays is not None and found.refused:
            return stays
        if self._settings.follow == "latest" or not found.refused or not self._data_set:
            return None
        candidates = filter(self._is_of_device, self._stand_ins(found))
        return next((one for artifact in candidates if (one := self._load(artifact, found.refused))), None)

    def _stand_ins(self, found: ServingState) -> Iterator[Artifact]:
        """Versions that may answer in place of one that cannot, best first."""
        for artifact in found.defaults:
            with suppress(StoreError):
                yield self._store.resolve(measured_index(artifact))
        yield from earlier_releases(self._store, self._data_set)

    def _serve(self, model: str) -> LoadedIndex | None:
        """Load a model that is asked for by name and is not in memory, from its newest version that is sound.

        It is handed to the request that waited for it, even where there is no room to keep it.
        """
        with self._writing:
            now = self._now
            if model in now.served or model not in now.newest:
                return now.served.get(model)
            refused = dict(now.refused)
            measured = (one for one in self.versions(model) if not is_refitted(one))
            candidates = (now.newest[model], *measured)
            one = next((one for one in (self._load(artifact, refused) for artifact in candidates) if one), None)
            self._asked[model] = self._clock()
            served = now.served if one is None else self._within_bounds({**now.served, model: one})
            self._take(ServingState(now.signature, now.defaults, now.newest, served, refused))
            return one

    def _take(self, state: ServingState) -> None:
        """Answer from another state from now on."""
        before, self._now = self._now, state
        if not state.refused:
            self._retry_at = float("inf")
        elif before.refused != state.refused or self._retry_at <= self._clock():
            self._retry_at = self._clock() + self._retry_wait
        self._on_change(before, state)

    def _within_bounds(self, served: dict[str | None, LoadedIndex]) -> dict[str | None, LoadedIndex]:
        """The versions that stay in memory: the default one and the most recently requested ones, up to the limit."""
        default = served.get(None)
        named = [model for model in served if model is not None and served[model] is not default]
        named.sort(key=lambda model: self._asked.get(model, 0.0))
        for model in named[: max(0, len(named) - (self._settings.models_in_memory - 1))]:
            del served[model]
        return served

    def _look(self) -> ServingState:
        """The versions that the store's pointers name now."""
        newest: dict[str, Artifact] = {}
        refused: dict[str, str] = {}
        try:
            self._settle()
        except StoreError as error:
            self._refuse(kinds.FAISS_INDEX, error, refused)
        signature = self._signature()
        for slot in self._slots():
            model = slot.model
            try:
                artifact = self._store.require(slot)
            except (MovierecError, OSError, ValueError) as error:
                self._refuse(str(slot), error, refused)
                if model in self._now.newest:
                    newest.setdefault(model, self._now.newest[model])
                continue
            if model not in newest or artifact.version > newest[model].version:
                newest[model] = artifact
        defaults = tuple(sorted(newest.values(), key=lambda artifact: artifact.version, reverse=True))
        try:
            promoted = None if self._settings.follow == "latest" else self._promoted()
            if promoted:
                defaults, model = (promoted,), promoted.slot.model
                if model in newest and newest[model].reference == measured_index(promoted):
                    newest[model] = promoted  # refitted, it answers for the model by name too
        except (MovierecError, OSError) as error:
            self._refuse(SERVING, error, refused)
            defaults = self._now.defaults or tuple(earlier_releases(self._store, self._data_set)) or defaults
        return ServingState(signature, defaults, newest, {}, refused)

    def _promoted(self) -> Artifact | None:
        """The promoted version, or None while there is none of the devices that are served."""
        promoted = self._store.pointed(SERVING, self._data_set) if self._data_set else None
        if promoted is None:
            return None
        if promoted.slot.kind != kinds.FAISS_INDEX or not promoted.slot.model:
            raise StoreError(f"{promoted.reference} is promoted but is no index to serve; promote a version again")
        return promoted if self._is_of_device(promoted) else None

    def _is_of_device(self, artifact: Artifact) -> bool:
        return self.device in ("auto", artifact.slot.device)

    def _load(self, artifact: Artifact, refused: dict[str, str]) -> LoadedIndex | None:
        """A version, from memory or from its verified files; None if it is damaged."""
        reference = artifact.reference
        known = self._alive.get(reference)
        if known is not None or reference in refused:
            return known
        try:
            index = RetrievalIndex.load(artifact.verify().folder)
            lineage = Lineage.of(self._store, artifact)
            repeat, remembered = self._settings.repeat, self._settings.remembered_lists
            mask = no_mask if repeat else serving_mask(index)
            catalogue = self._catalogue_of(index, lineage)
            one = LoadedIndex(artifact, index, catalogue, lineage, mask, remembered, repeat)
            if self._warm:
                one.warm(WARMING_SECONDS)
            self._alive[reference] = one
            return one
        except Exception as error:  # whatever is wrong with the files, the old version goes on being served
            self._refuse(reference, error, refused)
            return None

    def _catalogue_of(self, index: RetrievalIndex, lineage: Lineage) -> MovieCatalogue:
        """The movies of an index, shared with those of the same items, train interactions and titles."""
        about = (index.items, index.popularity.tobytes(), lineage.raw_movies)
        catalogue = self._catalogues.get(about)
        if catalogue is None:
            catalogue = self._catalogues[about] = MovieCatalogue(index, lineage, self._titles, self._settings.pictures)
        return catalogue

    def _refuse(self, reference: str, error: Exception, refused: dict[str, str]) -> None:
        """Record why a version is not served, without the store's path, which clients must not see."""
        said = str(error) or type(error).__name__
        refused[reference] = said.replace(f"{self._store.root}/", "").replace(f"{self._store.location}/", "")
        if self._is_new(reference, said):
            log.error("%s is not served, and tried again: %s", reference, said)

    def _is_new(self, about: str, said: str) -> bool:
        """Whether something has not been logged yet, as it is now."""
        known = (about, said) in self._logged
        self._logged.add((about, said))
        return not known

    def _settle(self) -> None:
        """Stay with the only data set that has indices, where none was chosen. Raises StoreError for several."""
        if self._data_set:
            return
        known = self._store.data_sets(kinds.FAISS_INDEX)
        if len(known) > 1:
            raise StoreError(
                f"there are indices of the data sets {', '.join(known)}; choose one by serving.data_set, or --data-set"
            )
        self._data_set = known[0] if known else ""

    def _slots(self) -> list[Slot]:
        """The slots of the data set and of the devices that are served."""
        if not self._data_set:
            return []
        return list(
            self._store.slots(kinds.FAISS_INDEX, self._data_set, device="" if self.device == "auto" else self.device)
        )

    def _signature(self) -> Hashable:
        """Changes whenever a pointer of the store does."""
        if not self._data_set:
            return ("unsettled", *self._store.data_sets(kinds.FAISS_INDEX))
        return self._store.changes(kinds.FAISS_INDEX, self._data_set)


def earlier_releases(store: ArtifactStore, data_set: str) -> Iterator[Artifact]:
    """The indices that decisions let answer, the newest first, each once.

    Without those that were rolled back from, since somebody wanted them gone, and those that the store lost.
    """
    left: set[str] = set()
    for decision in reversed(store.versions(Slot(kinds.RELEASE_DECISION, data_set))):
        served, champion = str(decision.facts.get("served", "")), str(decision.facts.get("champion", ""))
        if decision.facts.get("verdict") == _ROLLED_BACK:
            left.add(champion)
        for reference in (served, champion):
            if reference and reference not in left:
                left.add(reference)
                try:
                    yield store.resolve(reference)
                except StoreError:
                    continue
