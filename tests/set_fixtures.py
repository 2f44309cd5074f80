"""Fixtures that several test files share: pictures, and finished sets made once for a test session.

Nobody may change what has the scope of the session; `copied`, `plain_copy` and `damaged` are copies for one test.
"""

import shutil

import pytest
from real_runs import NUM_BACKGROUNDS, NUM_FOREGROUNDS, call_good, generate, make_pictures, save_tiny_model
from small_sets import small_set
from streams import keys, make_noise_set, noise_set, stored_rows

# --- pictures and a model for runs of the command line ---


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Small pictures made by code."""
    return make_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="session")
def more_pictures(tmp_path_factory):
    """The same, two more backgrounds and one more foreground."""
    return make_pictures(tmp_path_factory.mktemp("more"), range(NUM_BACKGROUNDS + 2), range(NUM_FOREGROUNDS + 1))


@pytest.fixture(scope="session")
def few_pictures(tmp_path_factory):
    """Fewer of them: 3 backgrounds, 2 foregrounds."""
    return make_pictures(tmp_path_factory.mktemp("few"), range(3), range(2))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Folder of a depth model that takes no time."""
    return save_tiny_model(tmp_path_factory.mktemp("model") / "tiny")


# --- finished sets ---


@pytest.fixture(scope="session")
def plain_set(pictures, tmp_path_factory):
    """A finished set of `pictures` without depth, made by one process."""
    folder = tmp_path_factory.mktemp("plain") / "set"
    call_good(*generate(pictures, folder))
    return folder


@pytest.fixture
def copied(tmp_path):
    """A function that copies a small set."""
    return lambda name: shutil.copytree(small_set(name), tmp_path / name)


@pytest.fixture
def plain_copy(copied):
    """A copy of the small set `plain`."""
    return copied("plain")


# --- a set to be damaged ---


@pytest.fixture(scope="session")
def original_pictures(tmp_path_factory):
    """The pictures of `original`: 5 backgrounds, 2 foregrounds."""
    return make_pictures(tmp_path_factory.mktemp("pictures"), range(5), range(2))


@pytest.fixture(scope="session")
def original(original_pictures, tmp_path_factory):
    """A finished set of 80 rows without depth, 48 of them in train."""
    folder = tmp_path_factory.mktemp("original") / "set"
    call_good(*generate(original_pictures, folder))
    return folder


@pytest.fixture
def damaged(original, tmp_path):
    """A copy of `original` to be damaged."""
    return shutil.copytree(original, tmp_path / "set")


# --- what `datasets` gives ---


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    """Folder for the caches of `datasets`."""
    return tmp_path_factory.mktemp("caches")


@pytest.fixture(scope="session")
def plain_answers(caches):
    """What plain `load_dataset(DIR, config)` gives for a small set, described once for each table."""
    from datasets import load_dataset
    from describe_rows import describe

    answers = {}

    def answer(name, config):
        if (name, config) not in answers:
            loaded = load_dataset(str(small_set(name)), config, cache_dir=str(caches))
            answers[name, config] = {split: describe(data) for split, data in loaded.items()}
        return answers[name, config]

    return answer


# --- sets of noise, for streams ---


@pytest.fixture(scope="session")
def all_keys():
    """The keys of the noise set, in order."""
    return keys(stored_rows(noise_set(), columns=["key"]))


@pytest.fixture
def noise_copy(tmp_path):
    """A noise set of its own for one test."""
    return make_noise_set(tmp_path / "noise")
