"""The visitor's choices: in the URL, so that a view can be shared, and kept from page to page.

What a page chooses enters the URL in one step once the page is drawn (`write_url`), so that the browser has one history
entry a page.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Literal

import streamlit as st


def choose(
    label: str,
    name: str,
    options: Sequence[str],
    show: Callable[[str], str] = str,
    default: str | None = None,
    explanation: str | None = None,
    width: int | Literal["stretch"] = "stretch",
) -> str:
    """A select box whose choice stands in the URL, from where it is taken up again."""
    _take_up(name, lambda text: (text, "") if text in options else (None, text))
    if st.session_state.get(name) not in options:
        st.session_state[name] = default if default in options else options[0]
    choice: str = st.selectbox(label, options, key=name, format_func=show, help=explanation, width=width)
    _keep(name, choice)
    return choice


def choose_many(
    label: str,
    name: str,
    options: Sequence[str],
    default: Sequence[str],
    show: Callable[[str], str] = str,
    explanation: str | None = None,
) -> list[str]:
    """A box for several choices, in the order of the options; the URL names them unless they are the default."""

    def parsed(text: str) -> tuple[list[str] | None, str]:
        wanted = text.split(",")
        unknown = ",".join(option for option in wanted if option not in options)
        return [option for option in wanted if option in options] or None, unknown

    _take_up(name, parsed)
    usual = [option for option in options if option in default]
    own = [option for option in st.session_state.get(name, []) if option in options]
    st.session_state[name] = own or usual
    chosen = st.multiselect(label, options, key=name, format_func=show, help=explanation) or usual
    ordered = [option for option in options if option in chosen]
    if ordered == usual:
        _forget(name)
    else:
        _keep(name, ",".join(ordered))
    return ordered


def write(
    label: str,
    name: str,
    default: str = "",
    explanation: str | None = None,
    placeholder: str = "",
    width: int | Literal["stretch"] = "stretch",
) -> str:
    """A box for a short text that stands in the URL."""
    _take_up(name, lambda text: (text, ""))
    if name not in st.session_state:
        st.session_state[name] = default
    typed: str = st.text_input(label, key=name, help=explanation, placeholder=placeholder, max_chars=80, width=width)
    text = typed.strip()
    put(name, text)
    return text


def slide(label: str, name: str, explanation: str | None = None) -> float:
    """A slider from 0 to 1 that stands in the URL unless it is at 0."""

    def parsed(text: str) -> tuple[float | None, str]:
        try:
            value = float(text)
        except ValueError:
            return None, text
        return (value, "") if 0 <= value <= 1 else (None, text)

    _take_up(name, parsed)
    if name not in st.session_state:
        st.session_state[name] = 0.0
    value: float = st.slider(label, 0.0, 1.0, step=0.05, key=name, help=explanation)
    put(name, f"{value:g}" if value else "")
    return value


def switch(label: str, name: str, default: bool = False, explanation: str | None = None) -> bool:
    """A switch that stands in the URL as yes or no, unless it is as it usually is."""
    words = {"yes": True, "no": False}
    _take_up(name, lambda text: (words.get(text), "" if text in words else text))
    if name not in st.session_state:
        st.session_state[name] = default
    on: bool = st.toggle(label, key=name, help=explanation)
    put(name, "" if on == default else "yes" if on else "no")
    return on


def pick_day(label: str, name: str, explanation: str | None = None) -> date | None:
    """A box for a day that stands in the URL; None while it is empty."""

    def parsed(text: str) -> tuple[date | None, str]:
        try:
            day = date.fromisoformat(text)
        except ValueError:
            return None, text
        return (day, "") if FIRST_DAY <= day <= LAST_DAY else (None, text)

    _take_up(name, parsed)
    day = st.date_input(
        label,
        value=None,
        min_value=FIRST_DAY,
        max_value=LAST_DAY,
        format="YYYY-MM-DD",
        key=name,
        help=explanation,
        width=150,
    )
    put(name, day.isoformat() if isinstance(day, date) else "")
    return day if isinstance(day, date) else None


FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(2100, 12, 31)


def heed(name: str, options: Collection[str]) -> list[str]:
    """Several choices that no box of this page shows, but which it heeds: those of the URL or of the page before."""
    wanted = [one for one in given(name).split(",") if one]
    if unknown := [one for one in wanted if one not in options]:
        refuse(name, ",".join(unknown))
    found = [one for one in wanted if one in options]
    put(name, ",".join(found))
    return found


def given(name: str) -> str:
    """Read a choice from the URL, or from the page before this one; "" when there is none."""
    _session(_ASKED)[name] = ""
    pending = _session(_PENDING)
    if name in pending:
        return pending[name]
    return str(st.query_params.get(name) or st.session_state.get(_kept(name)) or "")


def put(name: str, value: str) -> None:
    """Let the URL have a value under a name, or not name it where it is empty."""
    if value:
        _keep(name, value)
    else:
        _forget(name)


def assign(name: str, value: str) -> None:
    """Choose a value for a box that is drawn by `choose` or `write`, from a callback: a click that chooses the same."""
    st.session_state[name] = value


def refuse(name: str, text: str) -> None:
    """Remember that the URL's value of a name is none that can be had, for `refused` to say so."""
    _session(_REFUSED)[name] = text


