"""Linear probes: how much of the truth of clips lies in each code of a model (`vpbench.protocols.Coded`).

`prober` finds model and clips as a run does, `reading` asks for codes, `answers` makes of truth what is to be found,
`linear` fits, `probes` scores with intervals and a control, `report` says it.
"""

from .prober import ProbeRequest, probe, probe_codes, probe_request
from .report import ProbeReport

__all__ = ["ProbeReport", "ProbeRequest", "probe", "probe_codes", "probe_request"]
