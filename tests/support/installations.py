"""Installations for tests of what is published to a broker and consumed from it."""

from contextlib import suppress
from pathlib import Path

from innkeeper.protocol.delivery.broker_names import BrokerNames
from innkeeper.protocol.values.installation import DEFAULT_NAME, Installation
from innkeeper.storage.installation_file import FILE_NAME, DataRefused, find_installation

INSTALLATION = Installation("1" * 32, DEFAULT_NAME, "2" * 32, 1)
NAMES = BrokerNames(INSTALLATION)


def names_in(folder: Path) -> list[BrokerNames]:
    """The names of all installations whose data directories are this folder, or in it, at most two folders deep."""
    found = []
    for pattern in (".", "*/", "*/*/"):
        for file in folder.glob(f"{pattern}/{FILE_NAME}"):
            with suppress(DataRefused):
                installation = find_installation(file.parent)
                assert installation is not None
                found.append(BrokerNames(installation))
    return found
