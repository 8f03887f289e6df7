"""A dry run of rules: what a document would do to lists at this moment, before anybody publishes it."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from movierec_engine.api.answers import RulesTrial, TriedList
from movierec_engine.api.requests import PersonalRequest
from movierec_engine.data.id_map import PublicId
from movierec_engine.recommending.rules.active import ActiveRules
from movierec_engine.recommending.rules.compiled import CompiledRules
from movierec_engine.recommending.rules.document import RuleDocument
from movierec_engine.serving.list_making import list_for
from movierec_engine.serving.loaded_index import LoadedIndex
from movierec_engine.serving.person import Person

SHOWN = 5
"""Lists that are shown before and after."""


def try_rules(
    served: LoadedIndex,
    people: Sequence[tuple[PublicId, Person]],
    document: RuleDocument,
    request: PersonalRequest,
    holding: ActiveRules | None,
) -> RulesTrial:
    """The effect of a rule document on the lists of some people. holding: the rules in force now.

    Raises RuleError for a document that does not fit the catalogue.
    """
    now = datetime.now(UTC)
    fitted = CompiledRules(document, served.catalogue.columns, served.catalogue.n_items)
    findings = fitted.check(now)
    tried, movies, options = fitted.at(now, request.region), served.catalogue.movies, request.options
    differing: list[TriedList] = []
    changed, unmet = 0, Counter[str]()
    for user_id, person in people:
        before = list_for(served, person, options, None, holding)
        after = list_for(served, person, options, None, tried)
        unmet.update({one.rule for one in after.unmet})
        if before.items != after.items:
            changed += 1
            if len(differing) < SHOWN:
                differing.append(
                    {
                        "user_id": user_id,
                        "before": [movies[item] for item in before.items],
                        "after": [movies[item] for item in after.items],
                        "unmet_rules": [{"rule": one.rule, "why": one.why} for one in after.unmet],
                    }
                )
    return {
        "scenario": request.scenario,
        "findings": findings,
        "movies": fitted.counts(now),
        "users": len(people),
        "changed": changed,
        "unmet": dict(unmet),
        "lists": differing,
    }
