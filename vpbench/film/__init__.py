"""Pictures of predictions: film strips (PNG), animations (GIF, WebP) and videos (MP4), from frames alone.

`canvas` knows colours, type and how a frame becomes pixels, `strip` and `animation` where everything goes, `files` how
it is written. Needs numpy and Pillow, and PyAV for videos; text is drawn with the typeface that Pillow brings, so
nothing depends on the fonts of a machine. The same scenes give the same pixels.
"""

from .animation import animation
from .files import FORMATS, as_animation, as_png, check_writable
from .scene import Scene, Take
from .strip import spread_steps, strip

__all__ = ["FORMATS", "Scene", "Take", "animation", "as_animation", "as_png", "check_writable", "spread_steps", "strip"]
