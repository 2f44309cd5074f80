"""Rooms, cut-outs, augmentation and batches of the training, on small pictures made here."""

import cv2
import numpy as np
import pytest

from fgbg_depth.depth.training import augment as augment_module
from fgbg_depth.depth.training.augment import augment, relight, warp
from fgbg_depth.depth.training.batches import batches_ahead, make_batch, output_rows
from fgbg_depth.depth.training.paste import (
    contain_size,
    is_held_out,
    load_cutouts,
    paste,
    paste_random,
    place_depth_mm,
    resize_cutout,
)
from fgbg_depth.depth.training.rooms import Rooms, list_views, load_rooms, split_of_room
from fgbg_depth.errors import DataError, UsageError

SIDE = 224


def room_picture(seed=0):
    """A slanted floor under a wall: (224, 224, 3) uint8 and (224, 224) uint16 millimetres."""
    rng = np.random.default_rng(seed)
    depth = np.full((SIDE, SIDE), 4000.0)
    depth[SIDE // 2 :] = 4000.0 * (SIDE / 2) / np.arange(SIDE // 2, SIDE)[:, None]
    image = np.clip(255 - depth[..., None] / 20 + rng.normal(0, 5, (SIDE, SIDE, 3)), 0, 255)
    return image.astype(np.uint8), depth.astype(np.uint16)


def write_view(folder, name, seed=0):
    image, depth = room_picture(seed)
    cv2.imwrite(str(folder / f"{name}.jpg"), image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])
    cv2.imwrite(str(folder / f"{name}.png"), depth)


