"""Fetching archives, from a server of our own on this machine."""

import hashlib
import io
import socket
import stat
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

from movierec_engine.data.config import DataConfig
from movierec_engine.data.download import ARCHIVES, fetch
from movierec_engine.data.readers import read_ratings
from movierec_engine.errors import DataError

NAME = "ml-latest-small"
FILE = "ml-latest-small.zip"
RATINGS = b"userId,movieId,rating,timestamp\n1,10,3.5,5\n"


class Server(ThreadingHTTPServer):
    """Serves `files` by name, with their length if `says_length`; answers Range requests; logs `requests`.

    A file whose name ends with `cut` is cut after `cut_after` bytes.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.cut = ".zip"
        self.cut_after: int | None = None
        self.ranges = True
        self.says_length = True
        self.requests: list[tuple[str, str | None]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up, as it may, is no news."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, asked = self.path.lstrip("/"), self.headers.get("Range")
        self.server.requests.append((name, asked))
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if self.server.says_length:
            self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        cut = self.server.cut_after if name.endswith(self.server.cut) else None
        self.wfile.write(content[start:][:cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def quiet() -> Progress:
    return Progress(console=Console(file=io.StringIO()), disable=True)


def archive(entries: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        for name, content in entries.items():
            writer.writestr(name, content)
    return buffer.getvalue()


def publish(server: Server, content: bytes | None = None, *, md5: str | None = None) -> bytes:
    """Puts an archive, by default a good one, and its checksum on the server; returns the archive."""
    content = content or archive({f"{NAME}/": b"", f"{NAME}/ratings.csv": RATINGS, f"{NAME}/README.txt": b"x" * 9000})
    digest = md5 or hashlib.md5(content).hexdigest()
    server.files |= {FILE: content, f"{FILE}.md5": f"MD5 ({FILE}) = {digest}\n".encode()}
    return content


def test_an_archive_is_fetched_unpacked_and_readable(server: Server, tmp_path: Path, quiet: Progress) -> None:
    publish(server)
    folder = fetch(NAME, tmp_path / "data", base_url=server.url, progress=quiet)
    assert folder == tmp_path / "data" / NAME
    assert len(read_ratings(DataConfig(dir=str(folder))).table) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == [NAME]


def test_a_folder_that_is_there_is_not_fetched_again(server: Server, tmp_path: Path, quiet: Progress) -> None:
    publish(server)
    fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    server.requests.clear()
    fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert server.requests == []


def test_an_archive_whose_folder_has_another_name_lands_under_its_own(
    server: Server, tmp_path: Path, quiet: Progress
) -> None:
    server.files["ml-10m.zip"] = archive({"ml-10M100K/ratings.dat": b"1::10::5::5\n"})
    assert (fetch("ml-10m", tmp_path, base_url=server.url, progress=quiet) / "ratings.dat").is_file()


def test_a_cut_download_is_an_error_that_keeps_its_part(server: Server, tmp_path: Path, quiet: Progress) -> None:
    publish(server)
    server.cut_after = 4000
    with pytest.raises(DataError, match=r"the connection was cut after 4,000 of .* bytes\); fetch again to resume"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert (tmp_path / f"{FILE}.part").stat().st_size == 4000
    assert not (tmp_path / NAME).exists()


def test_a_checksum_that_is_cut_is_no_missing_one(server: Server, tmp_path: Path, quiet: Progress) -> None:
    content = publish(server)
    server.cut, server.cut_after = ".md5", 30
    with pytest.raises(DataError, match=r"the connection was cut after 30 of 61 bytes\); fetch again"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert (tmp_path / f"{FILE}.part").read_bytes() == content
    assert not (tmp_path / NAME).exists()


def test_a_cut_download_is_resumed_where_it_ended(server: Server, tmp_path: Path, quiet: Progress) -> None:
    content = publish(server)
    (tmp_path / f"{FILE}.part").write_bytes(content[:4000])
    folder = fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert (FILE, "bytes=4000-") in server.requests
    assert (folder / "ratings.csv").read_bytes() == RATINGS


def test_a_server_without_ranges_starts_the_download_over(server: Server, tmp_path: Path, quiet: Progress) -> None:
    content = publish(server)
    server.ranges = False
    (tmp_path / f"{FILE}.part").write_bytes(content[:4000])
    folder = fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert (folder / "ratings.csv").read_bytes() == RATINGS


def test_a_part_that_is_complete_is_used(server: Server, tmp_path: Path, quiet: Progress) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(publish(server))
    assert fetch(NAME, tmp_path, base_url=server.url, progress=quiet).is_dir()


def test_a_part_that_is_too_long_is_removed(server: Server, tmp_path: Path, quiet: Progress) -> None:
    (tmp_path / f"{FILE}.part").write_bytes(publish(server) + b"more")
    with pytest.raises(DataError, match="did not fit the archive and was removed"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_removes_the_part(server: Server, tmp_path: Path, quiet: Progress) -> None:
    publish(server, md5="0" * 32)
    with pytest.raises(DataError, match=r"the MD5 sum is [0-9a-f]{32} where 0{32} is published"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_checksum_is_said(server: Server, tmp_path: Path) -> None:
    publish(server)
    del server.files[f"{FILE}.md5"]
    said = io.StringIO()
    fetch(NAME, tmp_path, base_url=server.url, progress=Progress(console=Console(file=said, width=200)))
    assert "was not compared with a checksum" in said.getvalue()


def evil(name: str, mode: int = stat.S_IFREG) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        writer.writestr(f"{NAME}/ratings.csv", RATINGS)
        entry = zipfile.ZipInfo(name)
        entry.external_attr = (mode | 0o644) << 16
        writer.writestr(entry, b"/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        evil("../evil"),
        evil(f"{NAME}/../../evil"),
        evil("/evil"),
        evil("C:/evil"),
        evil("..\\evil"),
        evil(f"{NAME}/link", stat.S_IFLNK),
    ],
    ids=["parent", "nested parent", "absolute", "drive letter", "backslash", "link"],
)
def test_an_archive_that_reaches_out_of_its_folder_is_refused(
    server: Server, tmp_path: Path, quiet: Progress, content: bytes
) -> None:
    publish(server, content)
    with pytest.raises(DataError, match=r"leads out of the folder|is a link"):
        fetch(NAME, tmp_path / "data", base_url=server.url, progress=quiet)
    assert list(tmp_path.iterdir()) == [tmp_path / "data"]
    assert list((tmp_path / "data").iterdir()) == []


def test_an_archive_that_unpacks_to_too_much_is_refused(server: Server, tmp_path: Path, quiet: Progress) -> None:
    publish(server)
    with pytest.raises(DataError, match="more than the limit of 1,000"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet, max_unpacked_bytes=1000)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no archive at all", archive({"other.txt": b"x"})])
def test_an_archive_that_is_damaged_or_of_something_else_is_refused(
    server: Server, tmp_path: Path, quiet: Progress, content: bytes
) -> None:
    publish(server, content)
    with pytest.raises(DataError, match="the archive is not usable"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_fails_at_once_and_says_where_to_put_the_files(tmp_path: Path, quiet: Progress) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        started = time.monotonic()
        with pytest.raises(DataError) as error:
            fetch(NAME, tmp_path, base_url=url, progress=quiet)
    assert time.monotonic() - started < 120, "it waits for nothing"
    assert f"unpack {FILE} (about 1 MB) by hand so that {tmp_path / NAME / 'ratings.csv'} exists" in str(error.value)


def test_an_answer_other_than_success_is_said(server: Server, tmp_path: Path, quiet: Progress) -> None:
    with pytest.raises(DataError, match="the server answers 404 Not Found"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet)


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="ml-3m: no such MovieLens data set; choose one of ml-latest-small"):
        fetch("ml-3m", tmp_path)


def test_a_folder_of_that_name_without_ratings_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with pytest.raises(DataError, match=r"holds no ratings\.csv; move it away"):
        fetch(NAME, tmp_path)


def test_every_archive_is_named_after_its_data_set() -> None:
    assert all(archive.file == f"{name}.zip" for name, archive in ARCHIVES.items())


@pytest.mark.parametrize("says_length", [True, False])
def test_more_than_any_release_has_is_refused_and_not_kept(
    server: Server, tmp_path: Path, quiet: Progress, says_length: bool
) -> None:
    publish(server, archive({f"{NAME}/ratings.csv": RATINGS, f"{NAME}/zeros": bytes(5_000_000)}))
    server.files[FILE] += bytes(5_000_000)
    server.says_length = says_length
    with pytest.raises(DataError, match="more than 4,000,000 bytes"):
        fetch(NAME, tmp_path, base_url=server.url, progress=quiet)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) == 0
