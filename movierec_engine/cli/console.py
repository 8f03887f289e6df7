"""The command line's messages: log lines on standard error, one sentence for an error, and the exit code."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from dotenv import load_dotenv
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from movierec_engine.errors import ConfigError, MissingExtraError, MovierecError

errors = Console(stderr=True)
_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def read_env_file() -> None:
    """Take settings and secrets from `.env` in the working folder; what the environment has already stays."""
    load_dotenv(Path.cwd() / ".env")


def log_to_console(*names: str) -> None:
    """Show the log of packages, at least the engine's: pretty on a terminal, plain lines elsewhere."""
    handler: logging.Handler = RichHandler(console=errors, show_path=False, show_level=False, omit_repeated_times=False)
    if not errors.is_terminal:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    for name in {"movierec_engine", *names}:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


@contextmanager
def one_sentence_errors() -> Iterator[None]:
    """Print an error that is the user's to mend as one sentence and exit: 2 for a wrong setting, 1 for anything else.

    What the file system refuses is the user's to mend too: a folder without rights, a file in its place, a full disk.
    Ctrl-C ends with 130, SIGTERM with 143 and SIGHUP with 129, all after cleaning up; a reader that has gone, such as
    `head`, ends the command quietly. With HYDRA_FULL_ERROR=1 in the environment the stack trace is shown instead.
    """
    full_error = os.environ.get("HYDRA_FULL_ERROR") == "1"
    ended_by: list[signal.Signals] = []
    try:
        with _interrupted_by(ended_by):
            yield
        sys.stdout.flush()
    except MovierecError as error:
        if full_error:
            raise
        print_error(error)
        sys.exit(exit_code(error))
    except ModuleNotFoundError as error:
        if full_error or (error.name or "").startswith("movierec"):
            raise
        print_error(MissingExtraError(error))
        sys.exit(1)
    except click.UsageError as error:
        where = f"; see `{error.ctx.command_path} --help`" if error.ctx else ""
        print_error(f"{_sentence(error)}{where}")
        sys.exit(error.exit_code)
    except click.ClickException as error:
        print_error(_sentence(error))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains at its end
        sys.exit(141)
    except OSError as error:
        if full_error or not error.strerror:
            raise
        place = error.filename2 or error.filename  # of a copy, where it was to go
        where = f"{place}: " if place else ""
        print_error(f"{where}{error.strerror}; mend that, or choose another folder, the store's by MOVIEREC_ARTIFACTS")
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        with suppress(OSError):  # the terminal may be closed
            errors.print("stopped")
        sys.exit(128 + (ended_by or [signal.SIGINT])[-1])


@contextmanager
def _interrupted_by(ended_by: list[signal.Signals]) -> Iterator[None]:
    """In the body the signals of `kill`, systemd, containers and closed terminals interrupt as Ctrl-C does, once.

    An error after an interrupt counts as the interrupt: libraries that it reaches, as DuckDB, raise one of their own.
    ended_by: takes what came. What is handled otherwise, or is ignored as below `nohup`, stays so.
    """
    process = os.getpid()
    heeded: list[signal.Signals] = []

    def interrupt(number: int, frame: object) -> None:
        if os.getpid() != process:  # a fork, which has nothing to clean up
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        for one in heeded:
            signal.signal(one, signal.SIG_IGN)  # a shell sends SIGHUP beside the terminal
        ended_by.append(signal.Signals(number))
        raise KeyboardInterrupt

    def ctrl_c(number: int, frame: object) -> None:
        ended_by.append(signal.SIGINT)
        raise KeyboardInterrupt

    heeds_ctrl_c = False
    if threading.current_thread() is threading.main_thread():  # which alone may handle signals
        heeded = [one for one in _ENDING_SIGNALS if signal.getsignal(one) == signal.SIG_DFL]
        heeds_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    for one in heeded:
        signal.signal(one, interrupt)
    if heeds_ctrl_c:
        signal.signal(signal.SIGINT, ctrl_c)
    try:
        yield
    except Exception as error:
        if ended_by:
            raise KeyboardInterrupt from error
        raise
    finally:
        if heeds_ctrl_c:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        if not set(heeded) & set(ended_by):
            for one in heeded:
                signal.signal(one, signal.SIG_DFL)


def print_error(error: MovierecError | str) -> None:
    errors.print(f"[bold red]error:[/] {escape(str(error))}", soft_wrap=True, highlight=False, emoji=False)


def exit_code(error: MovierecError) -> int:
    return 2 if isinstance(error, ConfigError) else 1


def _sentence(error: click.ClickException) -> str:
    return " ".join(error.format_message().split()).rstrip(".")
