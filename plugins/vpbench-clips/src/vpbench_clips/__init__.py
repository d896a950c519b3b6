"""Other people's videos, image folders and arrays for vpbench. This entry module imports nothing heavy."""

from __future__ import annotations

from collections.abc import Iterable

import vpbench

#: Bump it when frames or splits come out otherwise; it goes into the fingerprint.
CLIPS_VERSION = "1"

#: Endings of what is decoded as a video, animations included.
VIDEO_ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv", ".3gp", ".ts"),
    *(".m2ts", ".mjpeg", ".y4m", ".apng"),
)


@vpbench.hookimpl
def vpbench_datasets() -> Iterable[vpbench.DatasetSpec]:
    yield vpbench.DatasetSpec(
        name="clips",
        factory="vpbench_clips.dataset:Clips",
        config="vpbench_clips.config:Config",
        summary="Your own: a folder of videos or image folders, one video, or arrays (npy, npz, zarr, HDF5)",
        version=CLIPS_VERSION,
        license="that of the files it is given",
        reads=(*VIDEO_ENDINGS, ".npy", ".npz"),
        reader="vpbench_clips.reader:read",
    )
