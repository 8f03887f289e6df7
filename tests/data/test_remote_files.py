"""Files at addresses are copied once and read like others."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from movierec_engine.data.config import DataConfig
from movierec_engine.data.input_files import signature
from movierec_engine.data.readers import read_ratings
from movierec_engine.data.remote_files import _matches
from movierec_engine.errors import DataError


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


class _Cut(_Quiet):
    """Closes the connection after the first lines of a file."""

    def copyfile(self, source: Any, outputfile: Any) -> None:
        outputfile.write(source.read()[:19])


@contextmanager
def serving(folder: Path, handler: type[_Quiet]) -> Iterator[str]:
    """The address of a server of the files in a folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Of a server of the files in `tmp_path`."""
    with serving(tmp_path, _Quiet) as at:
        yield at


@pytest.mark.parametrize("name", ["likes.csv", "likes.parquet"])
def test_a_file_at_an_address_is_read(tmp_path: Path, address: str, name: str) -> None:
    if name.endswith(".csv"):
        (tmp_path / name).write_text("user;item\nann;1\n")
    else:
        pq.write_table(pa.table({"user": ["ann"], "item": [1]}), tmp_path / name)
    table = read_ratings(DataConfig(ratings_file=f"{address}/{name}?version=1")).table
    assert [(row["user_id"], row["movie_id"]) for row in table.to_pylist()] == [("ann", 1)]


def test_a_file_that_is_cut_off_on_its_way_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    (tmp_path / "likes.csv").write_text("user,item\n" + 100 * "ann,1\n")
    with serving(tmp_path, _Cut) as at, pytest.raises(DataError, match=r"was cut after 19 of 610 bytes\)"):
        read_ratings(DataConfig(ratings_file=f"{at}/likes.csv"))


@pytest.mark.parametrize("made", ["{}/nothing.csv", "http://127.0.0.1:1/x.csv", "https://"])
def test_an_address_that_cannot_be_read_is_one_sentence(address: str, made: str) -> None:
    with pytest.raises(DataError, match=r"cannot be read .* check the address, the network") as error:
        read_ratings(DataConfig(ratings_file=made.format(address)))
    assert "\n" not in str(error.value)


def test_a_bad_line_at_an_address_is_named_with_the_address(tmp_path: Path, address: str) -> None:
    (tmp_path / "x.csv").write_text("user,item,rating\n1,2,x\n")
    with pytest.raises(DataError, match=rf"^{address}/x\.csv: line 2: rating 'x' is not a number"):
        read_ratings(DataConfig(ratings_file=f"{address}/x.csv"))


def test_what_lies_at_an_address_and_is_no_table_is_named_with_the_address(tmp_path: Path, address: str) -> None:
    for name, content in {"empty.csv": b"", "nul.csv": b"a,b\n\0\0\n", "half.parquet": b"PAR1"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"^{address}/{name}: "):
            read_ratings(DataConfig(ratings_file=f"{address}/{name}"))


@pytest.fixture
def bucket(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is asked for as the bucket `likes`: its server answers an object's reading as S3 does."""
    settings = {
        "ENDPOINT_URL": address,
        "ACCESS_KEY_ID": "a",
        "SECRET_ACCESS_KEY": "b",
        "REGION": "us-east-1",
        "EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    (tmp_path / "likes").mkdir()
    return tmp_path / "likes"


def test_an_object_of_a_bucket_is_read(bucket: Path) -> None:
    (bucket / "x.csv").write_text("user,item\nann,1\n")
    table = read_ratings(DataConfig(ratings_file="s3://likes/x.csv")).table
    assert [(row["user_id"], row["movie_id"]) for row in table.to_pylist()] == [("ann", 1)]


def test_an_object_that_is_not_there_is_one_sentence(bucket: Path) -> None:
    with pytest.raises(DataError, match=r"s3://likes/y\.csv: cannot be read .* for s3, the AWS_\* variables") as error:
        read_ratings(DataConfig(ratings_file="s3://likes/y.csv"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scheme", ["http", "s3"])
def test_what_lies_at_an_address_has_another_signature_once_it_is_another(
    bucket: Path, address: str, scheme: str
) -> None:
    config = DataConfig(ratings_file=f"{address}/likes/x.csv" if scheme == "http" else "s3://likes/x.csv")
    (bucket / "x.csv").write_text("user,item\nann,1\n")
    before = signature(config)
    assert signature(config) == before
    (bucket / "x.csv").write_text("user,item\nann,12\n")
    assert signature(config) != before
    (bucket / "x.csv").unlink()
    with pytest.raises(DataError, match=r"x\.csv: cannot be read"):
        signature(config)


def test_a_pattern_matches_between_slashes() -> None:
    names = ["b/r/a.csv", "b/r/b.csv", "b/r/c.txt", "b/r/deep/d.csv"]
    assert [name for name in names if _matches(name, "b/r/*.csv")] == names[:2]
    assert [name for name in names if _matches(name, "b/*/*/[d-f].csv")] == names[3:]
