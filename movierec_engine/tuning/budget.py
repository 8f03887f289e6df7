"""Searches a model's settings within a time, by successive halving over ever more of the users.

The default settings are the first trial. Others follow by TPE on a share of the users, those of models that are trained
by epochs pruned as they go (asynchronous successive halving, Li et al. 2020). The best third of them is measured on
three times as many users, and so on; the default always. The winner is the best of those measured on the most users, so
that no search ends worse than the default on validation; test is not looked at.

What is measured is kept below the artifacts: the same command goes on where a killed one stopped.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movierec_engine import pipeline
from movierec_engine.config import Settings, load_settings
from movierec_engine.data.dataset import Dataset
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.evaluation.comparison import PairedComparison, compare_paired
from movierec_engine.evaluation.metrics import less_is_better
from movierec_engine.feedback import FeedbackLogs
from movierec_engine.models.base import Recommender
from movierec_engine.models.registry import load_model
from movierec_engine.pipeline.members import find_members
from movierec_engine.pipeline.preflight import FIT, DataCounts, require_memory
from movierec_engine.pipeline.training import members_of, train_used
from movierec_engine.reporting import numbers
from movierec_engine.reporting.progress import step
from movierec_engine.store import Artifact, ArtifactStore, kinds
from movierec_engine.tuning.measure import Measurement, measure
from movierec_engine.tuning.request import Request, study_name
from movierec_engine.tuning.space import as_parameters, distributions, first_values
from movierec_engine.tuning.study import import_optuna, open_study_of_host, study_folder
from movierec_engine.tuning.users import STEP, growth, share_of, shares, words

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)

FIRST_RUNG = 3
"""Epochs after which a trial is pruned unless it is among the best third of those that came so far; then 9, 27, ..."""


@dataclass(frozen=True)
class TimedTrial:
    """A trial of a timed search: what it reached on each share of the users, or why it did not."""

    values: tuple[str, ...]
    """The searched settings, `model.l2=200`; none: the default."""
    measured: Mapping[float, Measurement] = field(default_factory=dict)
    note: str = ""
    """Why there is no more: its error, `stopped after epoch 3`, `out of time`."""


@dataclass(frozen=True)
class Tuned:
    """A search's end: all outcomes, the default first, and the winner against the default."""

    settings: Settings
    """Settings of the default."""
    fingerprint: str
    fixed: tuple[str, ...]
    outcomes: tuple[TimedTrial, ...]
    share: float
    """Share of the users that the winner was chosen on."""
    seconds: float

    @property
    def metric(self) -> str:
        return self.settings.trainer.early_stopping.metric

    @property
    def default(self) -> TimedTrial:
        return self.outcomes[0]

    @cached_property
    def winner(self) -> TimedTrial:
        """The best trial among those measured on the most users; the default if none is better."""
        sign = -1 if less_is_better(self.metric) else 1
        there = [one for one in self.outcomes if self.share in one.measured]
        return max(there, key=lambda one: sign * one.measured[self.share].value)  # the first of equals

    @cached_property
    def gain(self) -> PairedComparison:
        """The winner against the default, over the users of validation."""
        a, b = (one.measured[self.share].per_user for one in (self.winner, self.default))
        return compare_paired(a, b, less_is_better=less_is_better(self.metric))


def tune(request: Request, seconds: float) -> Tuned:
    """Search within a time budget, which includes the time of an earlier, equal search.

    Raises ConfigError for wrong settings and where nothing is held out for validation, MovierecError when not even the
    default could be measured in time.
    """
    load_settings([*request.fixed, *first_values(request.space)])
    settings = load_settings(list(request.fixed))
    store = ArtifactStore(settings.paths.artifacts)
    started = time.monotonic()
    made = pipeline.prepare(store, settings.data, feedback=FeedbackLogs(store.root, settings.feedback.url))
    stopping = settings.trainer.early_stopping
    name = f"{study_name(request, settings, made[kinds.SPLITS].fingerprint)}-timed"
    with open_study_of_host(store, name, stopping.mode, settings.seed) as study:
        spent = float(study.user_attrs.get("seconds", 0.0))
        search = _Search(request, settings, store, made, study, started - spent, seconds)
        try:
            return search.run()
        finally:
            study.set_user_attr("seconds", time.monotonic() - search.started)


