"""Parts of `scripts/bench_loading.py`: how many samples a second a DataLoader gives from the local disk, in several formats.

    ways        what is compared: a layout on disk and how it is read
    layouts     keeps the same encoded pictures in every layout (`bench_rows` writes them)
    readers     one loader for each way, as its library's documentation shows it
    read        one epoch, in a process of its own
    memory      peak memory of a process and its children
    report      medians, ratios, table
"""
