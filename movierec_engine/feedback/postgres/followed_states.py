"""Users' states that a server process remembers, kept current by following what changes in the log.

A thread asks a few times a second what has changed (a poll, rather than LISTEN and NOTIFY: a transaction that notifies
commits alone in the whole database, so that writers would wait for the disk one after the other). While it has contact,
a remembered state is at most ABSENT_SECONDS old, and usually POLL_SECONDS.

Without contact nobody waits for the database, who writes neither. Remembered states are used on, and so is what was
known of erasures at the last contact: while the database is away nobody can be erased, and where this host alone is cut
off, an erasure elsewhere may be missed for TRUST_SECONDS. After that, and in a process that has had no contact yet,
nobody's erasures count as known.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from movierec_engine.data.id_map import PublicId
from movierec_engine.feedback.errors import FeedbackError, LogAway
from movierec_engine.feedback.events import ERASURE_UNKNOWN, UserState
from movierec_engine.feedback.outage import Outage

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
ABSENT_SECONDS = 2.0
"""Without an answer for so long the database counts as away."""
TRUST_SECONDS = 3600.0
"""How long what is known of erasures counts without contact."""
REMEMBERED = 50_000
"""Users whose states a process keeps; those that it learnt first leave first."""
_FIRST_CONTACT_SECONDS = 5.0


@dataclass(frozen=True)
class Changes:
    """The changes in a log between two moments."""

    moment: str
    """The later one, from which to ask on."""
    users: tuple[PublicId, ...] = ()
    """Whose events changed."""
    erased: dict[PublicId, int] = field(default_factory=dict)
    """User -> number of their newest erasure; of all users where there is no earlier moment."""


class FollowedStates:
    """States by user.

    load: reads a state from the database. changes: what changed since a moment; None for the first one.
    """

    def __init__(
        self,
        where: str,
        load: Callable[[PublicId], UserState],
        changes: Callable[[str | None], Changes],
    ) -> None:
        self._where, self._load, self._changes = where, load, changes
        self._begin_anew()

    def require_contact(self) -> None:
        """Raises LogAway at once where the database is away, FeedbackError for other problems: whoever asked it then
        would wait, and of those who wait a server's few threads would be full."""
        self._follow_if_needed()
        if not self._first_contact.wait(_FIRST_CONTACT_SECONDS) or time.monotonic() - self._contact > ABSENT_SECONDS:
            raise self._problem or LogAway(f"the feedback database {self._where} does not answer; see to it")

    def state(self, user_id: PublicId) -> UserState:
        """The current state. Raises as `require_contact` does."""
        self.require_contact()
        known = self._states.get(user_id)
        if known is not None:
            return known
        began = time.monotonic()
        state = self._load(user_id)
        with self._lock:
            if max(self._changed.get(user_id, self._cleared), self._cleared) < began:  # else it may be an older one
                self._states[user_id] = state
                if len(self._states) > REMEMBERED:
                    del self._states[next(iter(self._states))]
        return state

    def last_known(self, user_id: PublicId) -> UserState:
        """The state as of the last contact; asks nobody."""
        if self._process != os.getpid() or time.monotonic() - self._contact > TRUST_SECONDS:
            return UserState(erasure=ERASURE_UNKNOWN, known=False)
        remembered = self._states.get(user_id)
        return remembered or UserState(erasure=self._erased.get(user_id, 0), known=False)

    def forget(self, users: Iterable[PublicId], erased: dict[PublicId, int] | None = None) -> None:
        """Let this process's own changes count at once."""
        self._take_in(users, erased or {})

    def close(self) -> None:
        """Stop following; the next question begins anew."""
        self._closed.set()
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._first_contact, self._closed = threading.Event(), threading.Event()
        self._states: dict[PublicId, UserState] = {}
        self._erased: dict[PublicId, int] = {}
        self._changed: dict[PublicId, float] = {}  # user -> when a change was last heard of, of those heard of last
        self._cleared = float("-inf")  # when all states were forgotten
        self._contact = float("-inf")
        self._problem: FeedbackError | None = None
        self._outage = Outage()
        self._follower: threading.Thread | None = None

    def _follow_if_needed(self) -> None:
        if self._process != os.getpid():  # its thread stayed in the process that forked this one
            self._begin_anew()
        if self._follower is None:
            with self._lock:
                if self._follower is None:
                    self._follower = threading.Thread(
                        target=self._follow, args=(self._closed,), name="feedback changes", daemon=True
                    )
                    self._follower.start()

    def _follow(self, closed: threading.Event) -> None:
        moment = None
        while not closed.is_set():
            asked = time.monotonic()
            try:
                changes = self._changes(moment)
            except Exception as error:  # whatever it is, the thread goes on asking, as no other would
                foreseen = error if isinstance(error, FeedbackError) else None
                if self._outage.begins(str(error)):
                    log.error("lists come by the feedback that was last known: %s", error, exc_info=not foreseen)
                self._problem = foreseen or FeedbackError(f"{self._where} cannot be followed: {error!r}")
                moment = None
                self._contact = min(self._contact, asked - ABSENT_SECONDS)
            else:
                if moment is None:
                    with self._lock:  # what happened before this contact is not known
                        self._states.clear()
                        self._cleared = time.monotonic()
                self._take_in(changes.users, changes.erased)
                self._problem, moment, self._contact = None, changes.moment, asked
                self._outage.ends()
            self._first_contact.set()
            closed.wait(POLL_SECONDS)

    def _take_in(self, users: Iterable[PublicId], erased: dict[PublicId, int]) -> None:
        with self._lock:
            for user_id in (*users, *erased):
                self._states.pop(user_id, None)
                self._changed.pop(user_id, None)
                self._changed[user_id] = time.monotonic()
                if len(self._changed) > REMEMBERED:
                    del self._changed[next(iter(self._changed))]
            self._erased.update(erased)
