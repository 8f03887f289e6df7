"""Types of the endpoints' answers, for the description and for mypy, which holds the services against them.

Nothing is checked while answering. `request_id`, which `json_response` adds to each, is in each description as well."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from movierec_engine.api.known_ids import MovieIdentifier, UserIdentifier
from movierec_engine.api.parameters import OneOf
from movierec_engine.data.catalogue import ACTIVITY_FROM


def doc(meaning: str) -> Any:
    return Field(description=meaning)


Count = Annotated[int, Field(ge=0)]
GivenRating = Annotated[float | None, doc("Null where there is none, as where the data have likes alone.")]
MeasuredVersion = Annotated[
    str,
    doc(
        "The version whose metrics vouch for `version`: another one where the model was refitted on all "
        "interactions before it was served, else the same."
    ),
]
Source = Annotated[str, OneOf(("personal", "fold-in", "popularity")), doc("What the list comes from.")]
FoldInMinItemsField = Annotated[
    Count | None,
    doc("The least number of movies in a history for which the model folds in; null where no number is enough."),
]
LiveRatings = Annotated[Count, doc("Ratings since the training that are folded in; left out where none are.")]
How = Literal["exact", "prefix", "words", "typos"]
"""How a movie was found by title."""


Next = Annotated[
    str | None,
    doc("With paged=true or next: what continues the list; null where it has ended, or an experiment interleaves it."),
]


class About(TypedDict):
    """The version that answers."""

    model: str
    version: Annotated[str, doc("What answers.")]
    measured_version: MeasuredVersion
    device: Annotated[str, doc("The kind of device that the model was trained on.")]
    fingerprint: Annotated[str, doc("Of the data and protocol; numbers of different ones don't compare.")]


class Movie(TypedDict):
    movie_id: MovieIdentifier
    title: str
    year: int | None
    genres: list[str]
    picture: NotRequired[Annotated[str, doc("Where a picture is, by the column that serving.pictures names.")]]


class ScoredMovie(Movie):
    score: float | None


class Contribution(TypedDict):
    movie_id: MovieIdentifier
    title: str
    rating: GivenRating
    contribution: float


class Reasons(TypedDict):
    """With explain=true: the reasons, the strongest contributions first. base, contributions and others add up to the
    score."""

    sentence: str
    exact: Annotated[bool, doc("Whether the contributions are terms of the score.")]
    base: Annotated[float, doc("What the history does not add.")]
    contributions: list[Contribution]
    others: Annotated[float, doc("What the movies of the history that are not shown add.")]


class RecommendedMovie(ScoredMovie):
    why: NotRequired[Reasons]
    new: NotRequired[Annotated[bool, doc("True for a movie that no model knows, with cold_items above 0.")]]
    explored: NotRequired[Annotated[bool, doc("True for a movie that is shown to learn about it; left out else.")]]
    team: NotRequired[Annotated[str | None, doc("Of an interleaved list: the variant that chose the movie.")]]


class UnmetRuleSaid(TypedDict):
    """A rule that the list does not meet."""

    rule: str
    why: str


UnmetRules = Annotated[list[UnmetRuleSaid], doc("Rules that the list does not meet, and why; left out without any.")]


class ServedList(TypedDict):
    source: Source
    recommendations: list[RecommendedMovie]
    fold_in_min_items: NotRequired[FoldInMinItemsField]
    live_ratings: NotRequired[LiveRatings]
    unmet_rules: NotRequired[UnmetRules]


class Recommendations(About, ServedList):
    user_id: NotRequired[UserIdentifier]
    next: NotRequired[Next]
    history_used: NotRequired[Annotated[Count, doc("Liked movies of an anonymous history that the model knows.")]]
    exposure_id: NotRequired[
        Annotated[
            str, doc("Of this list, for the feedback that answers it, in an experiment and where lists are explored.")
        ]
    ]
    experiment: NotRequired[str]
    variant: NotRequired[Annotated[str | None, doc("Null for an interleaved list.")]]


class UserList(ServedList):
    user_id: UserIdentifier


class BatchRecommendations(About):
    results: list[UserList]


class SimilarMovies(About):
    movie: Movie
    by: Annotated[
        str,
        OneOf(("model", "content")),
        doc("model: the model's similarity, and shared genres; content: genres and years."),
    ]
    similar: list[ScoredMovie]
    source: NotRequired[Annotated[Source, doc("With a user or a history: what the taste comes from.")]]
    unmet_rules: NotRequired[UnmetRules]
    next: NotRequired[Next]


class HomeMovie(Movie):
    explored: NotRequired[Annotated[bool, doc("True for a movie that is shown to learn about it; left out else.")]]
    new: NotRequired[Annotated[bool, doc("True for an explored movie that no model knows.")]]


class HomeRow(TypedDict):
    row: Annotated[str, doc("The row's name for programs; its kind stands before the colon.")]
    title: str
    reason: Annotated[str, doc("Why the movies are there.")]
    movies: list[HomeMovie]
    next: Annotated[str | None, doc("What continues the row at /api/home/ROW; null where it has ended.")]


class Home(About):
    user_id: NotRequired[UserIdentifier]
    source: Source
    rows: Annotated[list[HomeRow], doc("No movie stands in two rows.")]
    exposure_id: NotRequired[
        Annotated[
            str, doc("Of this page, for the feedback that answers it, in an experiment and where lists are explored.")
        ]
    ]
    experiment: NotRequired[str]
    variant: NotRequired[str]


class RowPage(About, HomeRow):
    """A row, or what follows of it."""


RuleSaid = Annotated[dict[str, Any], doc("A rule as docs/guides/rules.md describes it.")]


class RulesChange(TypedDict):
    """A version of a scenario's rules."""

    version: str
    at: str
    by: Annotated[str, doc("Who made it.")]
    note: str
    action: Annotated[str, doc("published, or rolled back to an earlier version.")]


