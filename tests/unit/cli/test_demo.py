"""What the demo shows fits the terminal that it is shown on."""

import pytest

from headwater.cli.demo import FRAME_LINES, rows_that_fit


@pytest.mark.parametrize(
    ("height", "rows"), [(24, (4, 4)), (50, (8, 6)), (18, (1, 1)), (20, (2, 2)), (5, (1, 1))]
)
def test_rows_follow_the_height(height: int, rows: tuple[int, int]) -> None:
    assert rows_that_fit(height) == rows


def test_a_frame_is_lower_than_its_terminal() -> None:
    smallest = FRAME_LINES + 3
    assert all(sum(rows_that_fit(h)) + FRAME_LINES < h for h in range(smallest, 120))
