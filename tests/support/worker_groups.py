"""Which tests run in the same process when several processes run the tests (`pytest -n 4`), and which start first."""

import pytest

SHARED = {"rabbitmq": "rabbitmq", "kafka": "kafka", "real_kafka": "kafka", "kafka_node": "kafka"}
LONGEST = (  # half a minute or more
    "rabbitmq", "test_killed_processes.py", "test_processes.py", "kafka", "test_replay.py", "test_kill.py",
    "test_simulation.py", "test_wheel.py", "test_partition_machine.py", "test_listening_sockets.py",
)  # fmt: skip


def group_tests(items: list[pytest.Item]) -> None:
    """Mark each test with its group, and move the groups that take longest to the front.

    All tests of the one RabbitMQ are a group, because they use the same queues; so are those of Kafka, which is started
    once. The other tests of a file are a group, because they share its fixtures."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            fixtures: list[str] = getattr(item, "fixturenames", [])
            shared = [SHARED[name] for name in fixtures if name in SHARED]
            item.add_marker(pytest.mark.xdist_group(shared[0] if shared else item.path.name))
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(_group(item), len(LONGEST)))


def check_groups(items: list[pytest.Item]) -> None:
    """Fail where pytest-xdist does not distribute the tests by their groups: version 3.8 cannot with pytest 9.2."""
    for item in items:
        if not item.nodeid.endswith(f"@{_group(item)}"):
            raise pytest.UsageError(f"{item.nodeid} is not distributed with its group: install from constraints.txt")


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    assert marker is not None
    name: str = marker.args[0]
    return name
