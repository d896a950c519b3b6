"""Models that ran in another program: what they are asked, and their predictions scored like those of any other model.

`context_files` knows the file that says what is asked, `prediction_files` the one that answers it, `exchange` how the
answers become a model, and so an ordinary plan, run and record.
"""

from .exchange import ask, export_context, plan_scoring, score

__all__ = ["ask", "export_context", "plan_scoring", "score"]
