"""Searches the settings of one or several models within a time, and publishes what was tried."""

from collections.abc import Sequence
from dataclasses import replace

from movierec_engine.models.registry import model_class
from movierec_engine.reporting import numbers
from movierec_engine.store import ArtifactStore
from movierec_engine.tuning.budget import Tuned, tune
from movierec_engine.tuning.request import read_request
from movierec_engine.tuning.space import axes
from movierec_engine.tuning.trials import SweepTrials, Trial, publish
from movierec_engine.tuning.users import words


def nothing_to_tune(model: str) -> str:
    """A sentence for a model without settings, such as popularity; else nothing."""
    return "" if vars(model_class(model).Config()) else f"{model} has nothing to tune: it counts, and has no settings"


def search_timed(models: Sequence[str], arguments: Sequence[str], minutes: float) -> list[SweepTrials]:
    """Search each model's settings and publish its trials; the models share the time equally.

    arguments: settings that hold and `n_trials`, as of one model. What a model leaves of its share goes to those after.
    Raises ConfigError for wrong settings of any model before the first trial.
    """
    asked = [word for word in arguments if not word.startswith("model=")]
    requests = [read_request([f"model={model}", *asked], timed=True) for model in models]
    swept, left = list[SweepTrials](), 0.0
    for request in requests:
        own = 60 * minutes / len(requests) + left
        tuned = tune(request, own)
        left = own - tuned.seconds
        swept.append(replace(trials_of(tuned), space=axes(request.space)))
        store, data_set = ArtifactStore(tuned.settings.paths.artifacts), tuned.settings.data.name
        publish(store, data_set, swept[-1], [*request.fixed, f"minutes={minutes:g}"])
    return swept


def trials_of(tuned: Tuned) -> SweepTrials:
    """A search's trials, those measured on the most users first, and never compared with those on fewer."""
    settings, trials = tuned.settings, []
    for share in sorted({1.0, *(share for one in tuned.outcomes for share in one.measured)}, reverse=True):
        for outcome in tuned.outcomes:
            if made := outcome.measured.get(share):
                where = tuned.fingerprint if share == 1 else f"{tuned.fingerprint} on {words(share)}"
                trials.append(
                    Trial(
                        overrides=(*tuned.fixed, *outcome.values),
                        model=settings.model_name,
                        device=settings.device,
                        seed=settings.seed,
                        fingerprint=where,
                        seconds=made.seconds,
                        validation={tuned.metric: made.value},
                    )
                )
    failed = [one for one in tuned.outcomes if not one.measured]
    trials += [Trial((*tuned.fixed, *one.values), error=one.note or "out of time") for one in failed]
    stopping = settings.trainer.early_stopping
    return SweepTrials(tuple(trials), tuned.metric, stopping.mode, gain_of(tuned))


def gain_of(tuned: Tuned) -> str:
    """The winner against the default, in a sentence with the interval of the difference."""
    model, on = tuned.settings.model_name, f"validation {tuned.metric} over {words(tuned.share)}"
    value = numbers.score(tuned.default.measured[tuned.share].value)
    tried = numbers.counted(len(tuned.outcomes) - 1, "trial")
    if len(tuned.outcomes) == 1:
        return f"{model}: there was time for the default settings alone, whose {on} is {value}; give --minutes more"
    if tuned.winner is tuned.default:
        return f"{model}: none of {tried} is better than the default settings, whose {on} is {value}"
    gain = tuned.gain
    cut = tuned.default.measured[tuned.share].out_of_time
    return (
        f"{model}: {on} {numbers.score(tuned.winner.measured[tuned.share].value)}, the default's {value}; gain "
        f"{numbers.signed(gain.difference)} {numbers.signed_interval(gain.low, gain.high)}, the best of {tried}"
        + ("; the default was out of time and may reach more, so give --minutes more" if cut else "")
    )
