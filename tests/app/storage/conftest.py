"""A cluster of Redis for the tests that need one."""

from collections.abc import Iterator

import pytest

from app.storage.embedded import find_valkey
from tests.support.valkey_cluster import SHARDS, Three, cluster_of_three


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    """Three primaries, each with a third of the slots."""
    if find_valkey() is None:
        pytest.skip("there is no Valkey for this machine")
    with cluster_of_three([tmp_path_factory.mktemp("shard") for _ in range(SHARDS)]) as three:
        yield three
