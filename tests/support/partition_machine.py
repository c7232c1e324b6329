"""The state machine of `tests/actors/test_partition_machine.py`, for others that extend it: tests are in no package."""

import importlib.util

from support.paths import ROOT

_spec = importlib.util.spec_from_file_location(
    "partition_machine", ROOT / "tests" / "actors" / "test_partition_machine.py"
)
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
PartitionMachine = _module.PartitionMachine
