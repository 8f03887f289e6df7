"""Explore: what each model recommends to a person, and why; movies like one; and a map of the catalogue."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell, state, tables, wording
from dashboard.downloads import csv_button
from dashboard.plots import explore as plots
from dashboard.queries import data, indices, leaderboard, movie_map, report_lists, reports, store_files
from dashboard.queries.indices import IndexVersion, Rated, Reason, RecommendedList, SearchableIndex
from dashboard.queries.movie_map import MovieMap
from dashboard.queries.store_files import Signature
from dashboard.views import explored_movies
from dashboard.wording import say
from movierec_engine.data.id_map import PublicId
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.evaluation.protocols import FULL
from movierec_engine.recommending.dials import CANDIDATES, DIALS, DIVERSITY_OVER, Dials
from movierec_engine.reporting import numbers, words
from movierec_engine.reporting.comparable import EvaluationSetup
from movierec_engine.store import kinds

KINDS = (kinds.FAISS_INDEX, kinds.EVALUATION_REPORT)
AT_ONCE = 3
"""Models whose lists stand side by side."""
EXPLAINED = 3
"""Places of each list that are explained without being asked."""
FOUND = 8
"""Movies that a search offers."""
USER, NEW_USER = "user", "history"
_NOTES = {
    "personal": "",
    "fold-in": "folded in: the model was not trained with this person",
    "popularity": "the most popular",
}


def page() -> None:
    root = store_files.store_root()
    seen = store_files.signature(root, *KINDS)
    shell.watch(lambda: store_files.signature(root, *KINDS), seen)
    st.title("Explore")
    versions, setups = _versions(str(root), seen)
    if not versions:
        shell.empty(
            "No index to ask yet",
            "Training a model builds an index of it, which answers here as it does in the API.",
            "movierec train model=ease\n# or everything\nmovierec demo",
            root,
        )
        return
    chosen = _choose(versions, setups)
    loaded = _loaded(chosen)
    if not loaded:
        shell.notes(["None of the chosen indices can be read; train these models again."])
        return
    k = int(st.session_state["places"])
    version, first = next(iter(loaded.values()))
    wording.speak_of(version.nouns, first.index.facts.rating_scale.likes_only)
    person = _person(first, version)
    dials = _dials(first)
    answers = _answers(loaded, person, k, dials)
    _lists(loaded, answers, person)
    _score(loaded, answers, person)
    explored_movies.show_map(loaded, answers, person.known, _layout(version.folder))
    explored_movies.show_movie(loaded, k, _reason_of_user, _set)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _versions(root: str, seen: Signature) -> tuple[list[IndexVersion], list[EvaluationSetup]]:
    """Versions in the leaderboard's order, a measured one before the same refitted, and the set-ups in its order."""
    snapshot = reports.load(Path(root))
    trained = dict(
        zip(*(snapshot.reports.column(name).to_pylist() for name in ("id", kinds.TRAINED_MODEL)), strict=True)
    )
    groups = leaderboard.groups(snapshot)
    ranked = [one for group in groups for one in leaderboard.standings(snapshot, group, "ndcg", 10)]
    places: dict[str, tuple[int, str]] = {}
    for place, one in enumerate(ranked):
        places.setdefault(trained[one.id], (place, one.folder))
    last = (len(ranked), "")
    found = [replace(one, report=places.get(one.trained_model, last)[1]) for one in indices.index_versions(Path(root))]
    ordered = sorted(found, key=lambda one: (places.get(one.trained_model, last)[0], one.refitted))
    setups = {(group.data, group.fingerprint): group for group in reversed(groups)}
    known = [setups.get((one.data, one.fingerprint)) or _unmeasured(one) for one in ordered]
    return ordered, list(dict.fromkeys(known))


def _unmeasured(version: IndexVersion) -> EvaluationSetup:
    """The set-up of an index whose model has no report."""
    return EvaluationSetup(version.data, FULL, version.fingerprint)


