"""Published video-prediction models as vpbench plugins: the PredRNN family, SimVP, SimVPv2 and TAU."""

from collections.abc import Iterable

import vpbench

from . import predrnn_specs, simvp_specs


@vpbench.hookimpl
def vpbench_models() -> Iterable[vpbench.ModelSpec]:
    yield from predrnn_specs.SPECS
    yield from simvp_specs.SPECS
