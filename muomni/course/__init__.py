"""What the notebooks need: exercise checks, the map of the chapters, figures.

A chapter's first code cell reads:

    from muomni.course import check, start
    start()
"""

from muomni.course.checks import Result, check, exercise
from muomni.course.place import project_folder, start

__all__ = ["Result", "check", "exercise", "project_folder", "start"]
