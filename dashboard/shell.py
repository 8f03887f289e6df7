"""The shell of every page: it draws itself anew when the store changes, and says which command fills it."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import streamlit as st

from dashboard.queries import reports, store_files
from dashboard.queries.reports import Snapshot
from dashboard.queries.store_files import Signature
from movierec_engine.errors import ConfigError, MovierecError
from movierec_engine.reporting import numbers

REFRESH_SECONDS = 5
READ_ONLY = "This dashboard is read-only (MOVIEREC_DASHBOARD_READ_ONLY), so it keeps no views and pins no notes."


_LINKED = re.compile(r"((?<=[-.\w+])@(?=[-\w]+\.[-\w])|https?://|www(?=\.))", re.IGNORECASE)
_WORD_JOINER = "\u2060"
"""Without width: addresses are made links after escapes are undone, so that they have to be parted."""


def may_write() -> bool:
    """Whether visitors may keep views and pin notes: not where MOVIEREC_DASHBOARD_READ_ONLY is set, but to 0 or no."""
    return os.environ.get("MOVIEREC_DASHBOARD_READ_ONLY", "").strip().lower() in ("", "0", "no", "false")


def plain(text: object) -> str:
    """Text that Markdown shows as it is, with no markup, link, formula, icon or HTML."""
    unlinked = _LINKED.sub(rf"\1{_WORD_JOINER}", " ".join(str(text).split()))
    return re.sub(r"([!\"#$&*.:<>?@\[\\\]^_`{|}~])", r"\\\1", unlinked)


def sentence(text: str) -> str:
    """A sentence of the engine's as Markdown: commands between backticks as code, all else as it is."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick that closes nothing
        return plain(text)
    of_each = (f"`{part}`" if place % 2 and part else plain(part) for place, part in enumerate(parts))
    spaced = [
        (" " if part[:1] == " " and place else "") + shown + (" " if part[-1:] == " " and len(part) > 1 else "")
        if place % 2 == 0
        else shown
        for place, (part, shown) in enumerate(zip(parts, of_each, strict=True))
    ]
    return "".join(spaced).strip()


@st.fragment(run_every=REFRESH_SECONDS)
def watch(current: Callable[[], Signature], seen: Signature) -> None:
    """Draw the page anew once the store differs from what it shows."""
    if current() != seen:
        st.rerun()


def newest_reports(root: Path) -> tuple[Snapshot, Signature]:
    """The newest reports, which the page then follows."""
    seen = store_files.signature(root)
    watch(lambda: store_files.signature(root), seen)
    return _load(str(root), seen), seen


@st.cache_data(show_spinner=False, max_entries=4, ttl=600)
def _load(root: str, seen: Signature) -> Snapshot:
    return reports.load(Path(root))


def damage(root: Path) -> None:
    """Say how many reports cannot be read, and what to do, above whatever a page concludes."""
    snapshot = _load(str(root), store_files.signature(root))
    if not snapshot.notes:
        return
    if snapshot.unreadable:
        total = snapshot.unreadable + snapshot.reports.num_rows
        notes([f"{snapshot.unreadable} of {numbers.counted(total, 'report')} unreadable"])
    with st.expander("What cannot be read, and what to do", icon=":material/warning:"):
        for note in snapshot.notes:
            st.markdown(plain(note))


def empty(title: str, text: str, command: str, root: Path) -> None:
    """Show the command that fills a page, or a chart, that has nothing to show."""
    st.header(title)
    st.markdown(text)
    st.code(command, language="bash")
    st.caption(f"Store: {plain(root)} (set MOVIEREC_ARTIFACTS to read another)")


def missing(text: str, command: str) -> None:
    """Show, in place of one chart, why it is not there, and the command that makes it."""
    st.info(text, icon=":material/info:")
    st.code(command, language="bash")


def no_reports(root: Path) -> None:
    """Say why there is no report to show: there is none, or none can be read."""
    if unreadable := _load(str(root), store_files.signature(root)).unreadable:
        empty(
            "None of the reports can be read",
            f"There {'is' if unreadable == 1 else 'are'} {numbers.counted(unreadable, 'report')}, which "
            "*What cannot be read, and what to do* names above. A training makes a new one.",
            "movierec train model=ease",
            root,
        )
        return
    empty(
        "No evaluation reports yet",
        "Fill the store with every model on the bundled data, or train one; this page then updates by itself.",
        "movierec demo\n# or\nmovierec train model=lightgcn",
        root,
    )


def change(made: Callable[[], object], done: str) -> None:
    """Change the store, unless the dashboard may not, and say what that came to."""
    try:
        if not may_write():  # the form may be of before
            raise ConfigError(READ_ONLY)
        made()
        st.toast(plain(done), icon=":material/check:")
    except (MovierecError, OSError) as error:  # a store may be read-only, or full
        st.toast(plain(f"Nothing was changed: {error}"), icon=":material/warning:", duration="long")


def notes(texts: Iterable[str]) -> None:
    for text in texts:
        st.warning(plain(text), icon=":material/warning:")
