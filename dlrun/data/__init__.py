"""Tables, packaged sets, generators, encoding, splits and scaling.

`load_dataset` reads what `[data]` of an experiment asks for; `split_rows` shares out its rows;
`fit_scaling` learns the scaling from the training rows; `Preprocessing` keeps what a later
prediction needs.
"""

from dlrun.data.dataset import Dataset, load_dataset
from dlrun.data.encoding import ColumnEncoding, encode_table
from dlrun.data.generators import GENERATORS, generate
from dlrun.data.packaged_sets import PACKAGED
from dlrun.data.preprocessing import Preprocessing
from dlrun.data.scaling import Scaling, fit_scaling, fit_scalings
from dlrun.data.sources import load_table
from dlrun.data.splits import Split, split_rows, strata_of
from dlrun.data.table import Table
from dlrun.data.target import infer_task

__all__ = [
    "GENERATORS",
    "PACKAGED",
    "ColumnEncoding",
    "Dataset",
    "Preprocessing",
    "Scaling",
    "Split",
    "Table",
    "encode_table",
    "fit_scaling",
    "fit_scalings",
    "generate",
    "infer_task",
    "load_dataset",
    "load_table",
    "split_rows",
    "strata_of",
]