class ScenarioRules(TypedDict):
    scenario: str
    version: Annotated[str, doc("The version that holds, by which a change says what it is based on; none before any.")]
    rules: list[RuleSaid]
    history: Annotated[list[RulesChange], doc("The versions that have held, the one that holds first.")]


class TriedList(TypedDict):
    """A user's list as it is, and as it would be."""

    user_id: UserIdentifier
    before: list[Movie]
    after: list[Movie]
    unmet_rules: UnmetRules


class RulesTrial(TypedDict):
    """The effect of trial rules on the lists of some users."""

    scenario: str
    findings: Annotated[list[str], doc("What is odd, such as ids that are unknown.")]
    movies: Annotated[dict[str, Count], doc("By rule: movies that it leaves, boosts, pins or counts at this moment.")]
    users: Annotated[Count, doc("Users whose lists were made.")]
    changed: Annotated[Count, doc("Users whose lists differ from those under the rules that hold.")]
    unmet: Annotated[dict[str, Count], doc("By rule: lists that do not meet it.")]
    lists: Annotated[list[TriedList], doc("The first lists that differ.")]


class TrainingFacts(TypedDict):
    in_catalogue: Annotated[bool, doc("Whether models know the movie.")]
    interactions: Annotated[Count, doc("How often it is in the training data.")]


class MovieDetails(About, TrainingFacts):
    movie: Movie


class FoundMovie(Movie, TrainingFacts):
    found: How


class FoundMovies(About):
    q: str
    movies: list[FoundMovie]


class LiveRating(Movie):
    rating: float


class SeenMovie(Movie):
    rating: GivenRating
    timestamp: Annotated[int | None, doc("In seconds since 1970; null where the data have no times.")]


class WatchedMovie(Movie):
    share: float | None


class LiveSaid(TypedDict):
    """A user's feedback since the training."""

    ratings: list[LiveRating]
    clicked: list[Movie]
    not_interested: list[Movie]
    watched: list[WatchedMovie]
    added_to_list: list[Movie]


