"""Whom to tell when a run fails."""

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

log = logging.getLogger(__name__)


class Alerts(dg.ConfigurableResource[Any]):
    """Tells people something, in the shape of a mail or a message to a Slack channel: a subject and a text.

    This one writes to a log file. To post to Slack or to send mail, put a resource with another `send` in its place in
    definitions.py; nothing else knows where alerts go.
    """

    file: str = Field(description="The log file; it is appended to.")

    def send(self, subject: str, text: str) -> None:
        """Tell people; raises nothing, as what an alert is about must go on. The log has it in any case."""
        log.error("%s: %s", subject, text)
        path = Path(self.file)
        lines = "".join(f"    {line}\n" for line in text.splitlines())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {subject}\n{lines}")
        except OSError as error:
            log.error("%s: the alert cannot be written there (%s); mend that, or name another", path, error.strerror)
