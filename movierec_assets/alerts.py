"""Alerts: what people are told of without asking, in a log file, by a webhook, in Slack or by mail."""

import json
import logging
import os
import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import dagster as dg
from pydantic import Field

from movierec_engine.errors import ConfigError

log = logging.getLogger(__name__)

WEBHOOK, SLACK = "MOVIEREC_ALERTS_WEBHOOK", "MOVIEREC_ALERTS_SLACK"
SMTP_USER, SMTP_PASSWORD = "MOVIEREC_SMTP_USER", "MOVIEREC_SMTP_PASSWORD"
"""Environment variables of what is secret: who knows such an address may write to it."""
TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True)
class AlertsConfig:
    """Settings of alerts. Addresses of webhooks are in MOVIEREC_ALERTS_WEBHOOK (JSON with subject and text) and
    MOVIEREC_ALERTS_SLACK, a mail server's user and password in MOVIEREC_SMTP_USER and MOVIEREC_SMTP_PASSWORD."""

    file: str = ""
    """The log file of alerts about failed runs and stale models; by default logs/alerts.log below the artifacts."""
    mail_to: tuple[str, ...] = ()
    """Addresses that get a mail for each; none: no mail."""
    mail_from: str = "movierec@localhost"
    """The address that the mails are from."""
    smtp_host: str = "localhost"
    """The mail server; TLS is used where it offers that."""
    smtp_port: int = 25
    """Its port; 587 where it asks for a user and a password."""

    def __post_init__(self) -> None:
        if wrong := [one for one in (*self.mail_to, self.mail_from) if "@" not in one]:
            raise ConfigError(f"automation.alerts: {wrong[0]!r} is no mail address; it needs an @")


class Alerts(dg.ConfigurableResource[Any]):
    """Tells people something, a subject and a text, everywhere that it knows of; one way that fails stops no other."""

    file: str = Field(description="The log file; it is appended to.")
    webhook: str = Field(default="", description="An address that gets each as JSON, with `subject` and `text`.")
    slack: str = Field(default="", description="A Slack webhook's address.")
    mail_to: list[str] = Field(default=[], description="Addresses that get a mail for each.")
    mail_from: str = Field(default="movierec@localhost", description="The address that the mails are from.")
    smtp_host: str = Field(default="localhost", description="The mail server.")
    smtp_port: int = Field(default=25, description="Its port.")
    smtp_user: str = Field(default="", description="The user at the mail server, if it asks for one.")
    smtp_password: str = Field(default="", description="The user's password.")

    def send(self, subject: str, text: str) -> None:
        """Tell people; raises nothing, as what an alert is about must go on. The log has it in any case."""
        log.error("%s: %s", subject, text)
        ways: list[tuple[str, object, Callable[[str, str], None]]] = [
            (self.file, self.file, self._write),
            ("the webhook", self.webhook, self._post),
            ("Slack", self.slack, self._tell_slack),
            (f"mail by {self.smtp_host}", self.mail_to, self._mail),
        ]
        for name, wanted, way in ways:
            if not wanted:
                continue
            try:
                way(subject, text)
            except Exception as error:  # the address of a webhook is a secret, and stands in none of these
                reason = getattr(error, "strerror", None) or type(error).__name__
                log.error("%s: the alert cannot be written there (%s); mend that, or name another", name, reason)

    def _write(self, subject: str, text: str) -> None:
        path = Path(self.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"    {line}\n" for line in text.splitlines())
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{datetime.now(UTC).isoformat(timespec='seconds')} {subject}\n{lines}")

    def _post(self, subject: str, text: str) -> None:
        _post_json(self.webhook, {"subject": subject, "text": text})

    def _tell_slack(self, subject: str, text: str) -> None:
        _post_json(self.slack, {"text": f"*{_plain(subject)}*\n{_plain(text)}"})

    def _mail(self, subject: str, text: str) -> None:
        mail = EmailMessage()
        mail["Subject"] = f"Movierec: {' '.join(subject.split())}"
        mail["From"], mail["To"] = self.mail_from, ", ".join(self.mail_to)
        mail.set_content(text)
        with smtplib.SMTP(self.smtp_host, self.smtp_port, timeout=TIMEOUT_SECONDS) as server:
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls()
            if self.smtp_user:
                server.login(self.smtp_user, self.smtp_password)
            server.send_message(mail)


def make_alerts(config: AlertsConfig) -> Alerts:
    """The alerts that the settings and the environment ask for; Dagster shows the names of secrets alone."""
    artifacts = os.environ.get("MOVIEREC_ARTIFACTS") or "artifacts"
    return Alerts(
        file=config.file or f"{artifacts}/logs/alerts.log",
        webhook=_secret(WEBHOOK),
        slack=_secret(SLACK),
        mail_to=list(config.mail_to),
        mail_from=config.mail_from,
        smtp_host=config.smtp_host,
        smtp_port=config.smtp_port,
        smtp_user=_secret(SMTP_USER),
        smtp_password=_secret(SMTP_PASSWORD),
    )


def _secret(name: str) -> str:
    """A variable of the environment by its name, or `` where it is not set."""
    return dg.EnvVar(name) if os.environ.get(name) else ""


def _post_json(address: str, content: dict[str, str]) -> None:
    body = json.dumps(content).encode()
    with urlopen(Request(address, body, {"Content-Type": "application/json"}), timeout=TIMEOUT_SECONDS):
        pass


def _plain(text: str) -> str:
    """A text without what Slack takes for links, mentions and markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
