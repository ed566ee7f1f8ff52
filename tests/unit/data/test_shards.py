"""Shards of a pass over images."""

import pytest

from simformer.data.shards import Shard
from simformer.errors import UserError


@pytest.mark.parametrize("length", [0, 1, 7, 12])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_every_position_belongs_to_one_shard(length, count):
    shards = [Shard(number, count) for number in range(1, count + 1)]
    positions = [position for shard in shards for position in shard.positions(length)]
    assert sorted(positions) == list(range(length))
    sizes = [len(shard.positions(length)) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


def test_the_text_of_a_shard():
    assert Shard.parse("2of4") == Shard(2, 4)


@pytest.mark.parametrize("text", ["", "2", "0of4", "5of4", "2/4", "-1of4", "2of4x"])
def test_other_texts_are_refused(text):
    with pytest.raises(UserError, match="expected NUMBERofCOUNT"):
        Shard.parse(text)
