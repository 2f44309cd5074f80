"""Copy-paste: objects keep their pixels and metres, masks are their union, chance belongs to the step."""

import pytest
import small_sets
import torch

from fgbg_depth.errors import UsageError
from fgbg_depth.training import Collate, CopyPaste, Normalise, open_rows

NAMES = ("image", "mask", "depth")


@pytest.fixture(scope="module")
def normalise():
    return Normalise((0.4, 0.5, 0.6), (0.2, 0.25, 0.3), depth="metres")


@pytest.fixture(scope="module")
def batch(normalise):
    """The rows of a real set."""
    rows = open_rows(small_sets.small_set("relative8"), "train")
    return normalise(Collate()([rows[i] for i in range(len(rows))]))


def made_batch(normalise, many=6, side=48):
    """Pictures that tell where each pixel comes from: a background of its own gray and metres, an object of its own colour and metres."""
    image, mask = torch.empty(many, 3, side, side), torch.zeros(many, 1, side, side)
    depth = torch.empty(many, 1, side, side)
    for n in range(many):
        image[n], depth[n] = 0.1 + 0.1 * n, 10.0 + n
        place = (slice(None), slice(6 * n, 6 * n + 9), slice(4 + 5 * n, 14 + 5 * n))
        image[n][place] = torch.tensor([1.0, 0.0, n / many]).view(3, 1, 1)
        mask[n][place], depth[n][place] = 1.0, 1.0 + n
    return {"image": (image - normalise.mean) / normalise.std, "mask": mask, "depth": depth, "key": [f"k{n}" for n in range(many)]}


def test_without_chance_nothing_changes(normalise, batch):
    done = CopyPaste(normalise, others=0, share=0.0)(batch, 0)
    assert set(done) == {*NAMES, "known", "kept", "key"} and done["key"] == batch["key"]
    assert (done["known"] == 1).all() and (done["kept"] == 1).all()
    assert torch.equal(done["mask"], batch["mask"]) and torch.equal(done["depth"], batch["depth"])
    torch.testing.assert_close(done["image"], batch["image"])


def test_own_objects_stay_and_backgrounds_change(normalise, batch):
    done = CopyPaste(normalise, others=0, share=1.0, seed=3)(batch, 0)
    own = batch["mask"] > 0
    assert torch.equal(done["mask"], batch["mask"])
    assert torch.equal(done["depth"][own], batch["depth"][own])
    everywhere = own.expand_as(batch["image"])
    torch.testing.assert_close(done["image"][everywhere], batch["image"][everywhere])
    assert ((done["image"] - batch["image"]).abs().amax(1, keepdim=True)[~own] > 0.05).float().mean() > 0.5


@pytest.mark.parametrize("seed", range(6))
def test_every_pixel_is_of_one_picture(normalise, seed):
    many = 6
    made = made_batch(normalise, many)
    done = CopyPaste(normalise, others=3, share=1.0, colour=0.0, size=32, seed=seed)(made, 0)
    image, mask, depth, known = normalise.image_of(done["image"]), done["mask"], done["depth"], done["known"]
    assert image.shape == (many, 3, 32, 32) and mask.shape == depth.shape == known.shape == (many, 1, 32, 32)
    assert set(mask.unique().tolist()) == {0.0, 1.0} and set(known.unique().tolist()) <= {0.0, 1.0}
    inside, outside = mask[:, 0] > 0, (mask[:, 0] == 0) & (known[:, 0] == 1)
    # In an object colours and metres are those of one and the same object.
    numbers = depth[:, 0][inside] - 1
    assert torch.equal(numbers, numbers.round()) and numbers.max() < many
    torch.testing.assert_close(image[:, 2][inside], numbers / many)
    assert (image[:, 0][inside] > 0.999).all()
    # Behind them there is no object that counts, but where the interpolation of the turned picture mixes the two at its edge.
    numbers = depth[:, 0][outside] - 10
    assert numbers.min() >= -1e-4
    torch.testing.assert_close(image[:, 0][outside], 0.1 + 0.1 * numbers)
    assert (known[:, 0][inside] == 1).all()


