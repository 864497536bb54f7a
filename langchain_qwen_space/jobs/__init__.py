"""Big batches: a file of prompts becomes a file of answers, and may be killed at any moment.

`run_batch` asks a model about every row of a JSONL, CSV or Parquet file, on this machine or on a
Ray cluster. Each answer is on disk as soon as it has come; the same call made again goes on where
the last one ended.
"""

from langchain_qwen_space.jobs.job import Job, Progress, default_ledger
from langchain_qwen_space.jobs.runner import Options, arun_batch, run_batch

__all__ = ["Job", "Options", "Progress", "arun_batch", "default_ledger", "run_batch"]
