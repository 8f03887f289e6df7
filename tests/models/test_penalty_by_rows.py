from typing import Any

import numpy as np
import pytest
import torch

from movierec_engine.data.graph import build_graph
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.models import GMF, NGCF, LightGCN
from worlds import interactions_of

PAIRS = np.array([(user, item) for user in range(16) for item in range(4)])
TRAIN = interactions_of(PAIRS, IdMap(np.arange(16)), IdMap(np.arange(4)))


def built(kind: Any, **settings: float) -> Any:
    model = kind(kind.Config(**settings))
    model.build(TRAIN, build_graph(TRAIN), torch.device("cpu"))
    return model


@pytest.mark.parametrize("kind", [GMF, LightGCN, NGCF])
def test_the_penalty_is_over_the_root_of_the_interactions_of_a_row_unless_it_is_given(kind: Any) -> None:
    """By hand: 4 items a user and 16 users an item are 8 in the geometric mean."""
    model = built(kind, relative_l2=3.0)
    assert model.network.l2 == pytest.approx(3 / 8**0.5)
    assert model.for_worker().config.l2 == pytest.approx(3 / 8**0.5), "by a share of the users it would be another"
    assert built(kind, l2=0.0).network.l2 == 0.0
    assert built(kind, l2=0.5, relative_l2=3.0).network.l2 == 0.5


@pytest.mark.parametrize("kind", [GMF, LightGCN, NGCF])
@pytest.mark.parametrize("settings", [{"l2": -1.0}, {"relative_l2": -1.0}, {"l2": float("nan")}])
def test_a_penalty_below_0_is_refused(kind: Any, settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"model.{next(iter(settings))}"):
        kind.Config(**settings)
