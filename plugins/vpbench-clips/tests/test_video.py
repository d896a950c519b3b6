"""Videos: every frame, whichever way it is reached, against decoders of their own."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image, ImageSequence
from vpbench_clips import video as videos
from vpbench_clips.files import Unreadable
from vpbench_clips.video import Video, VideoFacts, examine

LOSSY = [
    ("a.mp4", "libx264", {"bf": "2"}),  # frames are not stored in the order in which they are shown
    ("a.webm", "libvpx-vp9", {}),
    ("a.avi", "mpeg4", {}),
    ("a.ts", "mpeg2video", {"bf": "2"}),  # where seeking leads astray
]


def all_frames(path):
    facts = examine(path)
    return np.stack([picture for _, picture in Video(path, facts).read(range(len(facts.checksums)))])


def straight_through(path):
    """What PyAV's own conversion makes of all frames, one after another."""
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize(("name", "codec", "pixels"), [("a.mkv", "ffv1", "bgr0"), ("a.avi", "png", "rgb24")])
def test_a_lossless_colour_video_comes_out_as_it_went_in(folder, video, movie, name, codec, pixels):
    frames = movie()
    assert np.array_equal(all_frames(video(folder / name, frames, codec, pixels)), frames)


def test_a_grey_video_has_one_channel_and_its_very_values(folder, video, movie):
    frames = movie()[..., 0]
    assert np.array_equal(all_frames(video(folder / "a.avi", frames)), frames[..., None])


@pytest.mark.parametrize(("name", "codec", "options"), LOSSY)
def test_lossy_videos_are_what_another_decode_of_them_gives(folder, video, movie, name, codec, options):
    path = video(folder / name, movie(40), codec, "yuv420p", **options)
    expected = straight_through(path)
    found = all_frames(path)
    assert found.shape == expected.shape == (40, 16, 24, 3)
    # chroma is brought to full size by another filter there: the frames are the same, their colours nearly
    luma = np.array([0.299, 0.587, 0.114])
    assert np.abs(found @ luma - expected @ luma).mean() < 3
    own = np.abs(found.astype(int) - expected).mean(axis=(1, 2, 3))
    other = np.abs(found[1:].astype(int) - expected[:-1]).mean(axis=(1, 2, 3))
    assert (own[1:] < other).all()


@pytest.mark.parametrize(("name", "codec", "options"), LOSSY)
def test_a_frame_does_not_depend_on_how_it_is_reached(folder, video, movie, name, codec, options):
    path = video(folder / name, movie(60), codec, "yuv420p", **options)
    facts = examine(path)
    whole = dict(Video(path, facts).read(range(60)))
    for wanted in ([33], [41, 43, 59], [36, 37, 38], [0, 5, 50]):
        found = dict(Video(path, facts).read(wanted))
        assert list(found) == wanted
        assert all(np.array_equal(found[k], whole[k]) for k in wanted)


def test_late_frames_are_reached_without_decoding_all_before_them(folder, video, movie, monkeypatch):
    path = video(folder / "a.mkv", movie(100))
    facts = examine(path)
    shown = []
    picture_of = videos.decoded
    monkeypatch.setattr(
        videos, "decoded", lambda *args, **kw: (shown.append(frame.pts) or frame for frame in picture_of(*args, **kw))
    )
    found = dict(Video(path, facts).read([90]))
    assert np.array_equal(found[90], movie(100)[90])
    assert len(shown) <= 6  # frames from one key frame to the next


def test_an_animation_is_as_pillow_shows_it(folder, movie):
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 2, (12, 14), dtype=np.uint8) * 200) for _ in range(5)]
    path = folder / "a.gif"
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=[40, 80, 40, 200, 40], loop=0)
    with Image.open(path) as gif:
        expected = np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(gif)])
    assert np.array_equal(all_frames(path), expected)
    facts = examine(path)
    assert [tick * facts.time_base for tick in facts.ticks] == [Fraction(ms, 1000) for ms in (0, 40, 120, 160, 360)]


def test_what_is_transparent_is_black(folder):
    shape = Image.new("RGBA", (8, 8), (255, 0, 0, 255))
    shape.paste((0, 255, 0, 0), (0, 0, 4, 8))
    moved = Image.new("RGBA", (8, 8), (0, 0, 255, 255))
    moved.paste((0, 255, 0, 0), (0, 0, 8, 4))
    shape.save(folder / "a.gif", save_all=True, append_images=[moved], disposal=2)
    first, second = all_frames(folder / "a.gif")
    assert not first[:, :4].any()
    assert (first[:, 4:] == [255, 0, 0]).all()
    assert not second[:4].any()
    assert (second[4:] == [0, 0, 255]).all()


