"""Answers of the API and their parts. `request_id` is by what the server's log has an answer."""

from dataclasses import dataclass, field
from typing import Any

from movierec_client.decoding import Answer
from movierec_client.requests import Id


@dataclass(frozen=True, kw_only=True)
class Answered(Answer):
    """A whole answer."""

    request_id: str


@dataclass(frozen=True, kw_only=True)
class About(Answer):
    """The version that answers.

    measured_version: whose metrics vouch for it; another one where the model was refitted on all interactions.
    fingerprint: of data and protocol; numbers of different ones don't compare.
    """

    model: str
    version: str
    measured_version: str
    device: str
    fingerprint: str


@dataclass(frozen=True, kw_only=True)
class Movie(Answer):
    movie_id: Id
    title: str
    year: int | None
    genres: list[str]


@dataclass(frozen=True, kw_only=True)
class ScoredMovie(Movie):
    score: float | None


@dataclass(frozen=True, kw_only=True)
class Contribution(Answer):
    """The contribution of a movie of the history to a score."""

    movie_id: Id
    title: str
    rating: float | None
    contribution: float


@dataclass(frozen=True, kw_only=True)
class Reasons(Answer):
    """Why a movie is in the list, the strongest contributions first.

    base, contributions and others add up to the score. exact: whether the contributions are terms of the score.
    """

    sentence: str
    exact: bool
    base: float
    contributions: list[Contribution]
    others: float


@dataclass(frozen=True, kw_only=True)
class RecommendedMovie(ScoredMovie):
    """why: with explain=True. new: whether no model knows the movie. explored: whether it is shown to learn about it.
    team: of an interleaved list, the variant that chose it."""

    why: Reasons | None = None
    new: bool = False
    explored: bool = False
    team: str | None = None


@dataclass(frozen=True, kw_only=True)
class UnmetRuleSaid(Answer):
    """A rule that a list does not meet."""

    rule: str
    why: str


@dataclass(frozen=True, kw_only=True)
class ServedList(Answer):
    """source: `personal`, `fold-in` of a history, or `popularity`.

    fold_in_min_items: movies of a history from which on the model folds in. live_ratings: folded in since the training.
    """

    source: str
    recommendations: list[RecommendedMovie]
    fold_in_min_items: int | None = None
    live_ratings: int = 0
    unmet_rules: list[UnmetRuleSaid] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Recommendations(Answered, About, ServedList):
    """history_used: liked movies of the history that the model knows.

    exposure_id: of this list in an experiment or where lists are explored, for the feedback that answers it. next: with
    paged=True, what continues the list; None where it has ended.
    """

    user_id: Id | None = None
    history_used: int | None = None
    exposure_id: str | None = None
    experiment: str | None = None
    variant: str | None = None
    next: str | None = None


@dataclass(frozen=True, kw_only=True)
class UserList(ServedList):
    user_id: Id


@dataclass(frozen=True, kw_only=True)
class BatchRecommendations(Answered, About):
    results: list[UserList]


@dataclass(frozen=True, kw_only=True)
class SimilarMovies(Answered, About):
    """by: `model`, its similarity and shared genres, or `content`, genres and years.

    source: with a user or a history, what the taste comes from. next: with paged=True, what continues the list.
    """

    movie: Movie
    by: str
    similar: list[ScoredMovie]
    source: str | None = None
    unmet_rules: list[UnmetRuleSaid] = field(default_factory=list)
    next: str | None = None


@dataclass(frozen=True, kw_only=True)
class HomeMovie(Movie):
    """explored: whether it is shown to learn about it. new: whether no model knows it."""

    explored: bool = False
    new: bool = False


@dataclass(frozen=True, kw_only=True)
class HomeRow(Answer):
    """row: its name, as `home_row` takes it. next: what continues it there; None where it has ended."""

    row: str
    title: str
    reason: str
    movies: list[HomeMovie]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class Home(Answered, About):
    """No movie stands in two rows.

    exposure_id: of the page in an experiment or where lists are explored, for the feedback that answers it.
    """

    source: str
    rows: list[HomeRow]
    user_id: Id | None = None
    exposure_id: str | None = None
    experiment: str | None = None
    variant: str | None = None


@dataclass(frozen=True, kw_only=True)
class RowPage(Answered, About, HomeRow):
    """A row, or what follows of it."""


@dataclass(frozen=True, kw_only=True)
class TrainingFacts(Answer):
    """in_catalogue: whether models know the movie. interactions: how often it is in the training data."""

    in_catalogue: bool
    interactions: int


