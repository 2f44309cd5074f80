"""Source pictures by their addresses: a list goes in, a folder of whole, checked pictures with its SOURCES.csv comes out.

`run.py` is where to begin. The client is httpx2, which huggingface_hub brings along; robots.txt is read by protego.
"""
