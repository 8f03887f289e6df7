"""Prices of rules as `movierec rules price` has published them, beside the versions of the rules that have held."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dashboard.queries.store_files import Signature, folders, signature, slot_folders, slot_of, stamp, store_at
from movierec_engine.errors import MovierecError
from movierec_engine.evaluation.rules_price import RulePrice
from movierec_engine.pipeline.rules_price import PRICE_FILE
from movierec_engine.recommending.rules.document import SCENARIOS, RuleDocument
from movierec_engine.recommending.rules.versions import (
    RULES_FILE,
    RulesVersion,
    pointer_of,
    rules_history,
    version_of,
)
from movierec_engine.store import Artifact, kinds

MOST = 20
"""Prices that can be chosen, newest first."""


@dataclass(frozen=True)
class PricedRules:
    """The price of one document of rules for a model. prices: that of all rules together first.

    version: the newest version of the rules that has held with this document. current: the one that holds now.
    trained, outdated: the version of the model, and whether there is a newer one.
    """

    id: str
    model: str
    device: str
    trained: str
    fingerprint: str
    created_at: str
    scenario: str
    region: str
    k: int
    prices: tuple[RulePrice, ...]
    version: RulesVersion | None
    current: RulesVersion | None
    outdated: bool

    @property
    def in_force(self) -> bool:
        """Whether the rules that hold now for the scenario are these."""
        return self.version is not None and self.version == self.current


def rules_signature(root: Path) -> Signature:
    """Changes whenever rules are priced, published or rolled back."""
    pointers = (folder / f"{pointer_of(one)}.json" for folder in folders(root / "pointers") for one in SCENARIOS)
    return (*signature(root, kinds.RULES_PRICE), *map(stamp, pointers))


def priced(root: Path, data: str) -> tuple[list[PricedRules], list[str]]:
    """The newest prices on a data set, newest first, and a sentence for each that cannot be read."""
    every = [version for slot in slot_folders(root, kinds.RULES_PRICE, data) for version in folders(slot)]
    found, unreadable = [], []
    for folder in sorted(every, key=lambda one: one.name, reverse=True)[:MOST]:
        try:
            found.append(_priced(root, store_at(root).get(slot_of(root, folder.parent), folder.name)))
        except (MovierecError, OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            unreadable.append(f"The price of rules in {folder} cannot be read; price them again.")
    return found, unreadable


def _priced(root: Path, made: Artifact) -> PricedRules:
    store, slot, facts = store_at(root), made.slot, made.facts
    prices = tuple(RulePrice(**row) for row in pq.read_table(made.folder / PRICE_FILE).to_pylist())
    if not prices:
        raise ValueError("it has no rows")
    trained, scenario = made.parents[kinds.TRAINED_MODEL], str(facts["scenario"])
    newest = store.latest(slot.beside(kinds.TRAINED_MODEL))
    held = rules_history(store, slot.data_set, scenario) if scenario in SCENARIOS else []
    return PricedRules(
        id=f"{slot.model}/{slot.device}/{made.version}",
        model=slot.model,
        device=slot.device,
        trained=trained.rsplit("/", 1)[-1],
        fingerprint=made.fingerprint,
        created_at=made.created_at,
        scenario=scenario,
        region=str(facts.get("region") or ""),
        k=int(facts["k"]),
        prices=prices,
        version=version_of(held, RuleDocument.parse((made.folder / RULES_FILE).read_bytes())),
        current=held[0] if held else None,
        outdated=newest is not None and newest.reference != trained,
    )