def refused() -> list[str]:
    """One sentence for each value of the URL that could not be had since this was last asked, or that nobody took."""
    found = st.session_state.pop(_REFUSED, {})
    sentences = []
    for name, text in found.items():
        shown = st.session_state.get(_kept(name))
        instead = f"{shown} is shown" if shown else "the page shows the usual"
        sentences.append(f"The address asks for {name}={text}, which is not to be had here; {instead} instead.")
    for name in _untaken():
        if name in _session(_SEEN):  # an earlier choice of this visit, which the page has no box for just now
            continue
        sentences.append(f"The address asks for {name}={st.query_params[name]}, and nothing here is called {name}.")
    return sentences


def _untaken() -> list[str]:
    """Names in the URL that the page has not asked for; none where it had no choices to offer."""
    asked = _session(_ASKED)
    return [name for name in st.query_params if name not in asked and name not in _session(_PENDING)] if asked else []


def take_over(choices: Mapping[str, str]) -> None:
    """Let the URL have these choices and no others, those of this visit's other pages forgotten."""
    kept = [str(key) for key in st.session_state if str(key).endswith(_kept(""))]
    for name in {*choices, *(key.removesuffix(_kept("")) for key in kept)}:
        st.session_state.pop(_kept(name), None)
        st.session_state.pop(name, None)
    for name in (_PENDING, _SEEN, _ASKED):
        st.session_state.pop(name, None)
    st.query_params.from_dict(dict(choices))


def write_url() -> None:
    """Let the URL have what the page chose, in one step, and nothing that it does not know."""
    untaken = _untaken()
    pending = st.session_state.pop(_PENDING, {})
    st.session_state.pop(_ASKED, None)
    current = {name: value for name, value in st.query_params.to_dict().items() if name not in untaken}
    wanted = {name: value for name, value in {**current, **pending}.items() if value}
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
    _session(_SEEN).update(pending)


def _take_up(name: str, parsed: Callable[[str], tuple[object | None, str]]) -> None:
    """Put the URL's choice, or that of the page before this one, into the widget that has not shown it yet.

    parsed: the choice that a text names, None for none, and what of the text names none.
    """
    _session(_ASKED)[name] = ""
    in_url, kept, seen = st.query_params.get(name), st.session_state.get(_kept(name)), _session(_SEEN)
    if in_url is not None and in_url != seen.get(name):  # the visitor's own, or one that Back has brought
        seen[name] = in_url
        value, unknown = parsed(in_url)
        if unknown:
            refuse(name, unknown)
        if value is not None:
            st.session_state[name] = value
            return
    if name not in st.session_state and kept is not None and (value := parsed(kept)[0]) is not None:
        st.session_state[name] = value


def _keep(name: str, value: str) -> None:
    _session(_PENDING)[name] = st.session_state[_kept(name)] = value


def _forget(name: str) -> None:
    st.session_state.pop(_kept(name), None)
    _session(_PENDING)[name] = ""


_PENDING, _SEEN, _REFUSED, _ASKED = "enters the URL", "seen in the URL", "refused of the URL", "asked of the URL"


def _session(name: str) -> dict[str, str]:
    found: dict[str, str] = st.session_state.setdefault(name, {})
    return found


def _kept(name: str) -> str:
    return f"{name} in URL"
