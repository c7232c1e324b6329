"""The errors that end the program: each has a message for the operator, and an exit code."""

from typing import Final

EXIT_VIOLATED: Final = 1
EXIT_USAGE: Final = 2
EXIT_IN_USE: Final = 3
EXIT_DAMAGED: Final = 4
EXIT_FAILED: Final = 5


class OperatorError(Exception):
    """The program cannot start or go on. The message says why, and what to do next."""

    exit_code: int = EXIT_USAGE
