"""Explore: what each model recommends to a person, and why; movies like one; and a map of the catalogue."""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard import charts, shell, state
from dashboard.downloads import csv_button
from dashboard.plots import explore as plots
from dashboard.queries import indices, leaderboard, movie_map, reports, store_files
from dashboard.queries.indices import IndexVersion, Rated, Reason, RecommendedList, SearchableIndex
from dashboard.queries.movie_map import MovieMap
from dashboard.queries.store_files import Signature
from movierec_engine.data.id_map import PublicId
from movierec_engine.data.nouns import MOVIES, called
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.recommending.dials import DIALS, DIVERSITY_OVER, Dials
from movierec_engine.reporting import numbers, words
from movierec_engine.store import kinds

KINDS = (kinds.FAISS_INDEX, kinds.EVALUATION_REPORT)
AT_ONCE = 3
"""Models whose lists stand side by side."""
EXPLAINED = 3
"""Places of each list that are explained without being asked."""
FOUND = 8
"""Movies that a search offers."""
USER, NEW_USER = "user", "history"
GENRES_COLOURED = 6
_NOTES = {
    "personal": "",
    "fold-in": "folded in: the model was not trained with this person",
    "popularity": "the most popular",
}


_NOUNS = "nouns of the data set"


def _say(text: str) -> str:
    """A text about movies in the words of the data set that is explored."""
    return called(text, st.session_state.get(_NOUNS, MOVIES))


def page() -> None:
    root = store_files.store_root()
    seen = store_files.signature(root, *KINDS)
    shell.watch(lambda: store_files.signature(root, *KINDS), seen)
    st.title("Explore")
    versions = _versions(str(root), seen)
    if not versions:
        shell.empty(
            "No index to ask yet",
            "Training a model builds an index of it, which answers here as it does in the API.",
            "movierec train model=ease\n# or everything\nmake demo",
            root,
        )
        return
    chosen = _choose(versions)
    loaded = _loaded(chosen)
    if not loaded:
        shell.notes(["None of the chosen indices can be read; train these models again."])
        return
    k = int(st.session_state["places"])
    st.session_state[_NOUNS] = next(iter(loaded.values()))[0].nouns
    first = next(iter(loaded.values()))[1]
    person = _person(first, next(iter(loaded.values()))[0])
    dials = _dials(first)
    answers = _answers(loaded, person, k, dials)
    _lists(loaded, answers, person)
    _score(loaded, answers, person)
    _map(loaded, answers, person)
    _similar(loaded, k)


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _versions(root: str, seen: Signature) -> list[IndexVersion]:
    """Versions, the served one first, then in the leaderboard's order."""
    found = indices.index_versions(Path(root))
    snapshot = reports.load(Path(root))
    groups = leaderboard.groups(snapshot)
    ranked = leaderboard.standings(snapshot, groups[0], "ndcg", 10) if groups else []
    order = {(one.model, one.device): place for place, one in enumerate(ranked)}
    return sorted(found, key=lambda one: (not one.served, order.get((one.model, one.device), len(order))))


@st.cache_resource(show_spinner="Loading an index", max_entries=6)
def _load(folder: str) -> SearchableIndex:
    return indices.load(Path(folder))


@st.cache_data(show_spinner=False, max_entries=64, ttl=600)
def _rated(split: str, user_id: PublicId) -> list[Rated]:
    return indices.rated_by(split, user_id)


@st.cache_data(show_spinner=False, max_entries=2_000, ttl=600)
def _why(
    folder: str,
    user_id: PublicId | None,
    told: dict[PublicId, float],
    movie_id: PublicId,
    ratings: dict[PublicId, float],
) -> Reason:
    return indices.why(_load(folder), user_id, told, movie_id, ratings)


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
        """The movies that the split of an index keeps for the test."""
        if self.user_id is None or not version.split:
            return set()
        return {one.movie_id for one in _rated(version.split, self.user_id) if one.part == "test"}

    @property
    def name(self) -> str:
        return "this new user" if self.user_id is None else f"user {self.user_id}"


