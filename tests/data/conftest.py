"""What tests of files of one's own have in common."""

from pathlib import Path
from typing import Any

import pytest
from own_files import TOLD, Read

from movierec_engine.data.config import DataConfig
from movierec_engine.data.ratings import Ratings
from movierec_engine.data.readers import read_ratings


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads the ratings of a file with the given content."""

    def reading(content: str | bytes, name: str = "x.csv", encoding: str = "utf-8", **given: Any) -> Ratings:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return read_ratings(DataConfig(ratings_file=str(path), **{**TOLD, **given}))

    return reading
