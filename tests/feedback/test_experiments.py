"""Assignment by a keyed hash, and team-draft interleaving."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from movierec_engine.config import typed
from movierec_engine.errors import ConfigError
from movierec_engine.feedback.experiments import NOBODY, ExperimentConfig, Variant, team_draft

TWO = (Variant("control", "ease"), Variant("challenger", "lightgcn"))
AB = ExperimentConfig("spring", variants=TWO)
DUEL = ExperimentConfig("duel", "interleaving", variants=TWO)

rankings = st.lists(st.integers(0, 30), unique=True, max_size=15)


def assigned(config: ExperimentConfig, users: Sequence[int]) -> np.ndarray:
    return np.array([config.variant_of(user).name for user in users])


def test_a_user_belongs_to_the_same_variant_in_every_process() -> None:
    program = (
        "from movierec_engine.feedback.experiments import *;"
        "two = (Variant('control', 'ease'), Variant('challenger', 'lightgcn'));"
        "a = ExperimentConfig('spring', variants=two); d = ExperimentConfig('duel', 'interleaving', variants=two);"
        "lists = {'control': range(20), 'challenger': range(19, -1, -1)};"
        "print([a.variant_of(u).name for u in range(50)], d.interleave(lists, 7, '2026-11-25', 9).movie_ids)"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
    lists = {"control": range(20), "challenger": range(19, -1, -1)}
    drafted = DUEL.interleave(lists, 7, "2026-11-25", 9)
    assert other == f"{[AB.variant_of(user).name for user in range(50)]} {drafted.movie_ids}"


def test_shares_match_the_weights() -> None:
    """20 000 users, weights 1 : 3 : 6; five standard errors of a share are at most 0.018."""
    config = ExperimentConfig("e", variants=(Variant("a", "m", 1), Variant("b", "m", 3), Variant("c", "m", 6)))
    share = Counter(assigned(config, range(20_000)))
    for name, weight in (("a", 0.1), ("b", 0.3), ("c", 0.6)):
        assert share[name] / 20_000 == pytest.approx(weight, abs=5 * np.sqrt(weight * (1 - weight) / 20_000))


@pytest.mark.parametrize(
    "other", [ExperimentConfig("autumn", variants=TWO), ExperimentConfig("spring", salt="2", variants=TWO)]
)
def test_another_name_or_salt_assigns_independently(other: ExperimentConfig) -> None:
    users = range(10_000)
    mine, its = assigned(AB, users) == "control", assigned(other, users) == "control"
    table = [[int(np.sum((mine == a) & (its == b))) for b in (False, True)] for a in (False, True)]
    assert chi2_contingency(table).pvalue > 1e-4
    assert (mine == its).mean() == pytest.approx(0.5, abs=0.03)


def test_neighbouring_ids_do_not_go_together() -> None:
    control = assigned(AB, range(10_000)) == "control"
    assert (control[1:] == control[:-1]).mean() == pytest.approx(0.5, abs=0.03)


@given(st.integers(0, 2**63 - 1), st.lists(st.floats(1e-9, 1e9), min_size=2, max_size=6))
def test_everybody_belongs_to_one_variant(user: int, weights: list[float]) -> None:
    variants = tuple(Variant(f"v{i}", "m", weight) for i, weight in enumerate(weights))
    assert ExperimentConfig("e", variants=variants).variant_of(user) in variants


@pytest.mark.parametrize(("hashed", "expected"), [(0, "a"), (2**63 - 2**11, "a"), (2**63, "b"), (2**64 - 1, "b")])
def test_the_variants_share_the_hashes_in_their_order(
    hashed: int, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The largest hash, which rounds to one, is the last variant's."""
    monkeypatch.setattr(ExperimentConfig, "_hash", lambda *of: hashed)
    chosen = ExperimentConfig("e", variants=(Variant("a", "m", 3.0), Variant("b", "m", 3.0))).variant_of(1)
    assert chosen.name == expected


