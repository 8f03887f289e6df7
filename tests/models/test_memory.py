"""A container's memory limit counts as the machine's memory does."""

from pathlib import Path

import pytest

from movierec_engine.models.memory import control_group_room, memory_budget

GB = 2**30


def group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.fixture
def membership(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def test_a_limit_of_version_2_leaves_what_is_not_used_and_files_that_give_way(tmp_path: Path, membership: Path) -> None:
    membership.write_text("0::/box\n")
    group(
        tmp_path / "box", memory__max=f"{4 * GB}\n", memory__current=f"{3 * GB}\n", memory__stat=f"inactive_file {GB}\n"
    )
    assert control_group_room(membership, tmp_path) == [2 * GB]


def test_a_limit_of_version_1_is_read_from_its_own_files(tmp_path: Path, membership: Path) -> None:
    membership.write_text("5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n")
    files = {"memory__limit_in_bytes": f"{2 * GB}", "memory__usage_in_bytes": f"{GB}", "memory__stat": "cache 5\n"}
    group(tmp_path / "memory" / "box", **files)
    assert control_group_room(membership, tmp_path) == [GB]


def test_the_groups_around_a_group_limit_it_too_and_one_without_a_limit_does_not(
    tmp_path: Path, membership: Path
) -> None:
    membership.write_text("0::/outer/inner\n")
    group(tmp_path / "outer" / "inner", memory__max="max\n", memory__current="7\n", memory__stat="")
    group(tmp_path / "outer", memory__max="100\n", memory__current="90\n", memory__stat="inactive_file 5\n")
    assert control_group_room(membership, tmp_path) == [15]


def test_inside_a_container_the_limit_stands_at_the_root(tmp_path: Path, membership: Path) -> None:
    membership.write_text("0::/a/path/of/the/host\n")
    group(tmp_path, memory__max="100\n", memory__current="120\n", memory__stat="")
    assert control_group_room(membership, tmp_path) == [0]


def test_without_control_groups_there_is_no_such_limit(tmp_path: Path) -> None:
    assert control_group_room(tmp_path / "nothing", tmp_path) == []
    assert memory_budget() > 0
