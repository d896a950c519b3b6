"""Entry module of the fake distribution."""

import vpbench


@vpbench.hookimpl
def vpbench_models():
    def spec(name, importer, **changes):
        return vpbench.ModelSpec(
            name=name,
            factory="importing_models:Mixture",
            config="importing_models:Config",
            summary="A weighted sum of the context frames",
            version="1",
            learns="weights",
            prefix_stable=True,
            importer=importer and f"importing_models:{importer}",
            **changes,
        )

    yield spec("mixture", "import_mixture")
    yield spec("mixture-in-colour", "import_mixture", channels=3)
    yield spec("imports-nothing", None)
    for fault in ("not_there", "gives_nothing", "gives_numbers", "takes_twice", "breaks", "renames_nothing"):
        yield spec(fault.replace("_", "-"), fault)
