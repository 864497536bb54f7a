"""Big batches: a file of prompts becomes a file of answers, and may be killed at any moment.

`run_batch` asks a model about every row of a JSONL, CSV, TSV or Parquet file, on this machine or on a
Ray cluster. Each answer is on disk as soon as it has come; the same call resumes where
the last one stopped.
"""

from langchain_qwen_space.jobs.batch import BatchOptions, arun_batch, run_batch
from langchain_qwen_space.jobs.job import Job, Progress, store_path

__all__ = ["BatchOptions", "Job", "Progress", "arun_batch", "run_batch", "store_path"]
