"""The canonical hand: 21 joints in MediaPipe order, the bones between them, and its frame."""

from typing import Literal

Side = Literal["left", "right"]
SIDES: tuple[Side, ...] = ("left", "right")

FINGERS = ("thumb", "index", "middle", "ring", "little")
JOINTS = (
    "wrist",
    "thumb_cmc", "thumb_mcp", "thumb_ip", "thumb_tip",
    *(f"{finger}_{joint}" for finger in FINGERS[1:] for joint in ("mcp", "pip", "dip", "tip")),
)  # fmt: skip
"""Joint names: wrist, then four per finger from thumb to little."""

PARENTS = (-1, 0, 1, 2, 3, 0, 5, 6, 7, 0, 9, 10, 11, 0, 13, 14, 15, 0, 17, 18, 19)
"""Parent of each joint in the kinematic tree rooted at the wrist."""
BONES = tuple((parent, joint) for joint, parent in enumerate(PARENTS) if parent >= 0)
"""The 20 bones as (parent, joint)."""

WRIST = 0
THUMB_TIP, INDEX_TIP, MIDDLE_TIP, RING_TIP, LITTLE_TIP = 4, 8, 12, 16, 20
TIPS = (THUMB_TIP, INDEX_TIP, MIDDLE_TIP, RING_TIP, LITTLE_TIP)
INDEX_MCP, MIDDLE_MCP, RING_MCP, LITTLE_MCP = 5, 9, 13, 17
KNUCKLES = (INDEX_MCP, MIDDLE_MCP, RING_MCP, LITTLE_MCP)
"""The four finger knuckles (MCP joints)."""
