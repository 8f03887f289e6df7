"""How numbers are written: one function a form, used by every surface."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from movierec_engine.reporting import numbers


@pytest.mark.parametrize(
    ("form", "given", "written"),
    [
        (numbers.score, (0.21041,), "0.2104"),
        (numbers.score, (None,), "–"),
        (numbers.score, (0.21041, 2), "0.21"),
        (numbers.signed, (0.01234,), "+0.0123"),
        (numbers.signed, (-0.5, 2), "-0.50"),
        (numbers.interval, (0.20344, 0.22107), "[0.2034, 0.2211]"),
        (numbers.interval, (0.2, None), "–"),
        (numbers.signed_interval, (-0.00123, 0.0034), "[-0.0012, +0.0034]"),
        (numbers.p_value, (0.0009,), "<.001"),
        (numbers.p_value, (0.012,), ".012"),
        (numbers.p_value, (0.0501,), ".050"),
        (numbers.p_value, (0.0996,), ".10"),
        (numbers.p_value, (0.35,), ".35"),
        (numbers.p_value, (1.0,), "1.00"),
        (numbers.p_equals, (0.0001,), "p < .001"),
        (numbers.p_equals, (0.354,), "p = .35"),
        (numbers.mean_and_sd, (0.21, 0.0012), "0.2100 ± 0.0012"),
        (numbers.mean_and_sd, (0.21, None), "0.2100"),
        (numbers.duration, (0.0031,), "3 ms"),
        (numbers.duration, (0.9996,), "1.0 s"),
        (numbers.duration, (9.96,), "10 s"),
        (numbers.duration, (46.4,), "46 s"),
        (numbers.duration, (725,), "12 min"),
        (numbers.duration, (11_100,), "3 h 05 min"),
        (numbers.duration, (86_400,), "24 h 00 min"),
        (numbers.duration, (4.1 * 86_400,), "4 days"),
        (numbers.size, (512,), "512 B"),
        (numbers.size, (3.4 * 1024**2,), "3.4 MB"),
        (numbers.size, (1023.9 * 1024**2,), "1.0 GB"),
        (numbers.size, (5e16,), "45,475 TB"),
        (numbers.memory, (345.2,), "345 MB"),
        (numbers.memory, (1229,), "1.2 GB"),
        (numbers.count, (90_072,), "90,072"),
        (numbers.count, (20_000_263,), "20.0 M"),
        (numbers.percent, (0.1234,), "12.3 %"),
        (numbers.percent, (0.5, 0), "50 %"),
        (numbers.percent_interval, (0.101, 0.1481), "[10.1 %, 14.8 %]"),
        (numbers.relative, (1.103, 1.0), "+10.3 %"),
        (numbers.relative, (0.9, 1.0), "-10.0 %"),
        (numbers.relative, (2.2, 1.0), "2.2 times"),
        (numbers.relative, (1.0, 0.0), "from zero"),
        (numbers.minute, ("2026-11-28T19:05:31+00:00",), "2026-11-28 19:05 UTC"),
        (numbers.day, (1_476_576_000,), "2016-10-16"),
        (numbers.day, (1e18,), "?"),
        (numbers.counted, (1, "user"), "1 user"),
        (numbers.counted, (1234, "user"), "1,234 users"),
        (numbers.counted, (2, "is", "are"), "2 are"),
        (numbers.listed, (["a"],), "a"),
        (numbers.listed, (["a", "b", "c"], "or"), "a, b or c"),
    ],
)
def test_a_number_is_written_in_one_way(form: Callable[..., str], given: tuple[object, ...], written: str) -> None:
    assert form(*given) == written


def test_significance_at_five_percent_can_be_read_off_a_written_p_value() -> None:
    assert [numbers.p_value(p) for p in (0.0494, 0.0506)] == [".049", ".051"]


def test_an_age_is_how_long_ago_an_instant_was_whatever_its_zone() -> None:
    day_ago = datetime.now(UTC) - timedelta(days=1)
    assert [numbers.age(day_ago.isoformat()), numbers.age(day_ago.replace(tzinfo=None).isoformat())] == [
        "24 h 00 min"
    ] * 2
    assert numbers.age((datetime.now(UTC) + timedelta(hours=1)).isoformat()) == "1 ms"
    assert numbers.age("long ago") == "–"
