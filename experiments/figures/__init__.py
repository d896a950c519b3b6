"""The figures of the report, redrawn from models that are trained here: `python -m experiments.figures`.

__main__        the command: what is needed, what is there, what is drawn
trained         a part of a grid file, carried out; its weights as a model again
style           one look for all of them
trajectories    Figures 1 and 2
balls           Figures 3, 4, 5, 7 and 11
digits          Figures 12, 13 and 14
setups          Figure 9
architectures   Figures 6 and 8
"""
