"""What can go wrong, and the exit code each kind ends with.

Every error a user can cause is a `VpbenchError`: one line that says what was asked, what is there and what to do.
A traceback is for our own bugs only.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended; the same numbers for every command."""

    OK = 0  #: everything asked for is done, now or before
    FAILED = 1  #: a cell failed, a check did not hold, a plugin is broken
    USAGE = 2  #: the request cannot be understood: unknown name, bad option value, unknown config key
    NOTHING_TO_RUN = 3  #: every cell of the plan was refused or skipped, with its reason
    DATA = 4  #: a file is missing, damaged or not what it claims: weights, data, a record
    STORAGE = 5  #: nothing can be written there: disk full, read-only, not permitted
    BUSY = 6  #: another run is working on the same thing
    INTERRUPTED = 130  #: Ctrl-C; what was finished is kept


class VpbenchWarning(UserWarning):
    """Something that did not end what was asked for but is worth a line, where there is no command line to say it."""


class VpbenchError(Exception):
    """Base of all errors with a one-line explanation for the user."""

    exit_code = ExitCode.FAILED


class UsageError(VpbenchError):
    """The request cannot be understood or cannot be met as asked."""

    exit_code = ExitCode.USAGE


class UnknownName(UsageError):
    """No plugin offers a thing of this name."""


class ConfigError(UsageError):
    """A config key or value does not fit."""


class PluginError(VpbenchError):
    """A plugin broke its contract; the message names the distribution and the phase."""


class Refused(VpbenchError):
    """A cell that cannot work, found before compute; becomes a recorded skip with this reason."""

    exit_code = ExitCode.NOTHING_TO_RUN


class ModelFailed(VpbenchError):
    """A model cannot answer (solver underflow, non-finite frames, wrong shape): a result, not a crash."""


class DataError(VpbenchError):
    """A data file is missing, damaged or not what it claims to be."""

    exit_code = ExitCode.DATA


class WeightsError(DataError):
    """Weights are missing, damaged, unsafe to read, or made for something else."""


class RecordError(DataError):
    """A record cannot be read."""


class StorageError(VpbenchError):
    """A file cannot be written."""

    exit_code = ExitCode.STORAGE


class Busy(VpbenchError):
    """Another process holds the lock of this cell or training run."""

    exit_code = ExitCode.BUSY


def message_of(error: BaseException) -> str:
    """What an error says, empty if nothing: the error class of a plugin may be broken itself."""
    try:
        return str(error).strip()
    except Exception:
        return ""


class CellFailed(VpbenchError):
    """What ended a cell: the phase it was in and the error, for the record."""

    def __init__(self, phase: str, error: BaseException) -> None:
        self.phase, self.type = phase, type(error).__name__
        lines = message_of(error).splitlines()
        self.message = lines[0][:500] if lines else self.type
        explained = isinstance(error, VpbenchError) or not lines
        super().__init__(f"{phase}: {self.message if explained else f'{self.type}: {self.message}'}")

    def reason(self) -> dict[str, str]:
        """As a record stores it."""
        return {"phase": self.phase, "type": self.type, "message": self.message}


class MetricFailed(CellFailed):
    """What ended the measuring of one metric; a cell with others goes on with these."""

    def __init__(self, metric: str, error: BaseException) -> None:
        super().__init__("score", error)
        self.metric = metric
