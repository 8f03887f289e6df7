"""The answers at the top of a part: which model is better, is it significant, for whom, and how do I know."""

from movierec_engine.release.judging import named
from movierec_engine.reporting import conclusions, numbers
from movierec_engine.reporting.html.document import Headline
from movierec_engine.reporting.html.ranking import Ranking
from movierec_engine.reporting.html.segments import Segments, better_elsewhere, whom
from movierec_engine.store import is_refitted, measured_version


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
    text = f"{ranking.title} {numbers.score(ranking.mean(ranking.leader))} on test, 95 % interval "
    text += numbers.interval(*ranking.interval(ranking.leader))
    if above := conclusions.above_baseline(ranking.outcome):
        text += f"; {above}"
    below = conclusions.below_baseline(ranking.outcome)
    return Headline("Which model is better?", ranking.leader, f"{text}. {below}".rstrip())


def _significant(ranking: Ranking) -> Headline:
    question, found = "Is it significant?", ranking.outcome
    if not found.others:
        return Headline(question, "Nothing to compare", "One model alone cannot be better than another.")
    if not found.compared:
        return Headline(question, "Not known", "Not every model's users could be read; the leaderboard says why.")
    if not found.tied:
        return Headline(
            question, "Yes, against all", "Each of the others is significantly worse, corrected for all pairs."
        )
    return Headline(
        question,
        f"Tied with {numbers.listed(found.tied)}",
        conclusions.paired(found.verdicts[found.tied[0]], found.metric),
    )


def _whom(ranking: Ranking, segments: Segments) -> Headline:
    significant = [one for one in segments.exceptions if one.significant]
    if len(ranking.names) == 1 or not segments.segments:
        answer = "Not known"
    elif significant:
        answer = f"No single winner: loses in {len(significant)} of {len(segments.segments)} segments"
    else:
        answer = "In every segment" if not segments.exceptions else "No significant exception"
    return Headline("For whom?", answer, better_elsewhere(significant) if significant else whom(ranking, segments))


def _known(ranking: Ranking) -> Headline:
    users = numbers.counted(ranking.report(ranking.leader).counts["users_evaluated"], "user")
    if len(ranking.names) == 1:
        return Headline("How do I know?", users, "The mean over these users of the test part.")
    return Headline(
        "How do I know?",
        f"{users}, paired",
        "Every model ranked the same items for the same users; a bootstrap and Wilcoxon's test must agree, "
        f"Holm-corrected over {numbers.counted(len(ranking.verdicts), 'pair')}.",
    )


def _choice(ranking: Ranking) -> Headline:
    sentence = conclusions.validation_pick(ranking.outcome, ranking.validation)
    return Headline("Which model would validation pick?", ranking.chosen or "Not measured", sentence)


def _served(ranking: Ranking) -> Headline:
    question = "What is served now?"
    if ranking.served:
        which = "the one" if ranking.served == ranking.chosen else "not the one"
        text = f"The promoted index is of this very model, {which} that validation would pick."
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
    return Headline(question, "Nothing promoted", conclusions.NOTHING_PROMOTED)
