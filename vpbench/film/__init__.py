"""Pictures of predictions: film strips (PNG) and animations (GIF, WebP), from frames alone.

`canvas` knows colours, type and how a frame becomes pixels, `strip` and `animation` where everything goes, `files` how
it is written. Needs numpy and Pillow; text is drawn with the typeface that Pillow brings, so nothing depends on the
fonts of a machine. The same scenes give the same pixels.
"""

from .animation import animation
from .files import FORMATS, as_animation, as_png
from .scene import Scene, Take
from .strip import spread_steps, strip

__all__ = ["FORMATS", "Scene", "Take", "animation", "as_animation", "as_png", "spread_steps", "strip"]
