"""Rules by scenario: what holds, who changed it, dry runs, publishing and rolling back."""

import json
from collections.abc import Callable
from typing import TypeVar

from movierec_engine.api.answers import RulesTrial, ScenarioRules
from movierec_engine.api.error_codes import STORE_UNAVAILABLE
from movierec_engine.api.errors import ApiError
from movierec_engine.api.model_service import ModelService
from movierec_engine.api.requests import PersonalRequest, PublishRulesRequest, RollBackRulesRequest, TryRulesRequest
from movierec_engine.api.rules_trial import try_rules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.recommending.rules.errors import RuleError, RulesMovedError
from movierec_engine.recommending.rules.versions import NONE, publish_rules, roll_back_rules, rules_history
from movierec_engine.serving.live_feedback import LiveFeedback
from movierec_engine.serving.live_rules import LiveRules
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import of_user

T = TypeVar("T")
MOST_VERSIONS = 50
"""Versions of the history that are shown."""


class RulesService:
    def __init__(self, service: ModelService, live: LiveFeedback, rules: LiveRules) -> None:
        self._service, self._live, self._rules, self._store = service, live, rules, rules.store

    def rules(self, scenario: str) -> ScenarioRules:
        """The rules of a scenario, and the versions that have held."""
        history = rules_history(self._store, self._served().lineage.data_set, scenario)
        return {
            "scenario": scenario,
            "version": history[0].version if history else NONE,
            "rules": json.loads(history[0].document().text)["rules"] if history else [],
            "history": [
                {"version": one.version, "at": one.at, "by": one.by, "note": one.note, "action": one.action}
                for one in history[:MOST_VERSIONS]
            ],
        }

    def dry_run(self, request: TryRulesRequest) -> RulesTrial:
        """The effect of rules on the lists of some users. Raises ApiError 422 for invalid rules."""
        served = self._served()
        asked = PersonalRequest(top_k=request.top_k, scenario=request.scenario, region=request.region)
        users = request.user_ids or tuple(served.index.users.ids[: request.users].tolist())
        data_set = served.lineage.data_set
        people = [(one, of_user(served, one, self._live.state(data_set, one))) for one in users]
        holding = self._rules.active(served, request.scenario, request.region)

        def tried() -> RulesTrial:
            return try_rules(served, people, RuleDocument.of({"rules": request.rules}), asked, holding)

        return _answered(tried)

    def publish(self, request: PublishRulesRequest) -> ScenarioRules:
        """Let rules hold from now on.

        Raises ApiError 422 for rules that are not sound or do not fit, 409 where others were published meanwhile.
        """
        served = self._served()
        data_set = served.lineage.data_set

        def published() -> None:
            document = RuleDocument.of({"rules": request.rules})
            self._rules.fitted(served, document)
            publish_rules(
                self._store,
                data_set,
                request.scenario,
                document,
                by=request.by,
                note=request.note,
                based_on=request.based_on,
            )

        _answered(published)
        self._rules.look(data_set)
        return self.rules(request.scenario)

    def roll_back(self, request: RollBackRulesRequest) -> ScenarioRules:
        """Let the rules of an earlier version hold again. Raises ApiError 422 where no such version has held."""
        data_set = self._served().lineage.data_set
        _answered(
            lambda: roll_back_rules(
                self._store, data_set, request.scenario, request.to, by=request.by, note=request.note
            ),
            "to",
        )
        self._rules.look(data_set)
        return self.rules(request.scenario)

    def _served(self) -> LoadedIndex:
        return self._service.served()


def _answered(act: Callable[[], T], parameter: str = "rules") -> T:
    """The result of `act`, its errors raised as ApiErrors. parameter: the one at fault where the rules are invalid."""
    try:
        return act()
    except RulesMovedError as error:
        raise ApiError(409, str(error), "based_on") from error
    except RuleError as error:
        raise ApiError(422, str(error), parameter) from error
    except OSError as error:
        said = "the rules could not be written; nothing has changed, and the log says why"
        raise ApiError(503, said, code=STORE_UNAVAILABLE) from error
