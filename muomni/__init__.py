"""μOmni: a course and a toolkit that builds a small omni model from zero.

The rooms, from the top down (imports run downwards only):

cli, widgets, course → infer, evaluate, train → models → nn; and plan → data → config.
"""

__version__ = "0.1.0"
