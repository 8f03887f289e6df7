"""The dashboard over an object store: its pages read a mirror, which follows what is published, pruned and promoted."""

from pathlib import Path

import pytest
from object_store import as_host, object_store_server
from streamlit.testing.v1 import AppTest

from dashboard.queries.store_files import store_root
from movierec_engine.store import ArtifactStore, Slot
from movierec_engine.store.copying import copy_store
from movierec_engine.store.mirror import HOSTS_OWN, Mirror
from movierec_engine.store.objects import AwayError

APP = str(Path(__file__).parents[2] / "dashboard" / "app.py")
PAGES = ("leaderboard", "training", "data", "explore", "sweeps", "segments")


def shown(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and ".order" not in path.parts
    }


@pytest.mark.slow
def test_a_mirror_has_what_the_pages_read_of_an_object_store_and_follows_it(
    known: ArtifactStore, tmp_path: Path
) -> None:
    with object_store_server() as server, as_host(server, tmp_path / "host"):
        url = f"{server.bucket('movies')}/team"
        remote = ArtifactStore(url)
        copy_store(known, remote)
        mirror = Mirror(url)
        assert mirror.refresh() == []
        own = {name: content for name, content in shown(known.root).items() if not name.startswith(HOSTS_OWN)}
        there = shown(mirror.folder)
        left_out = {name for name in own if name not in there}
        assert all(name.startswith(("trained_model", "faiss_index")) for name in left_out), left_out
        assert all(there[name] == own[name] for name in there if "manifest" not in name)
        slot = Slot("backtest", "new", "ease", "cpu")
        made = remote.publish(slot, lambda folder: (folder / "a.json").write_text("1"), key="k", fingerprint="f")
        assert mirror.refresh() == []
        assert ArtifactStore(mirror.folder).require(slot).verify().version == made.version
        remote.storage.remove(slot, made.version)
        mirror.refresh()
        assert ArtifactStore(mirror.folder).storage.versions(slot) == []
        with server.away(), pytest.raises(AwayError):
            mirror.refresh()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_page_shows_an_object_store_as_it_shows_a_folder(
    known: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    with object_store_server() as server, as_host(server, tmp_path / "host"):
        url = f"{server.bucket(page)}/team"
        copy_store(known, ArtifactStore(url))
        seen = []
        for place in (str(known.root), url):
            monkeypatch.setenv("MOVIEREC_ARTIFACTS", place)
            app = AppTest.from_file(APP, default_timeout=120)
            if page != "leaderboard":
                app.switch_page(f"views/{page}.py")
            app.run()
            assert not app.exception
            texts = [str(one.value) for one in (*app.header, *app.metric, *app.error, *app.markdown)]
            seen.append([text.replace(str(store_root()), "") for text in texts])
        assert seen[0] == seen[1]
        assert seen[1]
