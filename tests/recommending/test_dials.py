"""The dials do what they are named for, against the documented value worked out item by item."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from movierec_engine.data.catalogue import Catalogue
from movierec_engine.data.id_map import IdMap
from movierec_engine.errors import ConfigError
from movierec_engine.recommending.dials import DIALS, SMOOTHING, Dials, ItemFacts, divergence, rerank, rerank_all
from worlds import interactions_of

N_ITEMS = 12
HALF_TURNED = [{"diversity": 0.5}, {"novelty": 0.5}, {"decade_balance": 0.5}, {"genre_balance": 0.5}]


def facts_of(
    genres: Sequence[Sequence[int]],
    years: Sequence[int] | None = None,
    shares: Sequence[float] | None = None,
    embeddings: Sequence[Sequence[float]] | None = None,
) -> ItemFacts:
    n = len(genres)
    return ItemFacts(
        genres=np.array(genres, dtype=np.float32),
        year=np.array(years or [0] * n, dtype=np.int32),
        share=np.array(shares or [0.5] * n),
        embeddings=np.array(embeddings or np.zeros((n, 0)), dtype=np.float32),
    )


def falling(n: int) -> np.ndarray:
    return np.linspace(1, 0, n, dtype=np.float32)


@st.composite
def requests(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, ItemFacts, Dials, int]:
    """A few candidates with scores, ties among them, a history, facts with gaps, and dials."""

    def matrix(values: st.SearchStrategy[float], width: int) -> list[list[float]]:
        rows = st.lists(values, min_size=width, max_size=width)
        return draw(st.lists(rows, min_size=N_ITEMS, max_size=N_ITEMS))

    genres = matrix(st.sampled_from([0, 1]), 3)
    genres[0] = [1, 0, 0]
    years = draw(st.lists(st.sampled_from([0, 1985, 1999, 2001]), min_size=N_ITEMS - 1, max_size=N_ITEMS - 1))
    shares = draw(st.lists(st.sampled_from([0.01, 0.1, 0.5, 1.0]), min_size=N_ITEMS, max_size=N_ITEMS))
    facts = facts_of(genres, [1985, *years], shares, matrix(st.sampled_from([-1.0, 0.0, 2.0]), 2))
    items = np.array(draw(st.permutations(range(N_ITEMS)))[: draw(st.integers(1, 8))])
    scores = -np.sort(-np.array(draw(st.lists(st.sampled_from([-2.0, 0.0, 1.0, 1.5]), min_size=8, max_size=8))))
    history = np.array(draw(st.lists(st.integers(0, N_ITEMS - 1), unique=True, max_size=6)), dtype=np.int64)
    settings = {dial: draw(st.sampled_from([0.0, 0.3, 0.5, 1.0])) for dial in DIALS}
    dials = Dials(**settings, diversity_over=draw(st.sampled_from(["genres", "embeddings"])))
    return items, scores[: len(items)].astype(np.float32), history, facts, dials, draw(st.integers(1, 10))


def kinds(facts: ItemFacts, item: int, dial: str) -> dict[int, float]:
    """An item's genres or its decade, in equal parts; {} where none is known."""
    if dial == "decade_balance":
        return {int(facts.year[item]) // 10: 1.0} if facts.year[item] else {}
    own = np.flatnonzero(facts.genres[item])
    return {int(genre): 1 / len(own) for genre in own}


def mean_kinds(facts: ItemFacts, items: Sequence[int], dial: str) -> dict[int, float]:
    of_items = [found for item in items if (found := kinds(facts, item, dial))]
    names = {name for one in of_items for name in one}
    return {name: sum(one.get(name, 0) for one in of_items) / len(of_items) for name in names}


def calibration(facts: ItemFacts, own: dict[int, float], items: Sequence[int], dial: str) -> float:
    shown = mean_kinds(facts, items, dial)
    distance = 0.0
    for name, p in own.items():
        distance += p * math.log(p / ((1 - SMOOTHING) * shown.get(name, 0) + SMOOTHING * p))
    return 1 - distance / math.log(1 / SMOOTHING)


def worth(
    dial: str, item: int, so_far: list[int], items: list[int], history: list[int], facts: ItemFacts, over: str
) -> float | None:
    """A dial's term by its definition; None where the dial knows nothing of the item."""
    if dial == "novelty":
        bits = [-math.log2(facts.share[other]) for other in items]
        own = -math.log2(facts.share[item])
        return (own - min(bits)) / (max(bits) - min(bits)) if max(bits) > min(bits) else 0.0
    if dial == "diversity":
        vectors = (facts.genres if over == "genres" else facts.embeddings).astype(np.float64)
        if not vectors[item].any():
            return None
        alike = []
        for other in so_far:
            size = float(np.linalg.norm(vectors[item]) * np.linalg.norm(vectors[other]))
            alike.append(float(vectors[item] @ vectors[other]) / size if size else 0.0)
        return 1 - sum(alike) / max(len(alike), 1)
    if not kinds(facts, item, dial):
        return None
    own_shares = mean_kinds(facts, history, dial)
    known = [other for other in so_far if kinds(facts, other, dial)]
    n = len(known) + 1
    before = calibration(facts, own_shares, known, dial) if known else 0.0
    return n * calibration(facts, own_shares, [*known, item], dial) - (n - 1) * before


@given(requests())
def test_every_item_has_the_highest_value_of_those_left(
    request: tuple[np.ndarray, np.ndarray, np.ndarray, ItemFacts, Dials, int],
) -> None:
    items, scores, history, facts, dials, k = request
    shown, values = rerank(items, scores, history, facts, dials, k)
    assert len(shown) == len(values) == min(k, len(items))
    assert len(set(shown.tolist()) & set(items.tolist())) == len(shown)
    settings = {dial: getattr(dials, dial) for dial in DIALS}
    model_share = math.prod(1 - setting for setting in settings.values())
    weights = {d: (1 - model_share) * s / sum(settings.values()) for d, s in settings.items() if s}
    spread = float(scores[0]) - float(scores[-1])
    left, so_far = items.tolist(), list[int]()
    for item, value in zip(shown.tolist(), values.tolist(), strict=True):
        expected = {}
        for place, other in enumerate(items.tolist()):
            expected[other] = model_share * ((float(scores[place]) - float(scores[-1])) / spread if spread else 0.0)
        for dial, weight in weights.items():
            terms = {
                other: worth(dial, other, so_far, items.tolist(), history.tolist(), facts, dials.diversity_over)
                for other in left
            }
            known = [term for term in terms.values() if term is not None]
            neutral = sum(known) / len(known) if known else 0.0
            for other in left:
                term = terms[other]
                expected[other] += weight * (neutral if term is None else term)
        assert value == pytest.approx(expected[item], abs=1e-9)
        assert expected[item] >= max(expected[other] for other in left) - 1e-9
        left.remove(item)
        so_far.append(item)


@given(requests(), st.lists(st.tuples(st.permutations(range(N_ITEMS)), st.integers(0, 8)), max_size=4))
def test_people_together_get_the_lists_that_each_gets_alone(
    request: tuple[np.ndarray, np.ndarray, np.ndarray, ItemFacts, Dials, int], others: list[tuple[list[int], int]]
) -> None:
    items, scores, history, facts, dials, k = request
    people = [(items, scores, history)]
    people += [(np.array(own[:n], dtype=np.int64), falling(n), np.array(own[-n:])) for own, n in others]
    together = rerank_all(*map(list, zip(*people, strict=True)), facts, dials, k)  # type: ignore[arg-type]
    assert len(together) == len(people)
    for person, (shown, values) in zip(people, together, strict=True):
        alone, of_alone = rerank(*person, facts, dials, k)
        assert shown.tolist() == alone.tolist()
        assert values == pytest.approx(of_alone, abs=1e-12)


@given(requests())
def test_with_all_dials_at_zero_the_list_is_the_models(
    request: tuple[np.ndarray, np.ndarray, np.ndarray, ItemFacts, Dials, int],
) -> None:
    items, scores, history, facts, _, k = request
    shown, values = rerank(items, scores, history, facts, Dials(), k)
    assert shown.tolist() == items[:k].tolist()
    assert (np.diff(values) <= 0).all()


@pytest.mark.parametrize("settings", HALF_TURNED)
def test_what_is_the_same_for_all_candidates_leaves_the_models_order(settings: dict[str, float]) -> None:
    facts = facts_of([[1, 1]] * 20, [1994] * 20)
    for scores in (falling(20), np.ones(20, dtype=np.float32)):
        shown, _ = rerank(np.arange(20), scores, np.arange(5), facts, Dials(**settings), 10)
        assert shown.tolist() == list(range(10))


@pytest.mark.parametrize("settings", HALF_TURNED[2:])
def test_without_a_history_the_balances_say_nothing(settings: dict[str, float]) -> None:
    facts = facts_of(np.eye(3, dtype=int)[np.arange(20) % 3].tolist(), [1950 + 3 * item for item in range(20)])
    nothing = np.empty(0, dtype=np.int64)
    shown, _ = rerank(np.arange(20), falling(20), nothing, facts, Dials(**settings), 10)
    assert shown.tolist() == list(range(10))


def test_novelty_at_one_shows_the_least_known_candidates_first() -> None:
    shares = [0.9, 0.1, 0.5, 0.02, 0.3, 0.05]
    shown, _ = rerank(np.arange(6), falling(6), np.array([0]), facts_of([[1]] * 6, shares=shares), Dials(novelty=1), 4)
    assert shown.tolist() == [3, 5, 1, 4]


@pytest.mark.parametrize(("dial", "own"), [("genre_balance", 7), ("decade_balance", 7), ("genre_balance", 4)])
def test_balance_at_one_shows_the_shares_of_the_history(dial: str, own: int) -> None:
    """Candidates of two kinds, all of the first before any of the second; ten items of history."""
    first = [True] * 20 + [False] * 20 + [True] * own + [False] * (10 - own)
    genres = [[int(one), int(not one)] for one in first]
    facts = facts_of(genres, [1994 if one else 2003 for one in first])
    shown, _ = rerank(np.arange(40), falling(40), np.arange(40, 50), facts, Dials.of({dial: 1.0}), 10)
    assert (shown < 20).sum() == own


def test_diversity_at_one_shows_every_genre_before_one_comes_again() -> None:
    facts = facts_of(np.eye(4, dtype=int)[np.repeat(np.arange(4), 5)].tolist())
    shown, _ = rerank(np.arange(20), falling(20), np.array([0]), facts, Dials(diversity=1), 4)
    assert shown.tolist() == [0, 5, 10, 15]


def test_diversity_goes_over_embeddings_when_asked_to() -> None:
    facts = facts_of([[1]] * 3, embeddings=[[1, 0], [2, 0.1], [0, 1]])
    dials = Dials(diversity=1, diversity_over="embeddings")
    assert rerank(np.arange(3), falling(3), np.array([0]), facts, dials, 2)[0].tolist() == [0, 2]


def test_turning_a_dial_up_gives_more_of_what_it_is_for_on_average() -> None:
    rng = np.random.default_rng(3)
    n = 300
    genres = np.eye(6, dtype=int)[rng.integers(0, 6, n)] | (rng.random((n, 6)) < 0.1)
    facts = facts_of(genres.tolist(), rng.integers(1960, 2020, n).tolist(), rng.uniform(0.01, 0.9, n).tolist())

    def reached(dial: str, setting: float) -> float:
        total = 0.0
        draws = np.random.default_rng(4)
        for _ in range(40):
            items, history = np.split(draws.permutation(n)[:130], [100])
            shown, _ = rerank(items, falling(100), history, facts, Dials.of({dial: setting}), 10)
            if dial == "novelty":
                total += facts.information[shown].mean()
            elif dial == "diversity":
                cosine = facts.unit_genres[shown] @ facts.unit_genres[shown].T
                total -= cosine.sum()
            else:
                shares = facts.genre_shares if dial == "genre_balance" else facts.decade_shares
                total -= float(divergence(shares[history].mean(axis=0), shares[shown].mean(axis=0)))
        return total

    for dial in DIALS:
        values = [reached(dial, setting) for setting in (0, 0.25, 0.5, 0.75, 1)]
        assert all(more >= less - 1e-9 for less, more in pairwise(values)), (dial, values)
        assert values[-1] > values[0], dial


@pytest.mark.parametrize("dial", ["diversity", "genre_balance", "decade_balance"])
def test_an_item_of_which_nothing_is_known_keeps_its_place_among_typical_ones(dial: str) -> None:
    """Half of the others are what the dial wants; the unknown one, first by the model, is not pushed to either end."""
    first = [False] + [True] * 10 + [False] * 10 + [True]
    facts = facts_of(
        [[0, 0], *([int(one), int(not one)] for one in first[1:])], [0, *(1994 if one else 2003 for one in first[1:])]
    )
    dials = Dials.of({dial: 0.5})
    shown, values = rerank(np.arange(21), falling(21), np.array([21]), facts, dials, 21)
    assert shown[0] == 0 or dial != "diversity"
    assert np.flatnonzero(shown == 0)[0] < 11
    assert np.isfinite(values).all()


def test_a_dial_for_which_nothing_is_known_of_any_item_is_refused() -> None:
    facts = facts_of(np.zeros((3, 0)).tolist())
    for settings in ({"genre_balance": 0.1}, {"decade_balance": 0.1}, {"diversity": 0.1}):
        with pytest.raises(ConfigError, match="set it to 0"):
            rerank(np.arange(3), falling(3), np.array([0]), facts, Dials(**settings), 2)
    assert len(rerank(np.arange(3), falling(3), np.array([0]), facts, Dials(novelty=0.1), 2)[0]) == 2


def test_no_candidates_make_an_empty_list() -> None:
    nothing = np.empty(0, dtype=np.int64)
    for dials in (Dials(), Dials(0.5, 0.5, 0.5, 0.5)):
        facts = facts_of([[1, 0]], [1990])
        shown, values = rerank(nothing, np.empty(0, np.float32), nothing, facts, dials, 5)
        assert len(shown) == len(values) == 0


@pytest.mark.parametrize("setting", [-0.1, 1.01, math.nan, math.inf, "0.5", None, True])
@pytest.mark.parametrize("dial", DIALS)
def test_a_setting_outside_0_to_1_is_one_sentence(dial: str, setting: object) -> None:
    with pytest.raises(ConfigError, match=f"^{dial} is .*; a dial goes from 0, the model's own order, to 1$"):
        Dials.of({dial: setting})


def test_unknown_names_are_one_sentence() -> None:
    with pytest.raises(ConfigError, match="there is no dial 'volume'; choose from diversity, novelty"):
        Dials.of({"volume": 0.5})
    with pytest.raises(ConfigError, match="diversity_over is 'titles'; choose genres or embeddings"):
        Dials(diversity_over="titles")


def test_the_divergence_is_zero_for_the_persons_own_shares_and_largest_for_none_of_them() -> None:
    own = np.array([0.7, 0.3, 0.0])
    assert divergence(own, own) == pytest.approx(0, abs=1e-12)
    assert divergence(own, np.array([0.0, 0.0, 1.0])) == pytest.approx(math.log(1 / SMOOTHING))
    assert divergence(np.zeros(3), own) == 0
    shown = np.array([0.2, 0.3, 0.5])
    by_hand = 0.7 * math.log(0.7 / (0.99 * 0.2 + 0.007)) + 0.3 * math.log(0.3 / (0.99 * 0.3 + 0.003))
    assert divergence(np.stack([own, own]), np.stack([shown, own])).tolist() == pytest.approx([by_hand, 0], abs=1e-12)


def test_the_facts_are_those_of_the_catalogue() -> None:
    train = interactions_of(np.array([(0, 0), (1, 0), (1, 1)]), IdMap(np.arange(2)), IdMap(np.arange(3)))
    catalogue = Catalogue(train.matrix(), np.eye(3, dtype=np.float32), ("a", "b", "c"), np.array([1994, 0, 2003]))
    facts = ItemFacts.of(catalogue)
    assert facts.information.tolist() == [0, 1, 1], "an item that nobody has counts as one that a single user has"
    assert facts.decade_shares.tolist() == [[1, 0], [0, 0], [0, 1]]
    assert facts.embeddings is catalogue.embeddings
