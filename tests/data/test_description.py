"""`movierec data describe`: what it says of a file, and that its command reads the same."""

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given as for_each
from hypothesis import settings as checked
from hypothesis import strategies as st

from movierec_engine.cli.start import data
from movierec_engine.config import load_settings
from movierec_engine.data.config import DataConfig
from movierec_engine.data.description import command, describe

UNFILTERED = ["data.min_user_interactions=1", "data.min_item_interactions=1"]


@pytest.fixture
def plays(tmp_path: Path) -> Path:
    path = tmp_path / "artist plays.tsv"
    lines = ["userID\tartistID\tweight\ttime\tcountry", "2\t0051\t10\t2012-04-03\tde", "2\t0052\t20\t2012-04-04\tde"]
    path.write_text("\n".join([*lines, "3\t0051\t10\t2012-04-05\tfr", "3\t0051\t10\t2012-04-05\tfr", ""]))
    return path


def test_it_says_form_columns_counts_scale_times_and_what_filters_leave(plays: Path) -> None:
    config = DataConfig(ratings_file=str(plays), rating_min=0, rating_max=0, rating_threshold=0)
    facts = {fact.about: fact.value for fact in describe(config)}
    assert facts["form"] == "UTF-8 text, fields separated by tab, with a header"
    assert [facts[f"{role} column"] for role in ("user", "item", "rating", "time")] == [
        "userID", "artistID", "weight", "time"
    ]  # fmt: skip
    assert facts["other columns"] == ["country"]
    assert [facts[name] for name in ("rows", "repeated rows", "users", "items", "density")] == [4, 1, 2, 2, 0.75]
    assert facts["scale"] == [10.0, 20.0]
    assert facts["distribution"] == {10.0: pytest.approx(2 / 3), 20.0: pytest.approx(1 / 3)}
    assert facts["times"] == ["2012-04-03 00:00:00+00:00", "2012-04-05 00:00:00+00:00"]
    assert facts["after filters"] == [0, 0, 0]


def test_the_command_prints_facts_and_how_to_train(plays: Path) -> None:
    rows = described(plays, *UNFILTERED)
    assert rows["item column"]["text"] == "artistID: texts such as 0051, 0052"
    assert rows["train on it"]["text"] == (
        f"movierec train als data.name=artist-plays \"data.ratings_file='{plays}'\" {' '.join(UNFILTERED)}"
    )


def test_the_command_reads_the_file_as_it_was_described(plays: Path) -> None:
    named = plays.read_text().replace("userID", "Hörer (Nr.)").replace("artistID", "Künstler").replace("\t", ";")
    plays.write_text(named, encoding="latin-1")
    given = [
        "data.columns.user=Hörer (Nr.)",
        "data.columns.item=Künstler",
        "data.columns.rating=",
        "seed=3",
        *UNFILTERED,
    ]
    command = shlex.split(described(plays, *given)["train on it"]["text"])
    assert command[:3] == ["movierec", "train", "als"]
    read = load_settings(command[3:]).data
    assert read == load_settings([f"data.ratings_file='{plays}'", *given, "data.name=artist-plays"]).data
    assert [read.columns.user, read.columns.item, read.columns.rating] == ["Hörer (Nr.)", "Künstler", ""]


def test_where_filters_leave_nothing_it_says_what_to_lower_and_no_command(plays: Path) -> None:
    last = described(plays)["train on it"]
    assert last["value"] == ""
    settings = "data.min_user_interactions, data.min_item_interactions or data.rating_threshold"
    assert last["text"] == f"the filters leave nothing; lower {settings}"


SIGNS = "abüZ09 '\"\\\\$${}{}~[]*?;,=:.!`&|()<>#%@+-_"
_NAMES = st.one_of(
    st.text(SIGNS, min_size=1, max_size=12),
    st.sampled_from(
        ["a'b", "$HOME [1]", 'a"b', "a${b}", "~t", "${", "\\${a}", "x\\\\'", "1e3", "null", "latest", "-x", "="]
    ),
)


@for_each(_NAMES)
@checked(deadline=None)
def test_the_command_names_any_file_as_a_shell_and_the_settings_read_it(name: str) -> None:
    for file in (name, f"{name}.csv", f"/data/{name}"):
        config = DataConfig(name="custom", ratings_file=file)
        words = shlex.split(command(config, ["data.rating_threshold=2"]))
        assert words[:3] == ["movierec", "train", "als"]
        read = load_settings([*words[3:], "device=cpu"]).data
        assert (read.ratings_file, read.rating_threshold) == (file, 2)