@st.cache_resource(show_spinner="Loading an index", max_entries=6)
def _load(folder: str) -> SearchableIndex:
    return indices.load(store_files.store_root(), Path(folder))


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _rated(split: str, user_id: PublicId) -> list[Rated]:
    return indices.rated_by(split, user_id)


@st.cache_data(show_spinner=False, max_entries=16, ttl=600)
def _has_times(split: str) -> bool:
    return bool(split) and data.has_times(Path(split))


@st.cache_data(show_spinner=False, max_entries=2_000, ttl=600)
def _why(
    folder: str,
    user_id: PublicId | None,
    movie_id: PublicId,
    ratings: dict[PublicId, float | None],
) -> Reason:
    return indices.why(_load(folder), user_id, movie_id, ratings)


@st.cache_data(show_spinner=False, max_entries=8, ttl=600)
def _examples(folder: str, report: str) -> dict[str, PublicId]:
    """Users to begin with, a typical one of those with a hit among the first ten."""
    return indices.examples(_load(folder), report_lists.users_hit(Path(report), 10) if report else ())


def _reason_of_user(version: IndexVersion, user_id: PublicId, movie_id: PublicId) -> Reason:
    return _why(version.folder, user_id, movie_id, {**_load(version.folder).rated_by(user_id)})


@st.cache_resource(show_spinner="Laying out the map", max_entries=4)
def _layout(folder: str) -> MovieMap | None:
    return movie_map.movie_map(_load(folder))


Loaded = dict[str, tuple[IndexVersion, SearchableIndex]]
"""Label -> the index, loaded."""


class _Person:
    """The person whom the lists are for: a user by id, or somebody who has named movies."""

    def __init__(self, user_id: PublicId | None, rated: Sequence[Rated]) -> None:
        self.user_id = user_id
        self.known = [one for one in rated if one.part != "test"]
        self.ratings = {one.movie_id: one.rating for one in self.known}

    def held_out(self, version: IndexVersion) -> set[PublicId]:
        """The movies that the split of an index keeps for the test; none where the index knows them."""
        if self.user_id is None or not version.split or version.refitted:
            return set()
        return {one.movie_id for one in _rated(version.split, self.user_id) if one.part == "test"}

    def known_in(self, version: IndexVersion) -> list[PublicId] | None:
        """Movies not in a measured list: all but the test part; None for a refitted index, which leaves out all."""
        if self.user_id is None or not version.split or version.refitted:
            return None
        rated = _rated(version.split, self.user_id)
        return [one.movie_id for one in rated if one.part != "test"] if rated else None

    @property
    def name(self) -> str:
        return "this new user" if self.user_id is None else f"user {self.user_id}"


def _choose(versions: list[IndexVersion], setups: list[EvaluationSetup]) -> dict[str, IndexVersion]:
    """The models whose lists are shown, all of one evaluation set-up."""
    by_id = {setup.id: setup for setup in setups}
    several = len({setup.data for setup in setups}) > 1
    columns = st.columns([2.2, 2.4, 0.6, 1.1])
    with columns[0]:
        setup = by_id[
            state.choose(
                "Evaluation set-up",
                "group",
                list(by_id),
                lambda key: f"{by_id[key].data} · {by_id[key].name}" if several else by_id[key].name,
                explanation="Models of one split alone stand beside each other: another one has another test part",
            )
        ]
    own = [one for one in versions if (one.data, one.fingerprint) == (setup.data, setup.fingerprint)]
    wording.speak_of(own[0].nouns)
    labels = {f"{name}, refitted" if one.refitted else name: one for name, one in zip(_names(own), own, strict=True)}
    usual = [label for label, one in labels.items() if not one.refitted] or list(labels)
    with columns[1]:
        shown = state.choose_many(
            "Models", "explored", list(labels), usual[:2], explanation=f"At most {AT_ONCE} side by side"
        )
    with columns[2]:
        state.choose("Places", "places", ["5", "10", "20"], default="10")
    with columns[3]:
        who = {USER: "A user", NEW_USER: say("A new user, from movies")}
        state.choose("Lists for", "who", list(who), lambda kind: who[kind])
    if len(shown) > AT_ONCE:
        st.caption(f"The first {AT_ONCE} of the chosen models are shown.")
    return {label: labels[label] for label in shown[:AT_ONCE]}


