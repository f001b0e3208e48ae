"""The words an annotator chooses from."""

LABELS = ("reach", "grasp", "transport", "place", "release", "idle", "push", "turn", "pour")
"""Labels of segments; the place in this tuple, from 1, is the key. No vague verbs: EgoVerse's rubric fails them."""

REJECTED = "rejected"
"""An episode with this flag is left out of every export."""
FLAGS = ("recovery", "blur", "occluded", "hand lost", REJECTED)
"""What can be wrong with, or notable in, an episode."""

MAX_LABEL, MAX_TEXT = 80, 2000
"""The longest label, and the longest instruction or segment text, in characters."""