def _choose(versions: list[IndexVersion]) -> dict[str, IndexVersion]:
    columns = st.columns([1.1, 2.6, 0.6, 1.1])
    sets = list(dict.fromkeys(one.data for one in versions))
    with columns[0]:
        data = state.choose("Data set", "of", sets, lambda name: name or "unknown")
    own = [one for one in versions if one.data == data]
    names = [one.model for one in own]
    labels = {one.model if names.count(one.model) == 1 else f"{one.model} ({one.device})": one for one in own}
    with columns[1]:
        shown = state.choose_many(
            "Models", "explored", list(labels), list(labels)[:2], explanation=f"At most {AT_ONCE} side by side"
        )
    with columns[2]:
        state.choose("Places", "places", ["5", "10", "20"], default="10")
    with columns[3]:
        kinds = {USER: "A user", NEW_USER: _say("A new user, from movies")}
        state.choose("Lists for", "who", list(kinds), lambda kind: kinds[kind])
    if len(shown) > AT_ONCE:
        st.caption(f"The first {AT_ONCE} of the chosen models are shown.")
    return {label: labels[label] for label in shown[:AT_ONCE]}


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
    usual = indices.examples(found)
    columns = st.columns([1.6, 1, 1, 1, 1], vertical_alignment="bottom")
    with columns[0]:
        text = state.write("User id", "user", str(usual.get("Typical", found.index.users.ids[0])))
    for column, (name, user_id) in zip(columns[1:], usual.items(), strict=False):
        column.button(name, on_click=_set, args=("user", str(user_id)), width="stretch", help=f"User {user_id}")
    columns[4].button("Random", on_click=_random_user, args=(found,), width="stretch")
    typed = found.written(found.index.users, text)
    user_id = usual.get("Typical", found.index.users.ids[0].item()) if typed is None else typed
    if typed is None or not found.knows(typed):
        ids = found.index.users.ids
        st.warning(
            f"There is no user {shell.plain(text) or 'without an id'} in this data set; {len(ids):,} users have ids "
            f"from {ids[0]} to {ids[-1]}. A typical one is shown."
        )
        user_id = usual.get("Typical", ids[0].item())
    if not found.trained_with(user_id):
        return _Person(user_id, [Rated(movie, rating, "raw") for movie, rating in found.rated_by(user_id).items()])
    return _Person(user_id, _rated(version.split, user_id) if version.split else [])


def _new_user(found: SearchableIndex) -> _Person:
    texts = found.index.items.are_texts
    given = indices.parsed_history(state.given("told"), texts)
    told = {movie: rating for movie, rating in given.items() if found.item(movie) is not None}
    columns = st.columns([2, 0.7, 3.3], vertical_alignment="bottom")
    text = columns[0].text_input(_say("Find a movie"), key="find", placeholder="such as heat 1995", max_chars=80)
    rating = columns[1].selectbox("rated", [5.0, 4.5, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5], key="rated")
    st.session_state["their movies"] = list(told)
    kept = columns[2].multiselect(
        _say("Their movies"),
        list(told),
        key="their movies",
        format_func=lambda movie: f"{found.title(movie)} · {told[movie]:g}",
        placeholder="None yet: add some below",
        on_change=_keep_told,
        args=(texts,),
    )
    offered = [movie for movie in found.find(text, FOUND + len(told)) if movie not in told][:FOUND]
    if text and not offered:
        st.caption(f"{_say('No movie')} is called anything like {shell.plain(text)}.")
    boxes = st.columns(4)
    for place, movie in enumerate(offered):
        name = found.title(movie)
        boxes[place % 4].button(
            f"＋ {shell.plain(name)}", key=f"add {movie}", on_click=_tell, args=(movie, rating, texts), width="stretch"
        )
    state.put("told", indices.written_history(told))
    return _Person(None, [Rated(movie, told[movie], "told") for movie in kept])


