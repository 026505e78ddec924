"""Data in the formats of files."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from latentcore.cli.tables import read_table
from latentcore.datasets import load_old_faithful

FAITHFUL = load_old_faithful().data
PETS = """species,weight,visits,vaccinated
cat,4.1,2,1
dog,22.5,5,1
cat,3.9,,0
dog,30.2,7,1
rabbit,2.0,1,0
,24.0,6,1
cat,4.4,3,1
dog,27.7,4,
dog,19.0,5,1
rabbit,1.8,0,0
"""


def as_text(delimiter, header):
    text = io.StringIO()
    np.savetxt(text, FAITHFUL, delimiter=delimiter, header=header, comments="", fmt="%.17g")
    return text.getvalue()


def parquet(columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def csv_of(rows):
    return "\n".join(",".join(map(str, row)) for row in rows.tolist()) + "\n"


def as_frame():
    return read_table("@faithful")


def files_of(table, folder, parts):
    """A folder of Parquet files that hold the rows of a table, in order."""
    folder.mkdir()
    for i, rows in enumerate(np.array_split(np.arange(len(table)), parts)):
        pq.write_table(table.take(rows), folder / f"{i}.parquet")
    return folder
