"""The marks of the panels by segments are those of the segment's own means."""

import re

from movierec_engine.reporting.comparable import find_groups
from movierec_engine.reporting.html.document import SmallCharts
from movierec_engine.reporting.html.ranking import rank
from movierec_engine.reporting.html.segments import Segments, SegmentValues, segment_section
from movierec_engine.store import ArtifactStore


def test_the_diamond_of_a_panel_is_its_highest_mean_whoever_leads_over_all(measured: ArtifactStore) -> None:
    ranking = rank(measured, find_groups(measured, "camps")[0][0], "ndcg@10")
    assert ranking is not None
    leader, other = ranking.leader, next(name for name in ranking.names[1:] if name != "popularity")

    def segment(name: str, **means: float) -> SegmentValues:
        return SegmentValues("popularity", name, 50, 90, {model: (mean, 0.0, 0.5) for model, mean in means.items()})

    found = (
        segment("head", **{leader: 0.4, other: 0.3, "popularity": 0.2}),
        segment("mid", **{leader: 0.1, other: 0.3, "popularity": 0.0}),
        segment("tail", **{leader: 0.0, other: 0.0, "popularity": 0.0}),
    )
    blocks = segment_section(ranking, Segments(found, (), ())).blocks
    panels = next(block for block in blocks if isinstance(block, SmallCharts)).panels

    marks = [re.findall(r'class="mark (\w+)"', panel.chart) for panel in panels]
    assert marks == [["best", "among", "baseline"], ["among", "best", "baseline"], ["among", "among", "baseline"]]