def _names(versions: list[IndexVersion]) -> list[str]:
    devices = {model: {one.device for one in versions if one.model == model} for model in {v.model for v in versions}}
    return [one.model if len(devices[one.model]) == 1 else f"{one.model} ({one.device})" for one in versions]


def _loaded(chosen: Mapping[str, IndexVersion]) -> Loaded:
    found: Loaded = {}
    for label, version in chosen.items():
        try:
            found[label] = version, _load(version.folder)
        except StoreError as error:
            shell.notes([f"{version.id}: {error}; run `movierec train model={version.model}`."])
    return found


def _person(found: SearchableIndex, version: IndexVersion) -> _Person:
    return _new_user(found) if st.session_state["who"] == NEW_USER else _user(found, version)


def _user(found: SearchableIndex, version: IndexVersion) -> _Person:
    usual = _examples(version.folder, version.report)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = state.write("User id", "user", str(usual.get("Typical", found.index.users.ids[0])), width=260)
        for name, user_id in usual.items():
            st.button(say(name), on_click=_set, args=("user", str(user_id)), help=f"User {shell.plain(user_id)}")
        st.button("Random", on_click=_random_user, args=(found,))
    typed = found.written(found.index.users, text)
    user_id = usual.get("Typical", found.index.users.ids[0].item()) if typed is None else typed
    if typed is None or not found.knows(typed):
        ids = found.index.users.ids
        st.warning(
            f"There is no user {shell.plain(text) or 'without an id'} in this data set; {len(ids):,} users have ids "
            f"from {shell.plain(ids[0])} to {shell.plain(ids[-1])}. A typical one is shown."
        )
        user_id = usual.get("Typical", ids[0].item())
    if not found.trained_with(user_id):
        return _Person(user_id, [Rated(movie, rating, "raw") for movie, rating in found.rated_by(user_id).items()])
    return _Person(user_id, _rated(version.split, user_id) if version.split else [])


def _new_user(found: SearchableIndex) -> _Person:
    texts = found.index.items.are_texts
    given = indices.parsed_history(state.given("told"), texts)
    told = {movie: rating for movie, rating in given.items() if found.item(movie) is not None}
    if lost := indices.unread_history(state.given("told"), texts, told):
        state.refuse("told", ",".join(lost))
    columns = st.columns([2, 0.7, 3.3], vertical_alignment="bottom")
    with columns[0]:
        text = state.write(say("Find a movie"), "find", placeholder=explored_movies.example(found))
    scale = found.index.facts.rating_scale
    rating: float | None = None
    if not scale.likes_only:
        with columns[1]:
            rating = float(state.choose("rated", "rated", [f"{one:g}" for one in scale.offered()]))
    st.session_state["their movies"] = list(told)
    kept = columns[2].multiselect(
        say("Their movies"),
        list(told),
        key="their movies",
        format_func=lambda movie: _told_title(found.title(movie), told[movie]),
        placeholder="None yet: add some below",
        on_change=_keep_told,
        args=(texts,),
    )
    offered = [movie for movie in found.find(text, FOUND + len(told)) if movie not in told][:FOUND]
    if text and not offered:
        st.caption(f"{say('No movie')} is called anything like {shell.plain(text)}.")
    boxes = st.columns(4)
    for place, movie in enumerate(offered):
        name = found.title(movie)
        boxes[place % 4].button(
            f"＋ {shell.plain(name)}", key=f"add {movie}", on_click=_tell, args=(movie, rating, texts), width="stretch"
        )
    state.put("told", indices.written_history(told))
    return _Person(None, [Rated(movie, told[movie], "told") for movie in kept])


def _told_title(title: str, rating: float | None) -> str:
    return title if rating is None else f"{title} · {rating:g}"


def _set(name: str, value: str) -> None:
    st.session_state[name] = value


def _random_user(found: SearchableIndex) -> None:
    ids = found.index.users.ids
    _set("user", str(ids[random.randrange(len(ids))]))


