"""Files of one's own that register models or metrics, as the environment variable MOVIEREC_PLUGINS names them."""

import os
import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import RLock
from typing import Any

from movierec_engine.errors import ConfigError

PLUGINS = "MOVIEREC_PLUGINS"

_loaded: set[Path] = set()
_lock = RLock()


def load_plugins() -> None:
    """Run each file that MOVIEREC_PLUGINS names, once: `my_model.py`, or several apart by `:` (on Windows `;`).

    Raises ConfigError for one that is not there or fails.
    """
    named = filter(None, os.environ.get(PLUGINS, "").split(os.pathsep))
    with _lock:
        for path in (Path(name).absolute() for name in named):
            if path not in _loaded:
                _loaded.add(path)  # before it runs, since it may ask for models itself
                try:
                    _run(path)
                except BaseException:
                    _loaded.discard(path)
                    raise


def home_of(registered: type | Callable[..., Any]) -> tuple[str, str]:
    """The file and name of a class or function, which are one for a file that is run as a plugin and imported too."""
    file = getattr(sys.modules.get(registered.__module__), "__file__", None)
    return (str(Path(file).absolute()) if file else registered.__module__, registered.__qualname__)


def _run(path: Path) -> None:
    name = f"movierec_plugin_{path.stem}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"{PLUGINS} names {path}, which is no Python file; name one, or unset it")
    sys.modules[name] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ConfigError:
        raise
    except Exception as error:  # whatever somebody's own file raises
        raise ConfigError(f"{PLUGINS} names {path}, which cannot be loaded: {error!r}; mend it") from error
