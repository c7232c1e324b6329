"""Copies of a file with one flipped bit each, and what became of them.

INNKEEPER_BIT_FLIPS sets how many bits are flipped, INNKEEPER_BIT_FLIPS_SEED chooses others.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from innkeeper.protocol.values.operator_error import EXIT_DAMAGED, OperatorError
from innkeeper.storage.sqlite.stamps import made_file

FLIPS = int(os.environ.get("INNKEEPER_BIT_FLIPS", "60"))
SEED = int(os.environ.get("INNKEEPER_BIT_FLIPS_SEED", "1"))


def check_flips(path: Path, contents: Callable[[], object], caplog: pytest.LogCaptureFixture) -> Counter[str]:
    """Flip bits of this file, each in a fresh copy; fails where `contents`, which opens the file and reads all of it,
    gives anything else than for the undamaged file, except an error that says which file is damaged. Returns how many
    were refused, were rebuilt with a message, or made no difference."""
    undamaged, original, random = contents(), path.read_bytes(), Random(SEED)
    file = made_file(path)
    changes = file.read_bytes() if file.exists() else None
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    for _ in range(FLIPS):
        offset, bit = random.randrange(len(original)), random.randrange(8)
        damaged = bytearray(original)
        damaged[offset] ^= 1 << bit
        for log in path.parent.glob(f"{path.name}-*"):
            log.unlink()
        path.write_bytes(damaged)
        if changes is not None:
            file.write_bytes(changes)
        what = _outcome(path, undamaged, contents, caplog)
        outcomes[what.partition(":")[0]] += 1
        if what.startswith("wrong"):
            wrong.append(f"bit {bit} of byte {offset}: {what}")
    for log in path.parent.glob(f"{path.name}-*"):
        log.unlink()
    path.write_bytes(original)
    print(f"{path.name}: {FLIPS} flipped bits in {len(original)} bytes: {dict(outcomes)}")
    assert not wrong, "\n".join(wrong)
    return outcomes


def _outcome(path: Path, undamaged: object, contents: Callable[[], object], caplog: pytest.LogCaptureFixture) -> str:
    caplog.clear()
    try:
        found = contents()
    except OperatorError as error:
        is_clear = str(path) in str(error) and "\n" not in str(error) and error.exit_code == EXIT_DAMAGED
        return "refused" if is_clear else f"wrong: refused with {error!r}"
    except Exception as error:
        return f"wrong: {error!r}"
    if found != undamaged or any(record.exc_info for record in caplog.records):
        return "wrong: served, or with a traceback"
    return "rebuilt" if caplog.records else "unused"


def flipped_bits(content: bytes) -> Iterator[bytes]:
    """The content with each of its bits flipped in turn."""
    for number, byte in enumerate(content):
        for bit in range(8):
            yield content[:number] + bytes([byte ^ 1 << bit]) + content[number + 1 :]
