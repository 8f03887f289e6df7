"""The experiment that is running: which variant answers a user, and the lists that were shown, noted."""

import logging
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from movierec_engine.api.answers import About, Experiments, Recommendations, RecommendedMovie
from movierec_engine.api.shown_lists import NotedAnswer, note_shown
from movierec_engine.data.id_map import PublicId
from movierec_engine.data.rating_scale import least_like
from movierec_engine.feedback import FeedbackError
from movierec_engine.feedback.experiments import ExperimentConfig, Variant
from movierec_engine.feedback.summary import interleaving_duels, variant_rates
from movierec_engine.serving.index_reloader import IndexReloader
from movierec_engine.serving.live_exploration import Propensities
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.store import is_refitted, measured_version

log = logging.getLogger(__name__)


class LiveExperiment:
    """One experiment on live answers."""

    def __init__(self, config: ExperimentConfig, reloader: IndexReloader, live: LiveFeedback) -> None:
        self.config, self._reloader, self._live = config, reloader, live
        self._missing = ""

    @property
    def running(self) -> bool:
        return self.config.running

    def answer(
        self, user_id: PublicId, top_k: int, of_model: Callable[[str, bool], NotedAnswer]
    ) -> Recommendations | None:
        """A user's answer in the experiment, noted as shown; None, which is logged, without an index of a variant.

        of_model: the answer of a model, explored or not; a draft of two lists is not explored.
        """
        needed = self.config.variants if self._interleaves else (self.config.variant_of(user_id),)
        for variant in needed:
            if self._reloader.current(variant.model) is None:
                self._miss(variant.model)
                return None
        if self._interleaves:
            first, second = (of_model(variant.model, False) for variant in needed)
            answer, variant_name, teams = self._interleaved(user_id, top_k, first.answer, second.answer)
            made = NotedAnswer(answer, Propensities(), first.context)
        else:
            made = of_model(needed[0].model, True)
            variant_name, teams = needed[0].name, ()
        served = self._reloader.current(needed[0].model)
        assert served is not None
        answer = made.answer
        answer["exposure_id"] = note_shown(
            self._live,
            served.lineage.data_set,
            user_id,
            *made,
            experiment=self.config.name,
            variant=variant_name,
            teams=teams,
        )
        answer["experiment"] = self.config.name
        answer["variant"] = variant_name or None
        return answer

    def of_page(self, user_id: PublicId) -> Variant | None:
        """The variant whose model makes a user's page; None where none does: lists alone are interleaved."""
        if not self.running or self._interleaves:
            return None
        variant = self.config.variant_of(user_id)
        if self._reloader.current(variant.model) is None:
            self._miss(variant.model)
            return None
        return variant

    def summary(self, served: LoadedIndex) -> Experiments:
        """The experiment that is running, and what all on the served data set have found so far, with 95 % intervals.

        Of each running variant: what answers, and whether it was refitted on all interactions. Only what was promoted
        is, so that another variant learned from less.
        """
        self._live.flush()
        feedback = self._live.log(served.lineage.data_set)
        variants = [{**asdict(one), **self._answering(one.model)} for one in self.config.variants]
        try:
            rates = variant_rates(feedback, least_like(served.artifact.facts)).to_pylist()
            duels = interleaving_duels(feedback).to_pylist()
        except FeedbackError as error:
            log.error("experiments cannot be summed up: %s", error)
            raise
        running = {**asdict(self.config), "variants": variants} if self.running else None
        return {"running": running, "rates": rates, "duels": duels}

    @property
    def _interleaves(self) -> bool:
        return self.config.kind == "interleaving"

    def _interleaved(
        self, user_id: PublicId, top_k: int, first: Recommendations, second: Recommendations
    ) -> tuple[Recommendations, str, tuple[str, ...]]:
        """Both answers as one; each movie with the `team` that chose it. The same draft all day."""
        names = [variant.name for variant in self.config.variants]
        lists = {
            name: [movie["movie_id"] for movie in answer["recommendations"]]
            for name, answer in zip(names, (first, second), strict=True)
        }
        drafted = self.config.interleave(lists, user_id, f"{datetime.now(UTC):%Y-%m-%d}", top_k)
        movies = {
            name: {movie["movie_id"]: movie for movie in answer["recommendations"]}
            for name, answer in zip(names, (first, second), strict=True)
        }
        shown: list[RecommendedMovie] = []
        for movie_id, team in zip(drafted.movie_ids, drafted.teams, strict=True):
            owner = team or next(name for name in names if movie_id in movies[name])
            shown.append({**movies[owner][movie_id], "team": team or None})
        several: About = {
            "model": _both(first["model"], second["model"]),
            "version": _both(first["version"], second["version"]),
            "measured_version": _both(first["measured_version"], second["measured_version"]),
            "device": _both(first["device"], second["device"]),
            "fingerprint": _both(first["fingerprint"], second["fingerprint"]),
        }
        ended: Any = {"next": None} if "next" in first else {}  # a draft is for one page
        return {**first, **several, **ended, "recommendations": shown}, "", drafted.teams

    def _answering(self, model: str) -> dict[str, Any]:
        served = self._reloader.current(model)
        if served is None:
            return {"version": None, "measured_version": None, "refitted": None}
        index = served.artifact
        return {"version": index.version, "measured_version": measured_version(index), "refitted": is_refitted(index)}

    def _miss(self, model: str) -> None:
        if model != self._missing:
            self._missing = model
            log.error("experiment %s waits: there is no index of %s yet", self.config.name, model)


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first}+{second}"
