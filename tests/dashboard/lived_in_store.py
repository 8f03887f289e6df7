"""The known store with all that a store comes to hold, so that every page shows every section."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import test_off_policy_estimates
import test_rules_price_page
from known_store import RATINGS, fill

from movierec_engine.release.decisions import decisions
from movierec_engine.release.notes import pin_note
from movierec_engine.reporting.kept_views import keep_view
from movierec_engine.store import ArtifactStore, Slot


def fill_lived_in(root: Path) -> ArtifactStore:
    """Publish prices of rules, off-policy estimates, newer ratings, notes and a kept view beside the known store."""
    store = fill(root)
    test_rules_price_page.put(store)
    for model, gain in (("ease", (0.1, 0.02, 0.2)), ("popularity", (-0.1, -0.2, 0.01))):
        test_off_policy_estimates.published(store, model, gain)
    newer = pa.table({**RATINGS, "rating": [5.0] * 6, "movie_id": [30] * 6})
    store.publish(
        Slot("raw_ratings", "tiny"),
        lambda folder: pq.write_table(newer, folder / "ratings.parquet"),
        key="newer",
        fingerprint="",
        facts={"ratings": 6, "users": 3, "movies": 1},
    )
    pin_note(store, store.require(Slot("evaluation_report", "tiny", "ease", "cpu")).reference, "Closed form.", "Ada")
    pin_note(store, decisions(store, "tiny")[0].reference, "Before the holidays.", "Grace")
    keep_view(store, "Who leads?", "compare", {"a": "ease", "b": "popularity"})
    return store
