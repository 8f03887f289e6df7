"""The rules that a target's lists are made under when it is judged: those of then, none, or others that never held."""

from datetime import UTC, datetime

from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.pipeline.logged_lists import LoggedList
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.compiled import CompiledRules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.versions import rules_version
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import ArtifactStore


class TargetRules:
    """Rules by the moment and the region of each list that was shown.

    document: rules that never held; without it those of then, by the version that each list was noted with.
    """

    def __init__(self, served: LoadedIndex, store: ArtifactStore, document: RuleDocument | None = None) -> None:
        """Raises RuleError for a document that does not fit the catalogue."""
        self._served, self._store = served, store
        self._fitted: dict[str, CompiledRules | None] = {}
        self._own = None if document is None else self._fit(document)
        if self._own is not None:
            self._own.check(datetime.now(UTC))

    def known(self, one: LoggedList) -> bool:
        """Whether the rules of a list can be read."""
        return self._own is not None or not one.context.rules or self._of_version(one.context.rules) is not None

    def of(self, one: LoggedList) -> ActiveRules | None:
        """The rules of a list, None where none holds."""
        fitted = self._own or (self._of_version(one.context.rules) if one.context.rules else None)
        moment = datetime.fromtimestamp(one.at_ms / 1000, UTC)
        return fitted.at(moment, one.context.region or None) if fitted else None

    def require_any(self, found: list[ActiveRules | None]) -> None:
        """Raises ConfigError where rules that never held would not have held at any list either."""
        if self._own is not None and not any(found):
            raise ConfigError(
                "none of these rules holds at the moment of any list that was shown; leave out their from and until"
            )

    def _of_version(self, version: str) -> CompiledRules | None:
        if version not in self._fitted:
            try:
                held = rules_version(self._store, self._served.lineage.data_set, version)
                self._fitted[version] = self._fit(held.document(), version)
            except MovierecError:  # told with the number of such lists
                self._fitted[version] = None
        return self._fitted[version]

    def _fit(self, document: RuleDocument, version: str = "") -> CompiledRules:
        return CompiledRules(document, self._served.catalogue.columns, self._served.catalogue.n_items, version)
