"""The charts' colours on both themes."""

import pytest

from dashboard import charts


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours by WCAG 2.2: (L1 + 0.05) / (L2 + 0.05) of their relative luminances."""

    def luminance(color: str) -> float:
        channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_and_marks_be_seen(theme: str) -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    for text in (charts.INK, charts.SUBTITLE, charts.CHOSEN):
        assert contrast(text[theme], charts.BACKGROUND[theme]) >= 4.5
    assert contrast(charts.GREY, charts.BACKGROUND[theme]) >= 3
