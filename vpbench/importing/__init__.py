"""Weights that others published, made weights of this program: `vpbench weights import`.

A plugin says which tensor of a checkpoint is which of its model (`ModelSpec.importer`). All else is done here: reading
files without running their code, unwrapping what is around the tensors, and holding the plugin's answer to the model.
"""

from .conversion import Purpose, import_weights
from .published_file import PublishedFile

__all__ = ["PublishedFile", "Purpose", "import_weights"]
