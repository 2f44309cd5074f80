"""What the benchmarks of streaming and of loading share: one set, and its rows in the layouts of other libraries.

    kept        the set, and a folder that is kept until what it was made of changes
    pack        one writer for each layout; runs in the peers' environment
    mosaic      imports mosaicml-streaming beside a torch for CPUs
    process     parts of a benchmark that run in processes of their own, in either environment
"""
