"""The conclusion of a part: which model is better, is it significant, for whom, and how do I know."""

from movierec_engine.release.promotion import named
from movierec_engine.reporting.html import words
from movierec_engine.reporting.html.document import Headline
from movierec_engine.reporting.html.ranking import Ranking
from movierec_engine.reporting.html.segment_values import Segments
from movierec_engine.reporting.html.segments import better_elsewhere, whom
from movierec_engine.store import is_refitted, measured_version


def headline(ranking: Ranking) -> str:
    """The conclusion in one sentence."""
    leader, among = ranking.leader, ranking.among_best
    value = f"{ranking.title} {words.score(ranking.mean(leader))}"
    if len(ranking.names) == 1:
        return f"{leader} is the only model measured here, with {value} on test."
    if not ranking.compared:
        return f"{leader} has the highest mean, {value} on test, but it cannot be said whether that is significant."
    field = words.count(len(ranking.names))
    if not among:
        return f"{leader} is the best of {field} models, with {value} on test, significantly ahead of every other."
    if len(among) == len(ranking.names) - 1 > 1:
        return (
            f"{leader} has the highest mean, {value} on test, but none of the {field} models is significantly better."
        )
    verb = "is" if len(among) == 1 else "are"
    return (
        f"{leader} leads {field} models with {value} on test, but {words.listed(among)} {verb} not significantly worse."
    )


def answers(ranking: Ranking, segments: Segments) -> tuple[Headline, ...]:
    """The reader's questions, answered."""
    return (
        _better(ranking),
        _significant(ranking),
        _whom(ranking, segments),
        _known(ranking),
        _choice(ranking),
        _served(ranking),
    )


def _better(ranking: Ranking) -> Headline:
    low, high = ranking.interval(ranking.leader)
    text = f"{ranking.title} {words.score(ranking.mean(ranking.leader))} on test, 95 % interval {words.span(low, high)}"
    floor = next((name for name in ranking.names if ranking.report(name).model == "popularity"), "")
    if floor and floor != ranking.leader and ranking.mean(floor) > 0:
        text += f"; {ranking.mean(ranking.leader) / ranking.mean(floor):.1f} times popularity"
    return Headline("Which model is better?", ranking.leader, f"{text}.")


def _significant(ranking: Ranking) -> Headline:
    question = "Is it significant?"
    if len(ranking.names) == 1:
        return Headline(question, "Nothing to compare", "One model alone cannot be better than another.")
    if not ranking.compared:
        return Headline(question, "Cannot be told", "Not every model's users could be read; the leaderboard says why.")
    if not ranking.among_best:
        return Headline(
            question, "Yes, against all", "Each of the others is significantly worse, corrected for all pairs."
        )
    one = ranking.against_leader(ranking.among_best[0])
    assert one is not None
    paired = one.comparison
    return Headline(
        question,
        f"Not against {words.listed(ranking.among_best)}",
        f"{ranking.leader} minus {one.worse}: {words.signed(paired.difference)}, 95 % interval "
        f"{words.signed(paired.low)} to {words.signed(paired.high)}.",
    )


def _whom(ranking: Ranking, segments: Segments) -> Headline:
    significant = [one for one in segments.exceptions if one.significant]
    if len(ranking.names) == 1 or not segments.segments:
        answer = "Not known"
    elif significant:
        answer = f"Beaten for {len(significant)} of {len(segments.segments)} kinds"
    else:
        answer = "For every kind" if not segments.exceptions else "No clear exception"
    return Headline("For whom?", answer, better_elsewhere(significant) if significant else whom(ranking, segments))


def _known(ranking: Ranking) -> Headline:
    users = words.counted(ranking.report(ranking.leader).counts["users_evaluated"], "user")
    if len(ranking.names) == 1:
        return Headline("How do I know?", users, "The mean over these users of the test part.")
    return Headline(
        "How do I know?",
        f"{users}, paired",
        "Every model ranked the same items for the same users; a bootstrap and Wilcoxon's test must agree, "
        f"Holm-corrected over {words.counted(len(ranking.verdicts), 'pair')}.",
    )


def _choice(ranking: Ranking) -> Headline:
    question, chosen = "What would validation choose?", ranking.chosen
    if not chosen:
        return Headline(question, "Not measured", f"These reports have no {ranking.title} on validation.")
    value = ranking.report(chosen).validation_metrics[ranking.metric]
    text = f"{ranking.title} {words.score(value)} on validation. Models are chosen there; test is only reported"
    if chosen == ranking.leader:
        text += ", and agrees" if len(ranking.names) > 1 else ""
    elif chosen in ranking.among_best:
        text += f", where {chosen} is not significantly worse than {ranking.leader}"
    elif ranking.against_leader(chosen):
        text += f", where {chosen} is significantly worse than {ranking.leader}"
    return Headline(question, chosen, f"{text}.")


def _served(ranking: Ranking) -> Headline:
    question = "What is served now?"
    if ranking.served:
        which = "the one" if ranking.served == ranking.chosen else "not the one"
        text = f"The promoted index is of this very model, {which} that validation would choose."
        if ranking.promoted and is_refitted(ranking.promoted):
            text += (
                f" What answers, {ranking.promoted.version}, was refitted on all interactions with its settings; "
                f"the numbers are those of {measured_version(ranking.promoted)}, which was measured before."
            )
        return Headline(question, ranking.served, text)
    if ranking.promoted:
        return Headline(
            question,
            named(ranking.promoted.reference),
            "A trained version that is not among the reports of this part.",
        )
    return Headline(question, "Nothing promoted", "The API answers from the newest index until one is promoted.")
