"""Writes the skeleton of a chapter.

`python scripts/new_chapter.py 28` makes chapters/28-stage-b-audio-encoder.md and its notebook. The skeleton keeps every
rule of `chapter_rules.py` except that its TODOs are left; its exercises want judges in muomni/course/exercises/ch28.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sync_chapters import ROOT, sync

from muomni.course.chapters import Chapter, chapter, written
from muomni.files import write_text

_HEADER = """\
---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# {number:02d} · {title}

**You will be able to**

- TODO say what the learner can do afterwards
- TODO

**It assumes** TODO name what is assumed, or "nothing".

**Time** reading 15 minutes, running 20 seconds

Index

+++

TODO say what the first cell is for.

```{{code-cell}}
from muomni.course import check, start

start()
```

## What goes wrong

TODO say which failure comes now, and how one sees it.

```{{code-cell}}
print("TODO")
```

## Exercises
"""

_EXERCISE = """
### Exercise {number:02d}.{exercise} · TODO title

Difficulty 2 of 5 · importance 3 of 5 · about 10 minutes

TODO say what is asked.

```{{code-cell}}
:tags: [exercise]

answer = ...
check("{number:02d}.{exercise}", answer)
```

<details><summary>Hint</summary>

TODO

</details>

<details><summary>Solution</summary>

```python
answer = "TODO"
```

</details>
"""


def skeleton(new: Chapter, exercises: int = 2) -> str:
    """The text of a new chapter."""
    parts = [_EXERCISE.format(number=new.number, exercise=i) for i in range(1, exercises + 1)]
    return _HEADER.format(number=new.number, title=new.title) + "".join(parts)


def create(number: int, root: Path = ROOT) -> Path:
    """Write a new chapter and its notebook.

    Raises:
        FileExistsError: the chapter is there already.
    """
    new = chapter(number)
    path = root / "chapters" / f"{new.name}.md"
    if number in written(root):
        raise FileExistsError(f"{path.name} exists already")
    write_text(path, skeleton(new))
    sync(new, root, written(root))
    return path


if __name__ == "__main__":
    try:
        print(f"wrote {create(int(sys.argv[1])).relative_to(ROOT)}; its neighbours' links: make sync")
    except (IndexError, ValueError):
        sys.exit("usage: python scripts/new_chapter.py NUMBER")
    except (FileExistsError, KeyError) as error:
        sys.exit(str(error.args[0]))