def _tell(movie: PublicId, rating: float | None, texts: bool) -> None:
    told = indices.parsed_history(state.given("told"), texts)
    state.put("told", indices.written_history({**told, movie: rating}))


def _keep_told(texts: bool) -> None:
    kept = st.session_state["their movies"]
    told = indices.parsed_history(state.given("told"), texts)
    state.put("told", indices.written_history({movie: told[movie] for movie in told if movie in kept}))


def _dials(found: SearchableIndex) -> Dials:
    """The sliders; those that need what is not known of the movies stay away."""
    facts = found.index.item_facts
    turned = any(state.given(f"dial_{name}") for name in DIALS)
    with st.expander("Taste dials: turn the lists away from the model's own order", expanded=turned):
        columns = st.columns(len(DIALS) + 1)
        settings: dict[str, Any] = {}
        for column, name in zip(columns, DIALS, strict=False):
            with column:
                settings[name] = state.slide(words.sentence(words.dial(name)), f"dial_{name}", say(_DIAL_HELP[name]))
        with columns[-1]:
            settings["diversity_over"] = state.choose("Diversity over", "over", DIVERSITY_OVER)
        dials = Dials(**settings)
        if lacking := facts.lacking(dials):
            names = numbers.listed([words.dial(name) for name in lacking])
            st.caption(f"Nothing is known here that {names} needs, so it stays off.")
            dials = Dials(**{**settings, **dict.fromkeys(lacking, 0.0)})
        st.caption(f"Re-ranks the model's best {CANDIDATES}. What it costs is on the page Segments and fairness.")
    return dials


_DIAL_HELP = {
    "diversity": "Away from movies that are like one that stands in the list already",
    "novelty": "Towards movies that few people know",
    "decade_balance": "Towards the decades of the person's own movies",
    "genre_balance": "Towards the genres of the person's own movies",
}


def _answers(loaded: Loaded, person: _Person, k: int, dials: Dials) -> dict[str, RecommendedList]:
    answers = {}
    for label, (version, found) in loaded.items():
        try:
            if person.user_id is None:
                answers[label] = indices.for_history(found, person.ratings, k, dials)
            elif found.knows(person.user_id):
                answers[label] = indices.for_user(found, person.user_id, k, dials, person.known_in(version))
            else:
                shell.notes([f"{label} was not trained with {person.name}; its index is of another split."])
        except ConfigError as error:
            shell.notes([f"{label}: {error}."])
    return answers


def _lists(loaded: Loaded, answers: Mapping[str, RecommendedList], person: _Person) -> None:
    head, toggle = st.columns([3, 1], vertical_alignment="bottom")
    head.header(f"What {shell.plain(person.name)} gets, and why")
    with toggle:
        everything = state.switch(say("Explain every movie"), "explained", explanation="Some models take a second")
    columns = st.columns([1.15, *[1.5] * max(len(answers), 1)], gap="medium")
    with columns[0]:
        _history(*next(iter(loaded.values())), person)
    common = indices.in_every(list(answers.values())) if len(answers) > 1 else set()
    rows = []
    for column, (label, answer) in zip(columns[1:], answers.items(), strict=False):
        version, found = loaded[label]
        with column:
            held_out = person.held_out(version) if answer.source == "personal" else set()
            hits = sum(one.movie_id in held_out for one in answer.movies)
            served = " · served now" if version.served else ""
            st.markdown(f"**{shell.plain(label)}**{served}")
            notes = [note] if (note := _note(answer, found)) else []
            if held_out:
                notes.append(f"{hits} of {len(answer.movies)} are in the user's test part")
            if version.refitted:
                notes.append("refitted on all interactions, so that it knows the test part and cannot hit it")
            elif version.served and held_out:
                notes.append("as measured; the API leaves out the test part, too")
            if notes:
                st.caption(". ".join(note[:1].upper() + note[1:] for note in notes) + ".")
            lines = []
            for one in answer.movies:
                marks = " :green[✓]" if one.movie_id in held_out else ""
                marks += " :gray[◆]" if one.movie_id in common else ""
                line = f"{one.rank}\\. **{shell.plain(one.title)}**{marks} :gray[{one.score:#.4g}]"
                sentence = ""
                if everything or one.rank <= EXPLAINED:
                    sentence = _reason(version, person, one.movie_id).sentence
                    line += f"  \n:small[{shell.plain(sentence)}]"
                lines.append(line)
                rows.append(
                    {
                        "model": label,
                        "rank": one.rank,
                        "movie_id": one.movie_id,
                        "title": one.title,
                        "score": one.score,
                        "source": answer.source,
                        "in_test": one.movie_id in held_out,
                        "reason": sentence,
                    }
                )
            st.markdown("\n\n".join(lines))
    legend = "Grey numbers: each model's own scores, which are on scales of their own."
    if any(row["in_test"] for row in rows):
        legend += " ✓: in the user's test part."
    if common:
        legend += f" ◆: in every list here ({say(numbers.counted(len(common), 'movie'))})."
    if not everything:
        legend += f" The first {EXPLAINED} of each list are explained."
    left, right = st.columns([6, 1], vertical_alignment="center")
    left.caption(legend)
    if rows:
        with right:
            csv_button(rows, "lists", "Lists (CSV)")
    if len(answers) > 1 and common:
        places = plots.place_rows(rows)
        charts.draw(plots.joined(places, list(answers), person.name), places, "joined-lists")


