"""What goes into the networks and what comes out: the order of channels, as data.

The order is written into every bundle; a bundle with another order is refused.
"""

from __future__ import annotations

from nvc_pipeline.domain.anatomy import Landmark, Structure

BACKGROUND = 0
IGNORE = 255
"""Label of voxels that no loss and no score may look at: outside the scanned volume, or unlabelled."""

EXCLUSIVE: tuple[Structure, ...] = (
    Structure.BRAINSTEM,
    Structure.FACIAL_NERVE,
    Structure.VESTIBULOCOCHLEAR_NERVE,
    Structure.AICA,
    Structure.PICA,
    Structure.VA,
    Structure.BA,
    Structure.SCA,
    Structure.VEIN,
)
"""Structures that exclude one another, in softmax order; label index is position + 1, background is 0."""

LANDMARKS: tuple[Landmark, ...] = (
    Landmark.ROOT_EXIT_POINT,
    Landmark.ROOT_DETACHMENT_POINT,
    Landmark.PORUS,
)
"""Landmarks of the fine network's heatmap channels, in order."""

LOCATED: tuple[Landmark, ...] = (Landmark.ROOT_DETACHMENT_POINT, Landmark.PORUS)
"""Landmarks of the locator's heatmap channels, in order."""

SOFTMAX = 1 + len(EXCLUSIVE)
ATTACHED_CHANNEL = SOFTMAX
"""Sigmoid channel of the attached segment: a corridor that overlaps the brainstem."""

FINE_OUT = SOFTMAX + 1 + len(LANDMARKS)
FINE_IN = 7
"""Cisternogram, TOF, where each is known (2), and lateral, posterior, superior position (3)."""

LOCATOR_IN = 4
"""Cisternogram, TOF, and where each is known."""

LABEL_OF: dict[Structure, int] = {structure: i + 1 for i, structure in enumerate(EXCLUSIVE)}


def output_names() -> list[str]:
    """Return the names of the fine network's output channels, as a bundle's metadata lists them."""
    return [
        "background",
        *(s.value for s in EXCLUSIVE),
        Structure.ATTACHED_SEGMENT.value,
        *(f"heatmap_{landmark.value}" for landmark in LANDMARKS),
    ]