class _Search:
    """One search: where its measurements are kept, and when each level of it ends."""

    def __init__(
        self,
        request: Request,
        settings: Settings,
        store: ArtifactStore,
        made: Mapping[str, Artifact],
        study: "optuna.Study",
        started: float,
        seconds: float,
    ) -> None:
        self.request, self.settings, self.study = request, settings, study
        self.started, self.seconds = started, seconds
        self.store, self.made = store, made
        self.splits = made[kinds.SPLITS]
        self.folder = study_folder(store) / study.study_name
        self.folder.mkdir(exist_ok=True)
        parts = pipeline.load_split(self.splits.verify())
        if not len(parts.validation):
            raise ConfigError(
                f"{settings.data.name} has no validation part to choose settings by; set data.val_ratio=0.1, or "
                "data.valid_file"
            )
        self.whole = Dataset(train_used(parts, settings), parts.validation_heldout())
        self.counts = DataCounts.of(self.splits, settings.data.train_size)
        # members are trained on all users, so that what is made of them is measured on all users alone
        fused = bool(find_members(store, settings, self.splits))
        self.shares = (1.0,) if fused else shares(self.whole.train.n_users)
        self.levels: dict[float, Dataset] = {}
        self.notes: dict[int, str] = {}
        optuna = import_optuna()
        study.pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=FIRST_RUNG, reduction_factor=STEP)

    @property
    def end(self) -> float:
        return self.started + self.seconds

    def data(self, share: float) -> Dataset:
        if share not in self.levels:
            self.levels[share] = share_of(self.whole, share, self.settings.data.split_seed)
        return self.levels[share]

    def run(self) -> Tuned:
        """The default, then every level of users, as far as the time goes."""
        first = self.shares[0]
        if self.default(first, self.end) is None:
            raise MovierecError(
                f"{self.settings.model_name}: the default settings alone take longer than "
                f"{numbers.duration(self.seconds)} on {words(first)}; give --minutes more"
            )
        ends = self.ends()
        self.try_out(ends[0])
        share = first
        for upper, end in zip(self.shares[1:], ends[1:], strict=False):
            if not self.confirm(share, upper, end):
                break
            share = upper
        return Tuned(self.settings, self.splits.fingerprint, self.request.fixed, self.outcomes(), share, self.spent())

    def ends(self) -> list[float]:
        """When each level that there is time for ends: equal parts, and for the last at least two fits of the default.

        A level is left out, with those above, where these would take more than half of the time.
        """
        first = self.shares[0]
        fit = self.load(0, first).seconds  # type: ignore[union-attr]
        pairs = [2 * fit * growth(self.data(first), self.data(share)) for share in self.shares]
        n = max([1, *(place + 1 for place, pair in enumerate(pairs) if place and pair <= self.seconds / 2)])
        if n < len(self.shares):
            log.info(
                "%s: a fit on %s would take about %s, so settings are chosen on %s; more --minutes confirm them",
                self.settings.model_name,
                words(self.shares[n]),
                numbers.duration(pairs[n] / 2),
                words(self.shares[n - 1]),
            )
        last = max(self.seconds / n, pairs[n - 1]) if n > 1 else self.seconds
        before = [self.started + (self.seconds - last) * (place + 1) / (n - 1) for place in range(n - 1)]
        return [*before, self.end]

    def default(self, share: float, end: float) -> Measurement | None:
        """The default on a share of the users; its place among the trials is 0.

        One that an earlier search had too little time for is measured again: others are compared with it.
        """
        kept = self.load(0, share)
        if kept and not (kept.out_of_time and end - time.monotonic() > kept.seconds):
            return kept
        return self.fit(0, (), share, end)

    def try_out(self, end: float) -> None:
        """Trials on the first share, until the time of that level is up or there are `n_trials`."""
        share, searched = self.shares[0], distributions(self.request.space)
        optuna = import_optuna()
        default = self.load(0, share)
        assert default is not None
        if not self.study.trials and (parameters := as_parameters(self.settings, searched)) is not None:
            among = {key: searched[key] for key in parameters}
            self.study.add_trial(optuna.trial.create_trial(params=parameters, distributions=among, value=default.value))
        while len(self.tried()) + 1 < self.request.n_trials and time.monotonic() + self.usual(share) < end:
            asked = self.study.ask(searched)
            values = tuple(f"{key}={value}" for key, value in asked.params.items())
            asked.set_user_attr("values", values)

            def keep(epoch: int, best: float, asked: Any = asked) -> bool:
                asked.report(best, epoch)
                return not asked.should_prune()

            made = self.fit(asked.number + 1, values, share, end, keep)
            asked.set_user_attr("note", made.note if made else self.notes.get(asked.number + 1, "out of time"))
            pruned = made is not None and made.pruned
            states = optuna.trial.TrialState
            state = states.FAIL if made is None else states.PRUNED if pruned else states.COMPLETE
            self.study.tell(asked, made.value if made and not pruned else None, state=state)
            self.study.set_user_attr("seconds", self.spent())

    def confirm(self, lower: float, upper: float, end: float) -> bool:
        """Measure the default and the best third of the lower share's trials on the upper one; False without time."""
        below = {number: found for number in self.numbers() if (found := self.load(number, lower))}
        times = growth(self.data(lower), self.data(upper))
        sign = -1 if less_is_better(self.metric) else 1
        best = sorted((n for n in below if n and not below[n].pruned), key=lambda n: -sign * below[n].value)
        best = best[: max(1, len(below) // STEP)]
        expected = {number: below[number].seconds * times for number in [0, *best[:1]]}
        missing = sum(seconds for number, seconds in expected.items() if self.load(number, upper) is None)
        if time.monotonic() + missing > self.end or self.default(upper, self.end) is None:
            return False
        for number in best:
            if self.load(number, upper) is None:
                must = number == best[0]
                if not must and time.monotonic() + below[number].seconds * times > end:
                    break
                self.fit(number, self.values(number), upper, self.end if must else end)
        return any(self.load(number, upper) for number in best)

    def fit(self, number: int, values: Sequence[str], share: float, end: float, keep: Any = None) -> Measurement | None:
        """Measure one trial and keep it; None where it failed or the time was up before it said anything."""
        model, left = self.settings.model_name, numbers.duration(max(0.0, self.end - time.monotonic()))
        log.info("%s, trial %d on %s, %s left: %s", model, number, words(share), left, " ".join(values) or "default")
        try:
            settings = load_settings([*self.request.fixed, *values])
            require_memory(FIT, settings, self.counts)  # of all users: what could not be confirmed is not tried
            with step(f"{model}, trial {number}"):
                made = measure(settings, self.data(share), end, self.members(settings), *([keep] if keep else []))
        except MovierecError as error:
            if not number:
                raise
            self.notes[number] = str(error)
            log.info("%s, trial %d: %s", model, number, error)
            return None
        if made is not None:
            made.save(self.file(number, share))
            note = f", {made.note}" if made.note else ""
            log.info("%s, trial %d: validation %s %.4f%s", model, number, self.metric, made.value, note)
        return made

    def members(self, settings: Settings) -> Mapping[str, Recommender]:
        """The trained models that the settings start from or fuse."""
        named = find_members(self.store, settings, self.splits)
        found = members_of(self.store, settings, named, self.splits, self.made[kinds.INTERACTION_GRAPH])
        return {name: load_model(member.verify().folder) for name, member in found.items()}

    @property
    def metric(self) -> str:
        return self.settings.trainer.early_stopping.metric

    def spent(self) -> float:
        return time.monotonic() - self.started

    def usual(self, share: float) -> float:
        """Seconds that a trial on a share usually takes: the median of those that there are."""
        seconds = sorted(found.seconds for number in self.numbers() if (found := self.load(number, share)))
        return seconds[len(seconds) // 2]

    def tried(self) -> list[Any]:
        """The study's trials that ended; the default is not among them."""
        return [trial for trial in self.study.trials if "note" in trial.user_attrs]

    def numbers(self) -> list[int]:
        return [0, *(trial.number + 1 for trial in self.tried())]

    def values(self, number: int) -> tuple[str, ...]:
        return tuple(self.study.trials[number - 1].user_attrs["values"]) if number else ()

    def file(self, number: int, share: float) -> Path:
        return self.folder / f"{number}-{round(1 / share)}.npz"

    def load(self, number: int, share: float) -> Measurement | None:
        file = self.file(number, share)
        return Measurement.load(file) if file.is_file() else None

    def outcomes(self) -> tuple[TimedTrial, ...]:
        found = []
        for number in self.numbers():
            measured = {share: made for share in self.shares if (made := self.load(number, share))}
            note = self.study.trials[number - 1].user_attrs.get("note", "") if number else ""
            found.append(TimedTrial(self.values(number), measured, note))
        return tuple(found)