def _note(answer: RecommendedList, found: SearchableIndex) -> str:
    """Note on a list's source, where it is not the usual one."""
    if answer.source != "popularity":
        return _NOTES.get(answer.source, answer.source)
    enough = found.index.fold_in_min_items
    if enough is None:
        return f"{_NOTES['popularity']}: no number of {say('movies')} makes this model's own lists better for new users"
    least = say(numbers.counted(max(enough, 1), "movie"))
    return f"{_NOTES['popularity']}: this model needs {least} for lists of its own"


def _reason(version: IndexVersion, person: _Person, movie_id: PublicId) -> Reason:
    return _why(version.folder, person.user_id, movie_id, person.ratings)


def _history(version: IndexVersion, found: SearchableIndex, person: _Person) -> None:
    st.markdown(f"**{say(numbers.counted(len(person.known), 'movie'))} known**")
    if not person.known:
        text = (
            say("Nothing is known yet, so everybody gets the most popular movies.")
            if person.user_id is None
            else say("What this user has rated cannot be read.")
        )
        st.caption(text)
        return
    if person.user_id is not None:
        order = "Newest first; the" if _has_times(version.split) else "The"
        trained = found.trained_with(person.user_id)
        st.caption(f"{order} test part is left out." if trained else "All that is known of them.")
    noun, likes = say("Movie"), found.index.facts.rating_scale.likes_only
    rows = [{noun: found.title(one.movie_id), **({} if likes else {"Rating": one.rating})} for one in person.known]
    tables.show(
        rows,
        hide_index=True,
        width="stretch",
        height=min(36 * len(rows) + 38, 560),
        column_config={
            noun: st.column_config.TextColumn(width="medium"),
            "Rating": st.column_config.NumberColumn(format="%.1f", width=60),
        },
        alt=f"{say('The movies that')} {person.name} {say('has rated')}",
    )


def _score(loaded: Loaded, answers: Mapping[str, RecommendedList], person: _Person) -> None:
    """One recommendation taken apart."""
    places = {f"{label}|{one.movie_id}": (label, one) for label, answer in answers.items() for one in answer.movies}
    if not places:
        return
    st.header("Explanation of one score")
    chosen = state.choose(
        "Recommendation",
        "why",
        list(places),
        lambda key: f"{places[key][0]}, {places[key][1].rank}: {places[key][1].title}",
    )
    label, movie = places[chosen]
    reason = _reason(loaded[label][0], person, movie.movie_id)
    rows = plots.reason_rows(reason)
    if rows:
        charts.draw(plots.reasons(rows, reason, label, movie.title), rows, "one-score")
    else:
        st.info(f"{say('No movie')} of a history has a say in this score: {shell.plain(reason.sentence)}.")
