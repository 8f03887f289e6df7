"""Two data sets in one store: neither takes the other's place."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from release_world import GOOD, NEW, World

from movierec_engine.cli.main import cli
from movierec_engine.data.config import DataConfig
from movierec_engine.errors import ConfigError, StoreError
from movierec_engine.evaluation.gate import ReleaseConfig
from movierec_engine.pipeline import comparison
from movierec_engine.pipeline.data import choose_data_set
from movierec_engine.release import decisions, manual
from movierec_engine.release.retention import prune
from movierec_engine.store import SERVING, ArtifactStore, Slot


@pytest.fixture
def shop(tmp_path: Path) -> World:
    """A shop's movies, of which ease is served."""
    world = World(ArtifactStore(tmp_path / "store"), "shop")
    world.train("popularity", GOOD - 0.1)
    world.train("ease", GOOD)
    world.challenge()
    return world


@pytest.fixture
def books(shop: World) -> World:
    """Another data set in the same store, newer and with better numbers."""
    world = World(shop.store, "books")
    world.train("popularity", GOOD, NEW)
    world.train("ease", GOOD + 0.2, NEW)
    return world


def test_a_new_data_sets_champion_stands_beside_the_old_ones(shop: World, books: World) -> None:
    before = shop.store.storage.pointer_file(SERVING, "shop").read_bytes()

    decision = books.challenge()

    assert (decision.verdict, decision.data_set) == ("promoted", "books")
    assert "nothing was served" in decision.sentence
    assert shop.store.storage.pointer_file(SERVING, "shop").read_bytes() == before
    assert books.served_model.startswith("trained_model/books/ease/cpu/")
    assert [one.data_set for one in decisions.decisions(shop.store, "shop")] == ["shop"]
    assert len(decisions.releases(shop.store, "books")) == 1


def test_reports_are_ranked_and_compared_within_their_data_set(shop: World, books: World) -> None:
    for data_set in ("shop", "books"):
        measured = comparison.reports_to_compare(shop.store, data_set, [])
        assert {one.artifact.slot for one in measured} == {
            Slot("evaluation_report", data_set, model, "cpu") for model in ("ease", "popularity")
        }


def test_a_challenger_of_another_data_set_is_refused(shop: World, books: World) -> None:
    other = books.train("gmf", GOOD + 0.3, NEW)
    with pytest.raises(StoreError, match="of another data set"):
        shop.challenge(other)
    reference = books.index(other).reference
    with pytest.raises(StoreError, match="choose its own by --data books"):
        manual.find_index(shop.store, "shop", reference)
    with pytest.raises(StoreError, match="choose its own by --data books"):
        shop.roll_back(to=reference)


def test_pins_rollbacks_and_pruning_leave_the_other_data_set_alone(shop: World, books: World) -> None:
    books.challenge()
    manual.pin(shop.store, "shop")
    books.train("gmf", GOOD + 0.4, NEW)
    assert books.challenge().verdict == "promoted"
    assert books.roll_back().verdict == "rolled back"
    for _ in range(3):
        shop.train("ease", GOOD)
        books.train("ease", GOOD, NEW)
    gone = prune(shop.store, "books", 1, ReleaseConfig(keep_releases=1)).versions
    assert gone and {one.slot.data_set for one in gone} == {"books"}
    assert decisions.pin_of(shop.store, "shop") is not None
    assert decisions.pin_of(shop.store, "books") is None


def test_the_data_set_is_the_named_one_the_only_one_or_the_usual_one(
    shop: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_data_set(shop.store, "trained_model") == "shop"
    assert choose_data_set(ArtifactStore(tmp_path / "empty"), "trained_model") == DataConfig().name
    World(shop.store, "books").train("ease", GOOD)
    with pytest.raises(StoreError, match="has the data sets books, shop; choose one by --data NAME"):
        choose_data_set(shop.store, "trained_model")
    with pytest.raises(StoreError, match="of the data set nope; there are books, shop"):
        choose_data_set(shop.store, "trained_model", "nope")
    assert choose_data_set(shop.store, "trained_model", "books") == "books"
    World(shop.store, DataConfig().name).train("ease", GOOD)
    assert choose_data_set(shop.store, "trained_model") == DataConfig().name


def test_the_commands_take_a_data_set_and_name_the_choices(shop: World, books: World) -> None:
    def ask(*words: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, [*words, "--artifacts", str(shop.store.root)])
        return result.exit_code, " ".join(result.output.split())

    code, said = ask("models", "challenge")
    assert code == 1 and "books, shop; choose one by --data NAME" in said
    code, said = ask("models", "challenge", "data.name=books", "release.refit=false")
    assert code == 0 and "promoted" in said
    code, said = ask("models", "history", "--data", "shop")
    assert code == 0 and "decisions about shop" in said
    code, said = ask("models", "list", "--data", "books")
    assert code == 0 and "models of books" in said
    assert shop.served == "ease"


@pytest.mark.parametrize(
    "name", ["LATEST", "latest", "manifest.json", "..", ".books", "a/b", "a:b", "books.", "", "x" * 101]
)
def test_a_data_set_is_not_named_as_the_stores_own_files_are(name: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.name="):
        DataConfig(name=name)


@pytest.mark.parametrize(
    "file",
    ["trained_model/ease/cpu/LATEST", "faiss_index/ease/cpu/LATEST", "leaderboard/LATEST", "pointers/serving.json"],
)
def test_a_store_of_the_earlier_layout_is_refused_in_one_sentence(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text("20250101T000000000Z-aaaa-bbbb")

    result = CliRunner().invoke(cli, ["models", "list", "--artifacts", str(tmp_path)])

    said = " ".join(result.output.split())
    assert result.exit_code == 1 and "move everything in it but feedback/ elsewhere, and materialize again" in said


def test_a_store_of_data_and_feedback_alone_is_of_the_layout_of_today(tmp_path: Path) -> None:
    for file in ("feedback/movielens-small/feedback.db", "raw_ratings/movielens-small/LATEST"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()
    assert ArtifactStore(tmp_path).root == tmp_path
