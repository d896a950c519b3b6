"""What a report of a bug needs to say, and whether everything here works: `vpbench doctor`.

Nothing is examined in the process that reports: torch and plugins are imported in one of its own, which may crash or
hang, and what it found out until then is still told.
"""

from .diagnosis import Diagnosis, diagnose
from .findings import Finding, Status

__all__ = ["Diagnosis", "Finding", "Status", "diagnose"]