@pytest.mark.parametrize("name", ["a'b.csv", "$HOME [1].csv", 'a"b.csv', "a${b}.csv", "~t.csv", "latest.csv"])
def test_a_file_of_any_name_is_described(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path(name).write_text("user,item\n1,2\n")
    facts = described(Path(name), *UNFILTERED)
    assert facts["rows"]["value"] == 1
    assert load_settings([*shlex.split(facts["train on it"]["text"])[3:], "device=cpu"]).data.ratings_file == name


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["1", "2"], "0 of 3 items have a title; ids there look like 1, here like 0001"),
        (["0001", "x"], "1 of 3 items have a title"),
        (["0001", "0002"], "2 of 3 items"),
    ],
)
def test_it_says_how_titles_are_read_and_how_many_items_have_one(tmp_path: Path, ids: list[str], said: str) -> None:
    ratings, titles = tmp_path / "orders.csv", tmp_path / "meta.csv"
    ratings.write_text("user_id,item_id\n7,0001\n7,0002\n8,0003\n")
    titles.write_text("\n".join(["item_id,name,category", *(f"{one},Thing {one},tools" for one in ids), ""]))
    facts = described(ratings, f"data.movies_file={titles}")
    assert facts["titles"]["text"] == f"{titles}: id = item_id, title = name, genres = category, year = none"
    assert facts["items with title"]["text"].startswith(said)


def test_a_file_of_titles_without_a_column_of_them_leaves_all_items_without_title(tmp_path: Path) -> None:
    ratings, titles = tmp_path / "orders.csv", tmp_path / "articles.csv"
    ratings.write_text("user_id,article_id\n7,1\n7,2\n8,3\n")
    titles.write_text("article_id,prod_name,colour\n1,Top,9\n2,Shirt,9\n3,,9\n")
    fact = described(ratings, f"data.movies_file={titles}", "data.item_noun=article")["items with title"]
    assert (fact["value"], fact["text"]) == (
        0,
        "0 of 3 items have a title; their rows have none; name the column of titles by data.columns.title, "
        "one of prod_name, colour",
    )
    named = described(ratings, f"data.movies_file={titles}", "data.columns.title=prod_name")["items with title"]
    assert named["text"] == "2 of 3 items"


def test_a_file_of_titles_alone_says_how_to_look_at_it(tmp_path: Path) -> None:
    titles = tmp_path / "meta.csv"
    titles.write_text("item_id,title\n1,One\n2,Two\n")
    result = CliRunner().invoke(data, ["describe", str(titles)])
    assert "column 'user' is missing" in result.stderr
    assert "`movierec data describe RATINGS data.movies_file=TITLES`" in result.stderr


def test_rows_without_id_are_counted_among_those_left_out(tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("customer,sku,rating\nC1,b1,1\nNULL,b1,1\n,b2,1\nC2,b1,x\n" + "C3,b1,1\n" * 5)
    facts = described(file, "data.format.bad_rows=drop")
    assert [facts[name]["value"] for name in ("rows", "unreadable rows", "rows without id")] == [9, 3, 2]


def test_few_texts_in_a_column_that_nothing_reads_are_shown_with_their_shares(tmp_path: Path) -> None:
    file = tmp_path / "events.csv"
    words = ["view"] * 6 + ["transaction", "addtocart", "", "view"]
    rows = [f"{n},{n},{word},{n},note {n},{n % 2}" for n, word in enumerate(words)]
    file.write_text("\n".join(["visitorid,itemid,event,transactionid,comment,channel", *rows, ""]))
    fact = described(file)["kinds of rows"]
    assert fact["value"] == {"event": {"view": 0.7, "empty": 0.1, "addtocart": 0.1, "transaction": 0.1}}
    assert fact["text"].startswith("event: view 70.0 %, addtocart 10.0 %, transaction 10.0 %, empty 10.0 %; rows")


def test_columns_of_many_texts_are_no_kinds_of_rows(tmp_path: Path) -> None:
    file = tmp_path / "reviews.csv"
    file.write_text("user,item,country\n" + "".join(f"{n},{n},{'de' if n < 1100 else n}\n" for n in range(1200)))
    assert "kinds of rows" not in described(file)


def test_what_stands_for_no_rating_is_said_and_no_end_of_the_scale(tmp_path: Path) -> None:
    file = tmp_path / "anime.csv"
    file.write_text("user_id,anime_id,rating\n" + "".join(f"{n},{n},{n % 6 or -1}\n" for n in range(1, 13)))
    facts = described(file)
    assert facts["scale"]["text"] == "1 to 5"
    assert facts["negative ratings"]["text"].startswith("16.7 % are -1, which is taken for no rating")
    assert facts["low ratings"]["text"].startswith("33.3 % are below 3, ")


def described(file: Path, *words: str) -> dict[str, dict[str, str]]:
    result = CliRunner().invoke(data, ["describe", str(file), *words, "--format", "json"])
    return {row["about"]: row for row in json.loads(result.stdout)}
