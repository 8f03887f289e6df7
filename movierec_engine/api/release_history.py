"""Which versions were served before, by the recorded decisions."""

from collections.abc import Iterator

from movierec_engine.errors import StoreError
from movierec_engine.store import Artifact, ArtifactStore, Slot

DECISION = "release_decision"
ROLLED_BACK = "rolled back"


def earlier_releases(store: ArtifactStore, data_set: str) -> Iterator[Artifact]:
    """The indices that decisions let answer, the newest first, each once.

    Without those that were rolled back from, since somebody wanted them gone, and those that the store lost.
    """
    left: set[str] = set()
    for decision in reversed(store.versions(Slot(DECISION, data_set))):
        served, champion = str(decision.facts.get("served", "")), str(decision.facts.get("champion", ""))
        if decision.facts.get("verdict") == ROLLED_BACK:
            left.add(champion)
        for reference in (served, champion):
            if reference and reference not in left:
                left.add(reference)
                try:
                    yield store.resolve(reference)
                except StoreError:
                    continue