def test_a_video_that_was_filmed_upright_stands_upright(folder, video, movie):
    path = video(folder / "a.mp4", movie(3), "libx264", "yuv444p")
    lying = all_frames(path)
    one, minus, unit = b"\0\1\0\0", b"\xff\xff\0\0", b"\x40\0\0\0"
    upright = one + bytes(12) + one + bytes(12) + unit
    clockwise = bytes(4) + one + bytes(4) + minus + bytes(16) + unit  # x goes down, y goes left
    before, header, after = path.read_bytes().partition(b"tkhd")
    path.write_bytes(before + header + after.replace(upright, clockwise, 1))
    assert np.array_equal(all_frames(path), np.rot90(lying, -1, axes=(1, 2)))


def test_frames_at_odd_times_keep_them(folder, video, movie):
    times = [0, 40, 100, 110, 300, 310]
    facts = examine(video(folder / "a.mkv", movie(6), times=times))
    assert [round(1000 * tick * facts.time_base) for tick in facts.ticks] == times


def test_facts_survive_being_written_down(folder, video, movie):
    facts = examine(video(folder / "a.mkv", movie(3)))
    assert VideoFacts.from_json(facts.to_json()) == facts


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(("name", "codec", "pixels"), [("a.mp4", "libx264", "yuv420p"), ("a.avi", "mjpeg", "yuvj420p")])
def test_a_video_that_is_cut_off_says_so(folder, video, movie, name, codec, pixels):
    path = video(folder / name, movie(30), codec, pixels)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(Unreadable, match=rf"{name} cannot be read \(.*(cut off|Invalid data|no picture)"):
        examine(path)


def test_a_video_that_lacks_frames_its_header_claims_says_so(folder, video, movie):
    path = video(folder / "a.mp4", movie(30), "libx264", "yuv420p", movflags="faststart")
    with av.open(str(path)) as container, av.open(str(folder / "b.mp4"), "w", options={"movflags": "faststart"}) as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    cut = (folder / "b.mp4").read_bytes()
    (folder / "b.mp4").write_bytes(cut[: len(cut) * 3 // 4])
    with pytest.raises(Unreadable, match=r"b\.mp4 cannot be read \(.*(cut off|damaged)"):
        examine(folder / "b.mp4")


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "it is empty"), (b"no video at all" * 50, "no video that can be decoded"), (b"\0" * 4096, "can be decoded")],
)
def test_what_is_no_video_is_named(folder, content, why):
    (folder / "a.mp4").write_bytes(content)
    with pytest.raises(Unreadable, match=rf"a\.mp4 cannot be read \(.*{why}"):
        examine(folder / "a.mp4")


def test_sound_alone_is_no_video(folder):
    with av.open(str(folder / "a.mkv"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(Unreadable, match="sound only"):
        examine(folder / "a.mkv")


def test_a_playlist_opens_no_other_file(folder, video, movie):
    video(folder / "part.ts", movie(5), "mpeg2video", "yuv420p")
    (folder / "a.mp4").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\npart.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(Unreadable, match=r"a\.mp4 cannot be read"):
        examine(folder / "a.mp4")


def test_a_header_that_claims_huge_frames_is_refused_before_they_are_made(folder, video, movie):
    path = video(folder / "a.avi", movie(2), "png", "rgb24")
    content = bytearray(path.read_bytes())
    for place in range(len(content) - 8):  # of the picture header and of its PNG
        if content[place : place + 8] == (24).to_bytes(4, "little") + (16).to_bytes(4, "little"):
            content[place : place + 8] = (100_000).to_bytes(4, "little") * 2
        if content[place : place + 8] == (24).to_bytes(4, "big") + (16).to_bytes(4, "big"):
            content[place : place + 8] = (100_000).to_bytes(4, "big") * 2
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=r"a\.avi cannot be read"):
        examine(path)


def test_more_pixels_than_are_decoded_are_said(folder, video, movie, monkeypatch):
    path = video(folder / "a.mkv", movie(2))
    monkeypatch.setattr("vpbench_clips.video.MAX_PIXELS", 100)
    with pytest.raises(Unreadable, match="cannot be read"):
        examine(path)


def test_a_video_that_changed_since_it_was_looked_at_is_not_read_as_if_it_had_not(folder, video, movie):
    path = video(folder / "a.mkv", movie(60))
    known = Video(path, examine(path))
    video(path, movie(60, seed=1))
    for wanted in ([2], [50]):
        with pytest.raises(Unreadable, match="is not what it was"):
            list(known.read(wanted))
    video(path, movie(3))
    with pytest.raises(Unreadable, match="ends before frame 5"):
        list(known.read([5]))
