"""The folders and zips of the set of 2020: written from a finished set, and read into one."""
