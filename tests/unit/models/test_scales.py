import pytest

from bolid_pipeline.errors import ConfigurationError
from bolid_pipeline.models.scales import BlockScale, is_schedule, parse_scale, scale_at

BLOCKS: BlockScale = {"up": {"block_0": 0.8}, "mid": 0.5}


@pytest.mark.parametrize("scale", [1.0, 0, BLOCKS])
def test_a_scale_without_shares_is_the_same_at_every_step(scale) -> None:
    assert not is_schedule(scale)
    assert [scale_at(scale, progress) for progress in (0.0, 0.5, 0.99)] == [scale] * 3


def test_a_schedule_holds_from_each_share_on() -> None:
    schedule: dict[float, BlockScale] = {0.25: 1.0, 0.5: BLOCKS, 0.75: 0}
    assert is_schedule(schedule)
    assert [scale_at(schedule, i / 8) for i in range(8)] == [0.0, 0.0, 1.0, 1.0, BLOCKS, BLOCKS, 0, 0]


@pytest.mark.parametrize("scale", [{0.5: 1.0, "up": 1.0}, {1.0: 1.0}, {-0.1: 1.0}])
def test_keys_that_are_neither_blocks_nor_shares_are_named(scale) -> None:
    with pytest.raises(ConfigurationError, match="names of blocks or shares"):
        is_schedule(scale)


@pytest.mark.parametrize(
    ("text", "scale"),
    [
        ("0.5", 0.5),
        ('{"up": 1.0, "mid": 0.5}', {"up": 1.0, "mid": 0.5}),
        ('{"0": 1.0, "0.5": {"up": 1}}', {0.0: 1.0, 0.5: {"up": 1}}),
    ],
)
def test_a_scale_from_text(text: str, scale) -> None:
    assert parse_scale(text) == scale


@pytest.mark.parametrize("text", ["strong", "[1, 2]", "true", '{"up": 1'])
def test_text_that_is_no_scale_is_named(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no scale: give a number"):
        parse_scale(text)