def _set(name: str, value: str) -> None:
    st.session_state[name] = value


def _random_user(found: SearchableIndex) -> None:
    ids = found.index.users.ids
    _set("user", str(ids[random.randrange(len(ids))]))


def _tell(movie: PublicId, rating: float, texts: bool) -> None:
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
                settings[name] = state.slide(words.sentence(words.dial(name)), f"dial_{name}", _DIAL_HELP[name])
        with columns[-1]:
            settings["diversity_over"] = state.choose("Diversity over", "over", DIVERSITY_OVER)
        dials = Dials(**settings)
        if lacking := facts.lacking(dials):
            names = numbers.listed([words.dial(name) for name in lacking])
            st.caption(f"Nothing is known here that {names} needs, so it stays off.")
            dials = Dials(**{**settings, **dict.fromkeys(lacking, 0.0)})
        st.caption(
            f"Re-ranks the model's best {indices.CANDIDATES}. What it costs is on the page Segments and fairness."
        )
    return dials


_DIAL_HELP = {
    "diversity": "Away from movies that are like one that stands in the list already",
    "novelty": "Towards movies that few people have seen",
    "decade_balance": "Towards the decades of the person's own movies",
    "genre_balance": "Towards the genres of the person's own movies",
}


def _answers(loaded: Loaded, person: _Person, k: int, dials: Dials) -> dict[str, RecommendedList]:
    answers = {}
    for label, (_, found) in loaded.items():
        try:
            if person.user_id is None:
                answers[label] = indices.for_history(found, person.ratings, k, dials)
            elif found.knows(person.user_id):
                answers[label] = indices.for_user(found, person.user_id, k, dials)
            else:
                shell.notes([f"{label} was not trained with {person.name}; its index is of another split."])
        except ConfigError as error:
            shell.notes([f"{label}: {error}."])
    return answers


def _lists(loaded: Loaded, answers: Mapping[str, RecommendedList], person: _Person) -> None:
    head, toggle = st.columns([3, 1], vertical_alignment="bottom")
    head.subheader(f"What {person.name} gets, and why")
    everything = toggle.toggle(_say("Explain every movie"), key="explain all", help="Some models take a second for it")
    columns = st.columns([1.15, *[1.5] * max(len(answers), 1)], gap="medium")
    with columns[0]:
        _history(next(iter(loaded.values()))[1], person)
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
    if len({version.split for version, _ in loaded.values()}) > 1:
        legend += " These models were trained on different splits, each of which has a test part of its own."
    if any(row["in_test"] for row in rows):
        legend += " ✓: the user did watch it, in the test part."
    if common:
        legend += f" ◆: in every list here ({_say(numbers.counted(len(common), 'movie'))})."
    if not everything:
        legend += f" The first {EXPLAINED} of each list are explained."
    left, right = st.columns([6, 1], vertical_alignment="center")
    left.caption(legend)
    if rows:
        with right:
            csv_button(rows, "lists", "Lists (CSV)")


def _note(answer: RecommendedList, found: SearchableIndex) -> str:
    """Note on a list's source, where it is not the usual one."""
    if answer.source != "popularity":
        return _NOTES.get(answer.source, answer.source)
    enough = found.index.fold_in_min_items
    if enough is None:
        return (
            f"{_NOTES['popularity']}: no number of {_say('movies')} makes this model's own lists better for new users"
        )
    least = _say(numbers.counted(max(enough, 1), "movie"))
    return f"{_NOTES['popularity']}: this model needs {least} for lists of its own"


def _reason(version: IndexVersion, person: _Person, movie_id: PublicId) -> Reason:
    return _why(
        version.folder, person.user_id, {} if person.user_id is not None else person.ratings, movie_id, person.ratings
    )


