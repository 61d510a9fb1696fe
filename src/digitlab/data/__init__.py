"""Data sets: catalogued, fetched or imported, verified, and split.

`catalog` says what there is; `idx` reads one file and verifies its form; `cache` is where files lie;
`registry` puts these together and loads; `download` and `importing` fill the cache; `splits` chooses which
images a run sees; `arrays` holds the value that all of it yields. `writers` says who wrote each image, where
the files that tell it were fetched or imported (`importing_writers`).
"""

from digitlab.data.arrays import Dataset, LabelledImages
from digitlab.data.registry import load, names
from digitlab.data.writers import Writers, load_writers

__all__ = ["Dataset", "LabelledImages", "Writers", "load", "load_writers", "names"]
