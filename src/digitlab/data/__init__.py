"""Data sets: catalogued, fetched or imported, verified, and split.

`catalog` says what there is; `idx` reads one file and verifies its form; `cache` is where files lie;
`library` puts these together and loads; `fetch` and `importing` fill the cache; `splits` chooses which
images a run sees; `dataset` is the value that all of it yields.
"""

from digitlab.data.arrays import Dataset, LabelledImages
from digitlab.data.registry import load, names

__all__ = ["Dataset", "LabelledImages", "load", "names"]
