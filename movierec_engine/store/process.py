"""Which process left something behind: process numbers are told apart by machine, boot and container."""

import re
import socket
import time
from pathlib import Path

import psutil

ABANDONED_SECONDS = 86_400
"""Seconds without a change after which what a process of another place was writing counts as left behind."""


def place() -> str:
    """The space in which processes are numbered: the host, and on Linux its boot and the container's namespace.

    Two containers may have one host name, and a host counts anew after each boot.
    """
    host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
        return f"{host}_{boot}_{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return host


def is_gone(there: str, pid: int, changed: float) -> bool:
    """True if a process of this host has ended; of another one, if it has not written for ABANDONED_SECONDS.

    changed: when it last wrote something, in seconds since 1970.
    """
    if there == place():
        return not psutil.pid_exists(pid)
    return time.time() - changed > ABANDONED_SECONDS
