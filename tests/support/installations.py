"""Installations for tests of what is published to a broker and consumed from it."""

import json
from pathlib import Path

from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.values.installation import DEFAULT_NAME, Installation

INSTALLATION = Installation("1" * 32, DEFAULT_NAME, "2" * 32, 1)
NAMES = BrokerNames(INSTALLATION)


def names_in(folder: Path) -> list[BrokerNames]:
    """The names of all installations whose data directories are in this folder."""
    found = []
    for file in folder.rglob("installation.json"):
        content = json.loads(file.read_text())
        found.append(
            BrokerNames(Installation(content["id"], content["name"], content["timeline"], content["partitions"]))
        )
    return found
