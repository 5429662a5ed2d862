"""The plan on a GPU: torch's blocks, whose paths run as CUDA graphs."""

from dyncore.engine.cuda._backend import CudaBackend
from dyncore.engine.cuda._buckets import MAX_GRAPH_BATCH, Buckets, Run, bucket

__all__ = ["MAX_GRAPH_BATCH", "Buckets", "CudaBackend", "Run", "bucket"]
