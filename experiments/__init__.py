"""The experiments of the report, as grid files of `vpbench run`, and its figures."""
