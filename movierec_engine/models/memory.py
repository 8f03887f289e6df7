"""Memory that this process may use: what the machine has left, or a container's limit leaves."""

from collections.abc import Iterator
from pathlib import Path

import psutil

_V2 = ("memory.max", "memory.current", "inactive_file")
_V1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
"""Files of a control group's limit and usage, and the line of `memory.stat` with files' pages that give way."""


def memory_budget() -> int:
    """Bytes that this process may hold in all, what it holds already included."""
    return int(psutil.Process().memory_info().rss) + memory_left()


def memory_left() -> int:
    """Bytes that this process may still take.

    That is the memory which the machine has available or, where that is less, what the nearest limit of a control group
    (cgroup v1 or v2) leaves.
    """
    groups = control_group_room(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return min([int(psutil.virtual_memory().available), *groups])


def control_group_room(membership: Path, mount: Path) -> list[int]:
    """Bytes that each memory limit on this process leaves: of its control groups and of all groups around them.

    membership: `/proc/self/cgroup`, with lines such as `0::/docker/1f` (v2) and `4:memory:/docker/1f` (v1).
    mount: where the groups are mounted. In a container its own group is often the root, so that is looked at as well.
    """
    try:
        lines = membership.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if not controllers:
            roots, names = [mount, mount / "unified"], _V2
        elif "memory" in controllers.split(","):
            roots, names = [mount / "memory"], _V1
        else:
            continue
        for root in roots:
            for folder in _upwards(root, path):
                room = _room(folder, *names)
                if room is not None:
                    found.append(room)
    return found


def _upwards(root: Path, path: str) -> Iterator[Path]:
    """A group's folder below the mount, and those around it up to the mount itself."""
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts), -1, -1):
        yield root.joinpath(*parts[:length])


def _room(folder: Path, limit: str, usage: str, reclaimable: str) -> int | None:
    """Memory that a group's limit leaves; None where it has none."""
    try:
        most = int((folder / limit).read_text(encoding="utf-8"))
        used = int((folder / usage).read_text(encoding="utf-8"))
        counts = dict(line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError):  # `max` is no limit
        return None
    return max(0, most - used + int(counts.get(reclaimable, 0)))
