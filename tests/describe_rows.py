"""Describe what `datasets` loads, in values that two versions of it can be compared by.

Run as a script it does a list of jobs, so that another interpreter with another `datasets` can do them:

    python describe_rows.py JOBS.json ANSWERS.json

A job is the keyword arguments of `load_dataset`; its answer is `describe` of each split, or {"error": [type, text]}.
"""

import hashlib
import json
import sys


def describe(data):
    """Features, order and content of one split; a stream is read to its end.

    Args:
        data: datasets.Dataset or IterableDataset.

    Returns:
        dict: "features" as in a Parquet file's schema; "rows", for each row a digest of all its values, pictures by their
        decoded pixels; "pictures", for each picture column the sorted [mode, [width, height]] that occur.
    """
    rows, pictures = [], {}
    for row in data:
        plain = {}
        for name, value in row.items():
            if hasattr(value, "tobytes"):  # a PIL picture
                pictures.setdefault(name, set()).add((value.mode, value.size))
                value = [value.mode, value.size, hashlib.sha256(value.tobytes()).hexdigest()]
            plain[name] = value
        rows.append(hashlib.sha256(json.dumps(plain).encode()).hexdigest())
    shapes = {name: [[mode, list(size)] for mode, size in sorted(found)] for name, found in pictures.items()}
    return {"features": data.features.to_dict(), "rows": rows, "pictures": shapes}


def do_job(job):
    """Load and describe; an answer as JSON-able values."""
    from datasets import load_dataset

    try:
        loaded = load_dataset(**job)
        splits = loaded if isinstance(loaded, dict) else {job["split"]: loaded}
        return {split: describe(data) for split, data in splits.items()}
    except Exception as error:  # any error is an answer; the tests look at it
        return {"error": [type(error).__name__, str(error)]}


def main(jobs_file, answers_file):
    with open(jobs_file, encoding="utf-8") as file:
        jobs = json.load(file)
    answers = [do_job(job) for job in jobs]
    with open(answers_file, "w", encoding="utf-8") as file:
        json.dump(answers, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
