"""Parts of `scripts/bench_versions.py`: what a new version of a set costs to send.

chunking    content-defined chunks as Xet cuts them, and which bytes are new to a store
sets        the sets that are sent one over the other
sending     sends them to a local Hub with the real client, and counts
layouts     the same rows written with other options of the Parquet writer
report      tables
"""
