"""Parts of `scripts/bench_streaming.py`: what a set costs to stream, in several layouts, over a slow link.

    ways        what is compared: a layout in a repository and how it is read
    layouts     puts the rows into the repositories of a local Hub (`bench_rows` writes those of the peers)
    readers     one reader per way: samples, metadata, a data set for a DataLoader
    read        one measurement, in a process of its own
    measure     runs `read` in turn and takes bytes and requests from the Hub's log
    report      medians, aims, tables
"""
