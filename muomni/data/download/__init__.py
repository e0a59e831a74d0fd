"""Real sets, fetched into the production manifests: `muomni data download text|image|asr|tts|ocr`.

| file | does |
|---|---|
| `sets`, `entry` | the catalogue: address, size, checksum, licence of every set |
| `transfer` | one file over HTTP: goes on where it was cut off, tries again, checks |
| `checksums` | the published checksum, or the one seen at the first download |
| `archives` | zip and tar, unpacked so that nothing lands outside the folder |
| `convert`, `matlab` | a set's own layout → rows |
| `fetch` | all of it in order: agreement, space, transfer, unpacking, rows |

Rows go to `muomni.data.production`, which also serves `muomni data import`.
"""
