"""The feedback logs beside the artifacts: what a person has said since the model was trained, at once."""

import logging
from collections.abc import Sequence

from movierec_engine.api.metrics import Metrics
from movierec_engine.feedback import Exposure, FeedbackError, FeedbackEvent, FeedbackLog, Recorded, UserState, log_file
from movierec_engine.store import ArtifactStore

log = logging.getLogger(__name__)

NOTHING_SAID = UserState()


class LiveFeedback:
    """One log for each data set, of the store whose indices are served."""

    def __init__(self, store: ArtifactStore, metrics: Metrics) -> None:
        self._root, self._metrics = store.root, metrics
        self._logs: dict[str, FeedbackLog] = {}

    def log(self, data_set: str) -> FeedbackLog:
        known = self._logs.get(data_set)
        if known is None:
            known = self._logs[data_set] = FeedbackLog(log_file(self._root, data_set))
        return known

    def state(self, data_set: str, user_id: int) -> UserState:
        """What a user's feedback says now. Where nobody has said anything yet that costs one look at a folder."""
        feedback = self.log(data_set)
        return feedback.state(user_id) if feedback.path.exists() else NOTHING_SAID

    def record(self, data_set: str, events: Sequence[FeedbackEvent]) -> list[Recorded]:
        """Append events, durable before this returns, and count them."""
        try:
            recorded = self.log(data_set).record(events)
        except FeedbackError:
            self._metrics.count("movierec_feedback_refused_total", len(events))
            raise
        for event, made in zip(events, recorded, strict=True):
            self._metrics.count("movierec_feedback_events_total", kind=event.kind, status=made.status)
        return recorded

    def expose(self, data_set: str, shown: Exposure) -> None:
        """Note a list that is shown. What cannot be noted is logged: no answer fails for it."""
        try:
            self.log(data_set).expose([shown])
        except FeedbackError as error:
            log.error("a list of %s was shown and not noted: %s", shown.experiment, error)
        else:
            self._metrics.count("movierec_exposures_total", experiment=shown.experiment)