def disc(side=60, colour=(200, 30, 60)):
    """A flat-coloured disc with a soft edge, premultiplied floats."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    alpha = np.clip(side / 2 - 2 - np.hypot(y, x), 0, 1).astype(np.float32)[..., None]
    return np.concatenate([np.array(colour, np.float32) / 255 * alpha, alpha], axis=2)


def test_split_is_by_room_and_near_its_shares():
    rooms = [f"{i:05d}" for i in range(4000)]
    splits = [split_of_room(r) for r in rooms]
    assert abs(splits.count("test") / 4000 - 0.10) < 0.015
    assert abs(splits.count("watch") / 4000 - 0.04) < 0.01
    assert [split_of_room(f"{i:05d}") for i in range(6)] == splits[:6]


def test_no_room_is_in_two_splits(tmp_path):
    for room in range(60):
        for view in range(2):
            write_view(tmp_path, f"{room:05d}_{view}", room)
    parts = {split: load_rooms(tmp_path, split) for split in ("train", "watch", "test")}
    rooms = {split: {n.split("_")[0] for n in part.names} for split, part in parts.items()}
    assert sum(len(p) for p in parts.values()) == 120
    assert len(set.union(*rooms.values())) == sum(len(r) for r in rooms.values()) == 60


def test_pictures_and_millimetres_come_back(tmp_path):
    name = next(f"{i:05d}" for i in range(99) if split_of_room(f"{i:05d}") == "train")
    write_view(tmp_path, f"{name}_3", 5)
    rooms = load_rooms(tmp_path, "train")
    image, depth = room_picture(5)
    assert rooms.names == [f"{name}_3"] and len(rooms) == 1
    assert np.array_equal(rooms.depth_mm[0], depth)
    assert np.abs(rooms.images[0].astype(int) - image).mean() < 4  # RGB order, but for JPEG


def test_bad_room_folders_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        list_views(tmp_path / "none")
    with pytest.raises(UsageError, match=r"NNNNN_V\.jpg"):
        list_views(tmp_path)
    write_view(tmp_path, "00001_0")
    write_view(tmp_path, "00002_0")
    (tmp_path / "00002_0.png").unlink()
    with pytest.raises(DataError, match=r"00002_0\.png"):
        list_views(tmp_path)


@pytest.mark.parametrize("damage", ["8 bit", "size", "text"])
def test_bad_depth_map_is_named(tmp_path, damage):
    name = next(f"{i:05d}" for i in range(99) if split_of_room(f"{i:05d}") == "train")
    write_view(tmp_path, f"{name}_0")
    path = tmp_path / f"{name}_0.png"
    if damage == "text":
        path.write_text("no picture")
    else:
        cv2.imwrite(str(path), np.ones((SIDE, SIDE), np.uint8) if damage == "8 bit" else np.ones((100, 100), np.uint16))
    with pytest.raises(DataError, match=f"{name}_0.png"):
        load_rooms(tmp_path, "train")


def test_cutouts_are_divided_trimmed_and_premultiplied(tmp_path):
    for i in range(30):
        canvas = np.zeros((100, 80, 4), np.uint8)
        canvas[20:60, 30:50] = (10, 20, 200, 255)  # BGRA: red
        canvas[40, 30:50, 3] = 128
        cv2.imwrite(str(tmp_path / f"c{i}.png"), canvas)
    train, held = load_cutouts(tmp_path, held_out=False), load_cutouts(tmp_path, held_out=True)
    assert len(train) + len(held) == 30 and held and all(is_held_out(n) for n, _ in held)
    rgba = train[0][1]
    assert rgba.shape == (40, 20, 4) and rgba.dtype == np.float32
    assert np.allclose(rgba[0, 0], [200 / 255, 20 / 255, 10 / 255, 1])
    assert np.allclose(rgba[20, 0], np.array([200 / 255, 20 / 255, 10 / 255, 1]) * 128 / 255)


def test_bad_cutouts_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no such folder"):
        load_cutouts(tmp_path / "none", held_out=False)
    with pytest.raises(UsageError, match="no PNG"):
        load_cutouts(tmp_path, held_out=False)
    name = next(f"c{i}" for i in range(99) if not is_held_out(f"c{i}"))
    cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(DataError, match="RGBA"):
        load_cutouts(tmp_path, held_out=False)
    cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((10, 10, 4), np.uint8))
    with pytest.raises(DataError, match="visible"):
        load_cutouts(tmp_path, held_out=False)


def test_resized_disc_shows_no_fringe():
    small = resize_cutout(disc(), 23, 23)
    seen = small[..., 3] > 0.02
    colour = small[..., :3][seen] / small[..., 3:][seen]
    assert np.abs(colour * 255 - [200, 30, 60]).max() < 0.5


def test_contain_keeps_the_aspect():
    assert contain_size(np.zeros((200, 100, 4)), 100, 70) == (70, 35)
    assert contain_size(np.zeros((50, 200, 4)), 100, 70) == (25, 100)


def test_paste_blends_and_marks():
    image = np.full((100, 100, 3), 100, np.uint8)
    composite, mask = paste(image, disc(), -20, 70)
    assert (image == 100).all()  # the source is untouched
    assert (composite[mask.nonzero()[0].max() - 5, 5] == [200, 30, 60]).all()
    assert mask.sum() == (disc()[:30, 20:, 3] >= 0.5).sum()
    outside = np.ones((100, 100), bool)
    outside[70:, :40] = False
    assert (composite[outside] == 100).all() and not mask[outside].any()
    assert not paste(image, disc(), 200, 0)[1].any()


def test_standing_cutout_takes_the_depth_under_its_feet():
    _, depth = room_picture()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[60:180, 100:130] = True  # feet at row 179, well below the wall's foot at 112
    feet = int(np.median(depth[177:180, 100:130]))
    drawn = [place_depth_mm(depth, mask, np.random.default_rng(i)) for i in range(400)]
    standing = sum(d == feet for d in drawn)
    assert 0.65 < standing / 400 < 0.85
    nearest = np.quantile(depth[mask], 0.1)
    assert all(d == feet or 0.5 * nearest - 1 <= d <= 0.9 * nearest + 1 for d in drawn)


def test_floating_cutout_is_nearer_than_all_it_hides():
    _, depth = room_picture()
    mask = np.zeros((SIDE, SIDE), bool)
    mask[20:80, 100:130] = True  # on the flat wall at 4 m
    drawn = [place_depth_mm(depth, mask, np.random.default_rng(i)) for i in range(200)]
    assert 2000 <= min(drawn) < 2300 and 3300 < max(drawn) <= 3600


def test_pasted_label_is_constant_and_never_behind():
    image, depth = room_picture()
    for seed in range(20):
        composite, labelled = paste_random(image, depth, [("disc", disc())], np.random.default_rng(seed))
        changed = labelled != depth
        assert changed.any() and len(np.unique(labelled[changed])) == 1
        assert np.median(depth[changed]) > labelled[changed][0]
        label = labelled[changed][0]
        covered = cv2.dilate((changed | (depth == label)).astype(np.uint8), np.ones((7, 7))) > 0  # soft edge; feet keep their depth
        assert np.array_equal(composite[~covered], image[~covered])


def test_mirror_moves_picture_and_depth_alike(monkeypatch):
    monkeypatch.setattr(augment_module, "WARP_SHARE", 0.0)
    monkeypatch.setattr(augment_module, "relight", lambda image, rng, strength: image)
    monkeypatch.setattr(augment_module, "degrade", lambda image, rng: image)
    image, depth = room_picture()
    depth = depth + np.arange(SIDE, dtype=np.uint16)[None, :]
    kinds = set()
    for seed in range(12):
        out, label = augment(image, depth, [], np.random.default_rng(seed))
        mirrored = np.array_equal(label, depth[:, ::-1])
        assert np.array_equal(out, image[:, ::-1] if mirrored else image)
        assert mirrored or np.array_equal(label, depth)
        kinds.add(mirrored)
    assert kinds == {True, False}


def test_warp_keeps_picture_and_depth_together_and_leaves_no_gap():
    ramp = np.add.outer(np.arange(SIDE) * 0.5, np.arange(SIDE) * 0.4)
    image = np.repeat(ramp[..., None], 3, axis=2).astype(np.uint8)
    depth = (1000 + 10 * ramp).astype(np.uint16)
    for seed in range(20):
        out, label = warp(image, depth, np.random.default_rng(seed))
        assert (label > 0).all()
        assert np.abs((label.astype(float) - 1000) / 10 - out[..., 0]).max() < 3


def test_augmented_sample_is_a_function_of_its_generator():
    image, depth = room_picture()
    first, second = (augment(image, depth, [("d", disc())], np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert first[0].dtype == np.uint8 and first[1].dtype == np.uint16


def test_calm_part_has_no_zoom_and_weaker_light():
    image, depth = room_picture()
    for seed in range(20):
        _, label = augment(image, depth, [], np.random.default_rng(seed), calm=True)
        assert np.array_equal(label, depth) or np.array_equal(label, depth[:, ::-1])
    change = {
        strength: np.mean([np.abs(relight(image, np.random.default_rng(s), strength).astype(int) - image).mean() for s in range(30)])
        for strength in (0.5, 1.0)
    }
    assert change[0.5] < 0.8 * change[1.0]


def tiny_rooms(count=5):
    views = [room_picture(i) for i in range(count)]
    return Rooms([f"{i}_0" for i in range(count)], np.stack([v[0] for v in views]), np.stack([v[1] for v in views]))


def test_output_rows_are_the_corner_aligned_ones():
    rows = output_rows(224)
    assert rows[0] == 0 and rows[-1] == 223 and len(rows) == 112
    assert np.abs(rows - np.arange(112) * 223 / 111).max() <= 0.5


def test_batch_labels_are_metres_and_depth_0_is_not_valid():
    rooms = tiny_rooms()
    rooms.depth_mm[:, :120] = 0
    _, depth_m, valid = make_batch(rooms, [], seed=0, step=0, batch_size=5)
    assert depth_m.shape == valid.shape == (5, 112, 112) and depth_m.dtype == np.float32
    assert not valid[:, :40].any() and valid[:, 80:].all()
    assert (depth_m[~valid] == 1.0).all() and 1.9 < depth_m[valid].min() < depth_m[valid].max() <= 4.0


def test_epochs_show_every_view_once(monkeypatch):
    monkeypatch.setattr("fgbg_depth.depth.training.batches.augment", lambda image, depth, *_: (image, depth))
    rooms = tiny_rooms(6)
    rooms.images[:] = np.arange(6, dtype=np.uint8)[:, None, None, None]
    orders = [[int(i[0, 0, 0]) for step in (2 * e, 2 * e + 1) for i in make_batch(rooms, [], 3, step, 3)[0]] for e in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(6)) and orders[0] != orders[1]


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_and_start_change_no_batch(threads):
    rooms, cutouts = tiny_rooms(), [("d", disc())]
    source = batches_ahead(rooms, cutouts, seed=4, first_step=2, batch_size=2, threads=threads)
    for step in (2, 3, 4):
        for mine, plain in zip(next(source), make_batch(rooms, cutouts, 4, step, 2), strict=True):
            assert np.array_equal(mine, plain)
    source.close()


def test_calm_batches_begin_at_their_step():
    rooms = tiny_rooms()
    source = batches_ahead(rooms, [], seed=4, first_step=0, batch_size=4, threads=1, calm_from=2)
    for step in range(4):
        assert np.array_equal(next(source)[0], make_batch(rooms, [], 4, step, 4, calm=step >= 2)[0])
    source.close()
    assert not np.array_equal(make_batch(rooms, [], 4, 0, 4)[0], make_batch(rooms, [], 4, 0, 4, calm=True)[0])
