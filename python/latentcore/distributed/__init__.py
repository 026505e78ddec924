"""Fits on data that lie on a cluster: Dask (``pip install 'latentcore[dask]'``) or Spark (``'latentcore[spark]'``).

Expected statistics of the parts are made where the parts lie, and added here in the fixed tree that threads' shards
have too: nothing but parameters and statistics travels, and the fit is that of one machine.
"""

from latentcore.distributed.dask import DaskParts
from latentcore.distributed.fitting import fit
from latentcore.distributed.parcels import Traffic
from latentcore.distributed.spark import SparkParts

__all__ = ["DaskParts", "SparkParts", "Traffic", "fit"]