@dataclass(frozen=True, kw_only=True)
class MovieDetails(Answered, About, TrainingFacts):
    movie: Movie


@dataclass(frozen=True, kw_only=True)
class FoundMovie(Movie, TrainingFacts):
    """found: `exact`, `prefix`, `words` or `typos`."""

    found: str


@dataclass(frozen=True, kw_only=True)
class FoundMovies(Answered, About):
    q: str
    movies: list[FoundMovie]


@dataclass(frozen=True, kw_only=True)
class LiveRating(Movie):
    rating: float


@dataclass(frozen=True, kw_only=True)
class SeenMovie(Movie):
    rating: float | None
    timestamp: int | None


@dataclass(frozen=True, kw_only=True)
class WatchedMovie(Movie):
    share: float | None


@dataclass(frozen=True, kw_only=True)
class LiveSaid(Answer):
    """A user's feedback since the training."""

    ratings: list[LiveRating]
    clicked: list[Movie]
    not_interested: list[Movie]
    watched: list[WatchedMovie]
    added_to_list: list[Movie]


@dataclass(frozen=True, kw_only=True)
class TasteShare(Answer):
    name: str
    share: float
    everybody: float


@dataclass(frozen=True, kw_only=True)
class TasteShares(Answer):
    """Shares of genres and decades, beside those of all interactions."""

    genres: list[TasteShare]
    decades: list[TasteShare]


@dataclass(frozen=True, kw_only=True)
class User(Answered, About):
    """known: whether the model was trained on the user. interactions: of the user in the training data.

    rated: movies of the history and the live ratings.
    """

    user_id: Id
    known: bool
    erased: bool
    interactions: int
    tier: str
    mean_rating: float | None
    rated: int
    history: list[SeenMovie]
    feedback: LiveSaid
    taste: TasteShares


@dataclass(frozen=True, kw_only=True)
class Erased(Answered):
    user_id: Id
    status: str
    erasure: int


@dataclass(frozen=True, kw_only=True)
class RecordedEvent(Answer):
    """status: `recorded`, or `already recorded` where an earlier sending had arrived."""

    key: str
    status: str


@dataclass(frozen=True, kw_only=True)
class RecordedFeedback(Answered):
    results: list[RecordedEvent]


@dataclass(frozen=True, kw_only=True)
class Undone(Answered):
    """undone: events that were taken back; 0 where they had been before, as by a sending whose answer was lost."""

    user_id: Id
    undone: int


@dataclass(frozen=True, kw_only=True)
class Question(Movie):
    """known_by: share of the users who have seen it."""

    known_by: float


@dataclass(frozen=True, kw_only=True)
class Interview(Answered, About):
    source: str
    chosen_by: str | None
    fold_in_min_items: int | None
    questions: list[Question]


@dataclass(frozen=True, kw_only=True)
class Experiments(Answered):
    running: dict[str, Any] | None
    rates: list[dict[str, Any]]
    duels: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class VersionMetrics(Answer):
    validation: dict[str, Any] | None
    test: dict[str, Any] | None
    report: str | None


@dataclass(frozen=True, kw_only=True)
class Runs(Answer):
    mlflow_run_id: str | None
    dagster_run_id: str | None


@dataclass(frozen=True, kw_only=True)
class Version(Answer):
    """default: whether it answers by default. loaded: whether the worker that answered has it in memory."""

    version: str
    measured_version: str
    device: str
    created_at: str
    fingerprint: str
    trained_model: str | None
    refitted_model: str | None
    metrics: VersionMetrics
    runs: Runs
    index: dict[str, Any]
    default: bool
    loaded: bool


@dataclass(frozen=True, kw_only=True)
class ModelVersions(Version):
    model: str
    versions: list[Version]


@dataclass(frozen=True, kw_only=True)
class Models(Answered):
    models: list[ModelVersions]
    default: About | None


@dataclass(frozen=True, kw_only=True)
class LogHealth(Answer):
    status: str
    message: str | None


@dataclass(frozen=True, kw_only=True)
class WorkersReady(Answer):
    expected: int
    ready: int


@dataclass(frozen=True, kw_only=True)
class ServerHealth(Answered):
    """status: `ok`, `loading`, `empty`, `damaged` or `draining`. refused: version -> why it is not served."""

    status: str
    message: str | None
    serving: About | None
    refused: dict[str, str] = field(default_factory=dict)
    feedback: LogHealth | None = None
    workers: WorkersReady | None = None
