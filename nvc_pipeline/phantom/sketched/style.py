"""Which kind of drawing a case is: from a brainstem and tubes in a box of fluid to a crowded head."""

from __future__ import annotations

from dataclasses import dataclass

from nvc_pipeline.phantom.case import CaseOptions
from nvc_pipeline.phantom.sketched.dice import Dice


@dataclass(frozen=True)
class Style:
    """What is drawn, and how.

    ``canal`` is ``none`` (nerves run on through fluid), ``ends`` (nerves end at the porus), ``dry`` (nerves
    in bone), ``cylinder`` or ``cone``. ``bone`` is ``none``, ``slab`` or ``ridge``. ``around`` is ``box``
    (fluid to the image's edge), ``vessel`` (a container) or ``skull``.
    """

    richness: str
    stem: str
    peduncles: bool
    ventricle: bool
    olives: bool
    sulcus_mm: float
    canal: str
    bone: str
    clivus: bool
    labyrinth: bool
    marrow: bool
    cerebellum: str
    flocculus: bool
    around: str
    temporal: bool
    others: float
    extra: float


def draw_style(dice: Dice, options: CaseOptions) -> Style:
    """Draw the kind of a case; ``plain`` ones leave most things out, ``rich`` ones put most in."""
    richness = dice.pick(("plain", "mixed", "rich"), (0.27, 0.38, 0.35))
    p = {"plain": 0.12, "mixed": 0.55, "rich": 0.93}[richness]
    stems = ("plain", "quadric", "outline", "blobs", "wobble")
    stem = dice.pick(
        stems, (0.5, 0.2, 0.1, 0.1, 0.1) if richness == "plain" else (0.06, 0.3, 0.28, 0.14, 0.22)
    )
    bone = dice.pick(("none", "slab", "ridge"), (1 - p, 0.35, p))
    canals = ("none", "ends", "dry", "cylinder", "cone")
    canal = dice.pick(canals, (0.6, 0.4, 0, 0, 0) if bone == "none" else (0, 0.03, 0.07, 0.45, 0.45))
    cerebellum = dice.pick(("none", "smooth", "folia"), (0.9 * (1 - p), 0.25, p))
    head = options.field_of_view == "head"
    around = dice.pick(("box", "vessel", "skull"), (0 if head else 1.1 - p, 0.3, 1.0 if head else p))
    return Style(
        richness=richness,
        stem=stem,
        peduncles=cerebellum != "none" and dice.chance(0.35 + 0.6 * p),
        ventricle=dice.chance(p),
        olives=dice.chance(p),
        sulcus_mm=dice.between(0.0, 2.2) if dice.chance(0.2 + p) else 0.0,
        canal=canal,
        bone=bone,
        clivus=bone != "none" and dice.chance(0.3 + 0.7 * p),
        labyrinth=bone != "none" and dice.chance(p),
        marrow=bone != "none" and dice.chance(p),
        cerebellum=cerebellum,
        flocculus=cerebellum != "none" and dice.chance(p),
        around=around,
        temporal=(around == "skull" and dice.chance(p)) or dice.chance(0.2 * p),
        others=p,
        extra={"plain": 0.15, "mixed": 0.7, "rich": 1.0}[richness],
    )
