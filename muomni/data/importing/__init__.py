"""A learner's own recordings, pictures and texts as production manifests: `muomni data import FOLDER --as KIND`.

`layouts` finds out how a folder is laid out, `tables` reads its tables, `take` copies what is usable and writes the
manifest through `muomni.data.production`.
"""
