"""Numbers that are part of what a metric means: another value would be another version of it."""

from __future__ import annotations

#: PSNR of a perfect frame, dB: infinity cannot be averaged. Being off by one grey level of 255 everywhere is 48 dB.
PSNR_CAP_DB = 100.0

#: A value is foreground above half the range: the middle between the ink and the background of Moving MNIST.
FOREGROUND = 0.5