class TasteShare(TypedDict):
    name: str
    share: float
    everybody: float


class TasteShares(TypedDict):
    """Shares of genres and decades, beside those of all interactions."""

    genres: list[TasteShare]
    decades: list[TasteShare]


class User(About):
    user_id: UserIdentifier
    known: Annotated[bool, doc("Whether the model was trained on the user.")]
    erased: Annotated[bool, doc("Whether the model must not be asked about the user any more.")]
    interactions: Annotated[Count, doc("Of the user in the training data.")]
    tier: Annotated[str, OneOf(tuple(ACTIVITY_FROM))]
    mean_rating: GivenRating
    rated: Annotated[Count, doc("Movies of the history and the live ratings.")]
    history: list[SeenMovie]
    feedback: LiveSaid
    taste: TasteShares


class Erased(TypedDict):
    user_id: UserIdentifier
    status: Literal["erased"]
    erasure: Count


class RecordedEvent(TypedDict):
    key: str
    status: Literal["recorded", "already recorded"]


class RecordedFeedback(TypedDict):
    results: list[RecordedEvent]


class Undone(TypedDict):
    user_id: UserIdentifier
    undone: Annotated[Count, doc("Events that were taken back; 0 where they had been before.")]


class Question(Movie):
    known_by: Annotated[float, doc("Share of the users who have seen it.")]


class Interview(About):
    source: Annotated[str, OneOf(("interview", "another model's interview", "popular"))]
    chosen_by: Annotated[str | None, doc("The artifact that the questions are of.")]
    fold_in_min_items: FoldInMinItemsField
    questions: list[Question]


class Experiments(TypedDict):
    running: Annotated[
        dict[str, Any] | None,
        doc(
            "The experiment's settings; of each variant also the version that answers, the one that was "
            "measured, and whether it was refitted on all interactions, as only a promoted one is: compare like with "
            "like."
        ),
    ]
    rates: list[dict[str, Any]]
    duels: list[dict[str, Any]]


class VersionMetrics(TypedDict):
    """A trained model's metrics on the data of this fingerprint; null where it was not measured."""

    validation: dict[str, Any] | None
    test: dict[str, Any] | None
    report: str | None


class Runs(TypedDict):
    mlflow_run_id: str | None
    dagster_run_id: str | None


class Version(TypedDict):
    version: str
    measured_version: MeasuredVersion
    device: str
    created_at: str
    fingerprint: str
    trained_model: Annotated[str | None, doc("The model that was measured.")]
    refitted_model: Annotated[
        str | None,
        doc("The model that answers where it was refitted on all interactions; else null."),
    ]
    metrics: VersionMetrics
    runs: Runs
    index: Annotated[dict[str, Any], doc("What was measured when the index was built.")]
    default: Annotated[bool, doc("Whether it answers by default.")]
    loaded: Annotated[bool, doc("Whether it is in the memory of the worker that answered.")]


class ModelVersions(Version):
    model: str
    versions: list[Version]


class Models(TypedDict):
    models: list[ModelVersions]
    default: About | None


class LogHealth(TypedDict):
    """The state of the feedback log in /api/ready. Lists are answered without it."""

    status: Annotated[str, OneOf(("ok", "busy", "away", "unreadable", "read-only"))]
    message: str | None


class WorkersReady(TypedDict):
    """The workers in /api/ready: how many there are, and how many have loaded an index."""

    expected: Count
    ready: Count


class ServerHealth(TypedDict):
    status: Annotated[str, OneOf(("ok", "loading", "empty", "damaged", "draining"))]
    message: str | None
    serving: About | None
    refused: Annotated[dict[str, str], doc("Version -> why it is not served.")]
    feedback: NotRequired[LogHealth]
    workers: NotRequired[WorkersReady]


class Overview(TypedDict):
    endpoints: dict[str, str]
    at_most: dict[str, Any]


class ErrorDetails(TypedDict):
    code: str
    message: str
    parameter: str | None


class Error(TypedDict):
    error: ErrorDetails