def _history(found: SearchableIndex, person: _Person) -> None:
    st.markdown(f"**{_say(numbers.counted(len(person.known), 'movie'))} known**")
    if not person.known:
        text = _say("Nothing is known yet, so everybody gets the most popular movies.") if person.user_id is None else (
            "What this user has rated cannot be read."
        )  # fmt: skip
        st.caption(text)
        return
    if person.user_id is not None:
        trained = found.trained_with(person.user_id)
        st.caption("Newest first; the test part is left out." if trained else "All that is known of them.")
    rows = [{_say("Movie"): found.title(one.movie_id), "★": one.rating} for one in person.known]
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=min(36 * len(rows) + 38, 560),
        column_config={"★": st.column_config.NumberColumn(format="%.1f", width=50)},
    )


def _score(loaded: Loaded, answers: Mapping[str, RecommendedList], person: _Person) -> None:
    """One recommendation taken apart."""
    places = {f"{label}|{one.movie_id}": (label, one) for label, answer in answers.items() for one in answer.movies}
    if not places:
        return
    st.subheader("Explanation of one score")
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
        st.info(f"{_say('No movie')} of a history has a say in this score: {shell.plain(reason.sentence)}.")


def _map(loaded: Loaded, answers: Mapping[str, RecommendedList], person: _Person) -> None:
    st.subheader("A map of the catalogue")
    label = next(iter(loaded))
    version, found = loaded[label]
    drawn = _layout(version.folder)
    if drawn is None:
        shell.missing(_say("No embeddings of these movies are known, so there is no map."), "movierec train model=ease")
        return
    names = plots.genre_names(found)
    genres = state.choose_many("Genres coloured", "genres", names, names[:GENRES_COLOURED])[:GENRES_COLOURED]
    history = [item for one in person.known if (item := found.item(one.movie_id)) is not None]
    listed = {
        name: [item for one in answer.movies if (item := found.item(one.movie_id)) is not None]
        for name, answer in answers.items()
    }
    rows = plots.map_rows(found, drawn, genres, [*history, *(item for own in listed.values() for item in own)])
    models = {name: loaded[name][0].model for name in listed}
    charts.draw(plots.movie_map(rows, drawn, found, genres, history, listed, models), rows, "map")
    st.caption(
        f"A movie has the colour of the rarest of these genres that it is of; at most {GENRES_COLOURED} are coloured. "
        "Rings: the person's own movies."
    )


def _similar(loaded: Loaded, k: int) -> None:
    st.subheader(_say("Movies like one"))
    found = next(iter(loaded.values()))[1]
    left, right = st.columns(2)
    with left:
        text = state.write(_say("Find a movie"), "like", placeholder="such as toy story")
    options = found.find(text, 10)
    wanted = found.written(found.index.items, state.given("movie"))
    if wanted is not None and found.item(wanted) is not None and not text:
        options = list(dict.fromkeys([wanted, *options]))
    if not options:
        st.caption(f"{_say('No movie')} is called anything like {shell.plain(text)}.")
        return
    with right:
        named = {str(option): option for option in options}
        movie = named[state.choose(_say("Movie"), "movie", list(named), lambda key: found.title(named[key]))]
    columns = st.columns(len(loaded), gap="medium")
    for column, (label, (_, own)) in zip(columns, loaded.items(), strict=True):
        rows = [
            {_say("Movie"): row["title"], "Similarity": row["similarity"], "Genres of both": ", ".join(row["shared"])}
            for row in indices.similar(own, movie, k)
        ]
        with column:
            st.markdown(f"**{shell.plain(label)}**: most like {shell.plain(found.title(movie))}")
            if rows:
                st.dataframe(
                    rows,
                    hide_index=True,
                    width="stretch",
                    height="content",
                    column_config={"Similarity": st.column_config.NumberColumn(format="%.3f", width="small")},
                )
                csv_button(rows, f"like-{movie}-{label}", "Table (CSV)")
            else:
                st.caption(_say("This model knows of no movie like it."))
