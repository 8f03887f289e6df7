"""Messages between processes of one machine, whose large arrays lie in files that the receiver maps.

Through a socket each is copied several times, in pieces for which either side waits.
"""

import io
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

_LARGE_BYTES = 2**20


def packed(message: Any, folder: Path) -> bytes:
    """A message as `Connection.recv` unpacks it, once: its large arrays are files in the folder until then."""
    text = io.BytesIO()
    _Packer(text, folder).dump(message)
    return text.getvalue()


class _Packer(ForkingPickler):
    def __init__(self, text: io.BytesIO, folder: Path) -> None:
        super().__init__(text)
        self._folder = folder

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not np.ndarray or value.nbytes < _LARGE_BYTES or value.dtype.hasobject:
            return NotImplemented
        path = self._folder / f"{uuid4().hex}.npy"
        try:
            np.save(path, value)
        except OSError:  # no room there: by the socket, then
            path.unlink(missing_ok=True)
            return NotImplemented
        return _taken, (path,)


def _taken(path: Path) -> NDArray[Any]:
    """The array of a file, which goes once nobody maps it any more; what is written to it is this process' own."""
    array = np.asarray(np.load(path, mmap_mode="c"))
    path.unlink()
    return array
