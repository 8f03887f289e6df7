"""Ranking protocols: relevant items against the whole catalogue, or against a sample, which raises every metric.

Sampled metrics are not only higher, they can order models differently (Krichene and Rendle 2020). They are there to be
compared with published numbers, are always named `sampled...`, have fingerprints of their own, and are never ranked
beside full ranking.
"""

import re
from dataclasses import dataclass, replace

import numpy as np

from movierec_engine.data.heldout import HeldOut
from movierec_engine.data.negatives import sample_candidates
from movierec_engine.errors import ConfigError

FULL = "full"
GIVEN = "sampled_given"
SYNTAX = "full, given, uniform:N[:SEED] or popularity:N[:SEED]"

_SAMPLED = re.compile(r"(uniform|popularity):([0-9]{1,7})(?::([0-9]{1,9}))?")


@dataclass(frozen=True)
class Protocol:
    """A ranking protocol of a held-out part.

    kind: `full`; `given`, against the candidates that came with the data; `uniform` or `popularity`, against
    `negatives` items drawn for each user with `seed`, uniformly or in proportion to train interactions, from those
    neither seen nor relevant. With one relevant item a user that is the 1 + N protocol; several are ranked together.
    """

    kind: str
    negatives: int = 0
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> "Protocol":
        """`full`, `given`, `uniform:100`, `popularity:100:7`. Raises ConfigError for anything else."""
        if text in ("full", "given"):
            return cls(text)
        match = _SAMPLED.fullmatch(text)
        if not match or not int(match[2]):
            raise ConfigError(f"protocol {text!r} is not known; choose {SYNTAX}")
        return cls(match[1], int(match[2]), int(match[3] or 0))

    @classmethod
    def named(cls, name: str) -> "Protocol":
        """The protocol with this `name`."""
        if name in (FULL, GIVEN):
            return cls(name.removeprefix("sampled_"))
        _, kind, count, _, seed = name.split("_")
        return cls(kind, int(count), int(seed))

    @property
    def name(self) -> str:
        """`full`, or a name that begins with `sampled`; it is a part of the fingerprint."""
        if self.kind == "full":
            return FULL
        if self.kind == "given":
            return GIVEN
        return f"sampled_{self.kind}_{self.negatives}_seed_{self.seed}"

    def of(self, heldout: HeldOut) -> HeldOut:
        """The held-out part under this protocol. Raises ConfigError for given candidates where there are none."""
        if self.kind == "full":
            return replace(heldout, candidates=None, protocol=self.name)
        if self.kind == "given":
            if heldout.protocol != GIVEN:
                raise ConfigError("the data came without candidates (data.negatives_file); choose full or uniform:N")
            return heldout
        excluded = (heldout.seen + heldout.interactions.matrix()).tocsr()
        popularity = heldout.catalogue.popularity
        weights = popularity if self.kind == "popularity" else np.ones(len(popularity))
        candidates = sample_candidates(excluded, weights.astype(np.float64), self.negatives, self.seed)
        return replace(heldout, candidates=candidates, protocol=self.name)


def described(protocol: str) -> str:
    """A protocol's name in words: `full ranking`, or `sampled ranking against ...`."""
    if protocol == FULL:
        return "full ranking"
    if protocol == GIVEN:
        return "sampled ranking against given candidates"
    _, kind, count, _, seed = [*protocol.split("_"), "", "", "", ""][:5]
    return f"sampled ranking against {count} {kind} negatives (seed {seed})"
