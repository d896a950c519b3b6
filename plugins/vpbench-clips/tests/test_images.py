"""Image folders, against the arrays their files were made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from vpbench_clips.files import Mark, Unreadable
from vpbench_clips.images import ImageFolder, examine, natural, read_image


def test_frames_are_the_pictures_in_natural_order(folder, image_folder, movie):
    frames = movie(12)
    image_folder(folder / "a", frames)
    files = tuple(sorted((folder / "a").iterdir(), key=lambda path: natural(path.name)))
    found = dict(ImageFolder({path: Mark.of(path) for path in files}, 3).read([0, 9, 10, 11]))
    assert all(np.array_equal(found[k], frames[k]) for k in found)


@given(st.lists(st.integers(0, 10**6), unique=True))
def test_natural_order_is_that_of_the_numbers(numbers):
    names = [f"walk2 {number}.png" for number in numbers]
    assert sorted(names, key=natural) == [f"walk2 {number}.png" for number in sorted(numbers)]


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_every_mode_shows_what_it_looks_like(folder, mode):
    grey = np.linspace(0, 255, 64, dtype=np.uint8).reshape(8, 8)
    image = Image.fromarray(grey).convert("RGB").convert(mode)
    image.save(folder / "a.png")
    found = read_image(folder / "a.png")
    expected = np.asarray(image.convert("L" if mode in ("L", "1", "LA") else "RGB"))
    assert found.shape[2] == (1 if mode in ("L", "1", "LA") else 3)
    assert np.array_equal(found.squeeze(), expected)


def test_16_bits_are_rounded_to_8_and_not_cut_off(folder):
    deep = np.array([[0, 128, 129, 257, 40_000, 65_535]], dtype=np.uint16)
    Image.fromarray(deep).save(folder / "a.png")
    assert read_image(folder / "a.png")[0, :, 0].tolist() == [round(value / 257) for value in deep[0].tolist()]


def test_what_is_transparent_is_black(folder):
    image = Image.new("RGBA", (2, 1), (200, 100, 50, 255))
    image.putpixel((1, 0), (200, 100, 50, 0))
    image.save(folder / "a.png")
    assert read_image(folder / "a.png").tolist() == [[[200, 100, 50], [0, 0, 0]]]


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (8, 1), (3, 2), (6, 3)])
def test_a_picture_that_was_taken_upright_stands_upright(folder, orientation, turns):
    pixels = np.arange(35, dtype=np.uint8).reshape(5, 7)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(folder / "a.png", exif=exif)
    assert np.array_equal(read_image(folder / "a.png")[..., 0], np.rot90(pixels, turns))


def test_one_coloured_picture_makes_a_coloured_recording(folder):
    Image.new("L", (4, 4), 7).save(folder / "a.png")
    Image.new("RGB", (4, 4), (1, 2, 3)).save(folder / "b.png")
    files = (folder / "a.png", folder / "b.png")
    assert examine(files) == (4, 4, 3)
    assert [
        picture[0, 0].tolist() for _, picture in ImageFolder({path: Mark.of(path) for path in files}, 3).read([0, 1])
    ] == [[7, 7, 7], [1, 2, 3]]


def test_pictures_of_several_sizes_in_one_folder_are_named(folder):
    Image.new("L", (4, 4)).save(folder / "a.png")
    Image.new("L", (4, 5)).save(folder / "b.png")
    with pytest.raises(Unreadable, match=r"several sizes: a\.png is 4×4, b\.png 5×4"):
        examine((folder / "a.png", folder / "b.png"))


def broken(path, how):
    if how == "cut off":
        Image.effect_noise((64, 64), 90).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif how == "no picture":
        path.write_bytes(b"hello")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "huge":
        Image.new("L", (8, 8)).save(path)
        content = path.read_bytes()
        side = (100_000).to_bytes(4, "big")
        path.write_bytes(content.replace((8).to_bytes(4, "big") * 2, side * 2, 1))
    elif how == "several":
        pages = [Image.new("L", (8, 8), k) for k in range(3)]
        pages[0].save(path, format="TIFF", save_all=True, append_images=pages[1:])
    elif how == "32 bits":
        Image.fromarray(np.zeros((4, 4), dtype=np.float32)).save(path, format="TIFF")


@pytest.mark.parametrize("how", ["cut off", "no picture", "empty", "huge", "several", "32 bits"])
def test_a_bad_picture_is_named(folder, how):
    broken(folder / "a.png", how)
    with pytest.raises(Unreadable, match=r"a\.png cannot be read \("):
        read_image(folder / "a.png")