def test_another_pictures_object_behind_is_not_known(normalise):
    done = CopyPaste(normalise, others=0, share=1.0, colour=0.0, zoom=(1.0, 1.0), seed=1)(made_batch(normalise), 0)
    pixels, unknown = normalise.image_of(done["image"]), done["known"][:, 0] == 0
    assert unknown.any() and (done["mask"][:, 0][unknown] == 0).all()
    reddish = pixels[:, 0] - pixels[:, 1] > 0.02
    assert (done["mask"][:, 0][reddish & ~unknown] == 1).all()


def test_kept_tells_whose_background_is_its_own(normalise):
    made = made_batch(normalise)
    done = CopyPaste(normalise, others=0, share=0.5, colour=0.0, seed=1)(made, 0)
    same = (done["depth"] == made["depth"]).flatten(1).all(1)
    assert done["kept"].shape == (6, 1, 1, 1) and 0 < same.sum() < 6
    assert torch.equal(done["kept"].flatten() == 1, same)


def test_masks_between_0_and_1_blend(normalise):
    made = made_batch(normalise)
    made["mask"] *= 0.5
    done = CopyPaste(normalise, others=0, share=1.0, colour=0.0, zoom=(1.0, 1.0), seed=1)(made, 0)
    half = done["mask"] == 0.5
    assert torch.equal(done["mask"], made["mask"]) and (done["known"][half] == 1).all()
    assert not torch.allclose(done["depth"][half], made["depth"][half])


def test_chance_belongs_to_seed_and_step(normalise, batch):
    first = CopyPaste(normalise, size=24, seed=5)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = first(batch, 2, 7)
    assert torch.equal(torch.get_rng_state(), before)
    first(batch, 2, 8)
    torch.manual_seed(2)
    again = CopyPaste(normalise, size=24, seed=5)(batch, 2, 7)
    assert all(torch.equal(one[name], again[name]) for name in (*NAMES, "known"))
    others = [first(batch, 2, 8), first(batch, 3, 7), CopyPaste(normalise, size=24, seed=6)(batch, 2, 7)]
    assert not any(torch.equal(one["image"], other["image"]) for other in others)


def test_what_comes_in_is_left_as_it_is(normalise):
    made = made_batch(normalise)
    copies = {name: made[name].clone() for name in NAMES}
    CopyPaste(normalise, others=2, share=1.0)(made, 0)
    assert all(torch.equal(made[name], copies[name]) for name in NAMES)


def test_sets_without_depth_and_oblong_pictures(normalise):
    made = {name: value[:, :, :40] for name, value in made_batch(normalise).items() if name in ("image", "mask")}
    done = CopyPaste(normalise, others=1)(made, 0)
    assert set(done) == {"image", "mask", "known", "kept"} and done["image"].shape == (6, 3, 40, 48)
    assert CopyPaste(normalise, others=1, size=40)(made, 0)["mask"].shape == (6, 1, 40, 40)


def test_pieces_lie_as_the_network_wants_them(normalise, batch):
    assert CopyPaste(normalise, size=24)(batch, 0)["image"].is_contiguous(memory_format=torch.channels_last)


WRONG = ({"others": -1}, {"share": 1.5}, {"share": -0.1}, {"zoom": (0.0, 1.0)}, {"zoom": (2.0, 1.0)}, {"size": 0})


@pytest.mark.parametrize("words", WRONG)
def test_wrong_arguments_are_refused(normalise, words):
    with pytest.raises(UsageError, match="expected nothing negative"):
        CopyPaste(normalise, **words)


def test_pieces_larger_than_the_picture_are_refused(normalise, batch):
    with pytest.raises(UsageError, match="can't be cut out of"):
        CopyPaste(normalise, size=1000)(batch, 0)