@given(rankings, rankings, st.integers(0, 20), st.integers(0, 2**64 - 1))
def test_a_draft_follows_the_rules(first: list[int], second: list[int], length: int, seed: int) -> None:
    """Every pick is its captain's best one left, teams stay within one of each other, and nothing is there twice."""
    draft = team_draft(first, second, length, seed, ("a", "b"))
    assert draft == team_draft(first, second, length, seed, ("a", "b"))
    assert len(draft.movie_ids) == len(draft.teams) == min(length, len({*first, *second}))
    assert len(set(draft.movie_ids)) == len(draft.movie_ids)
    own = {"a": first, "b": second}
    sizes = Counter[str]()
    before: list[int] = []
    for movie, team in zip(draft.movie_ids, draft.teams, strict=True):
        left = {name: [one for one in ranked if one not in before] for name, ranked in own.items()}
        if team == NOBODY:
            assert not (left["a"] and left["b"]), "the draft goes on while both have some left"
            assert movie == (left["a"] or left["b"])[0]
        else:
            assert left["a"] and left["b"]
            assert movie == left[team][0]
            assert sizes[team] <= sizes["b" if team == "a" else "a"]
            sizes[team] += 1
        before.append(movie)
    assert abs(sizes["a"] - sizes["b"]) <= 1


@given(rankings, st.integers(0, 2**64 - 1))
def test_equal_lists_come_out_as_they_are(ranked: list[int], seed: int) -> None:
    assert list(team_draft(ranked, ranked, len(ranked), seed, ("a", "b")).movie_ids) == ranked


def test_the_four_drafts_of_two_disjoint_pairs_are_equally_likely() -> None:
    """Two coins: who is first in either round. Each of the four lists in a quarter of 4000 drafts."""
    drafts = Counter(
        DUEL.interleave({"control": [1, 2], "challenger": [3, 4]}, user, "today", 4).movie_ids for user in range(4000)
    )
    assert set(drafts) == {(1, 3, 2, 4), (1, 3, 4, 2), (3, 1, 2, 4), (3, 1, 4, 2)}
    assert all(count == pytest.approx(1000, abs=5 * np.sqrt(4000 * 3 / 16)) for count in drafts.values())


def test_another_occasion_is_another_draft() -> None:
    lists = {"control": range(10), "challenger": range(10, 20)}
    days = {DUEL.interleave(lists, 1, f"2026-11-{day}", 10).teams for day in range(10, 30)}
    assert len(days) > 10


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"name": "e"}, "two or more"),
        ({"name": "e", "variants": [{"name": "a", "model": "m"}]}, "two or more"),
        ({"name": "e", "variants": [{"name": "a", "model": "m"}] * 2}, "different names"),
        ({"name": "e e", "variants": [{"name": "a", "model": "m"}, {"name": "b", "model": "m"}]}, "is not a name"),
        ({"name": "e", "variants": [{"name": "", "model": "m"}, {"name": "b", "model": "m"}]}, "is not a name"),
        ({"name": "e", "kind": "bandit"}, "choose one of ab, interleaving"),
        ({"variants": [{"name": "a", "model": "m"}]}, "experiment.name is empty"),
        ({"name": "e", "variants": [{"name": "a", "model": "m", "weight": 0}, {"name": "b", "model": "m"}]}, "above 0"),
        (
            {"name": "e", "kind": "interleaving", "variants": [{"name": n, "model": "m"} for n in "abc"]},
            "two variants of equal weight",
        ),
        (
            {
                "name": "e",
                "kind": "interleaving",
                "variants": [{"name": "a", "model": "m", "weight": 2}, {"name": "b", "model": "m"}],
            },
            "two variants of equal weight",
        ),
        ({"name": "e", "variants": [{"name": "a", "model": "m"}, {"name": "b"}]}, "b has no model"),
    ],
)
def test_a_wrong_experiment_is_one_sentence(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        typed(ExperimentConfig, values, "serving.experiment")


def test_an_experiment_comes_from_plain_values_and_none_is_running_by_default() -> None:
    plain = {
        "name": "e",
        "kind": "ab",
        "salt": "",
        "variants": [{"name": "a", "model": "ease", "weight": 1}, {"name": "b", "model": "als", "weight": 3}],
    }
    config = typed(ExperimentConfig, plain, "serving.experiment")
    assert config.running and config.variants[1] == Variant("b", "als", 3.0)
    assert not ExperimentConfig().running
