from dataclasses import replace

import numpy as np

from movierec_engine.data.id_map import IdMap
from movierec_engine.data.split import Split
from movierec_engine.evaluation.fingerprint import fingerprint, protocol
from worlds import interactions_of

USERS, ITEMS = IdMap(np.arange(3)), IdMap(np.arange(4))


def parts(*pairs: tuple[int, int]) -> Split:
    rows = interactions_of(np.array(pairs), USERS, ITEMS)
    return Split(*(rows.select(np.array([n])) for n in range(3)), strategy="random")


def test_the_same_content_has_the_same_fingerprint_and_another_split_another() -> None:
    first = fingerprint(parts((0, 0), (0, 1), (0, 2)))
    assert first == fingerprint(parts((0, 0), (0, 1), (0, 2)))
    assert first != fingerprint(parts((0, 0), (0, 2), (0, 1)))


def test_another_catalogue_is_another_fingerprint() -> None:
    split = parts((0, 0), (0, 1), (0, 2))
    larger = IdMap(np.arange(5))
    wider = Split(*(replace(part, items=larger) for part in split.parts()), strategy="random")
    assert fingerprint(split) != fingerprint(wider)


def test_given_candidates_are_another_protocol_and_fingerprint() -> None:
    split = parts((0, 0), (0, 1), (0, 2))
    sampled = replace(split, negatives=interactions_of(np.array([(0, 3)]), USERS, ITEMS))
    assert (protocol(split), protocol(sampled)) == ("full", "sampled_given")
    assert fingerprint(split) != fingerprint(sampled)
