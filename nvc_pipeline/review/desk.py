"""One case on a reader's desk: its images, its corrections, its form. All that the viewer asks.

The desk knows nothing of windows: each method is one act of the reader and returns what
changed. Every act is on disk when the method returns.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nvc_pipeline.config import Config
from nvc_pipeline.domain.anatomy import Landmark, Side, Structure, VesselClass
from nvc_pipeline.domain.case import Contact, SideReport
from nvc_pipeline.domain.traced import FacialNerve, TracedSide
from nvc_pipeline.errors import UsageError
from nvc_pipeline.geometry import FloatArray, Points, Volume
from nvc_pipeline.review import corrections, records, snap
from nvc_pipeline.review.database import Database
from nvc_pipeline.review.editing import Change, Edit, EditingSession, SideState
from nvc_pipeline.review.journal import DatabaseJournal, Journal, MemoryJournal
from nvc_pipeline.review.live import Estimator, Numbered
from nvc_pipeline.review.reading import ReadingForm, SignedReading, proposed
from nvc_pipeline.review.result import (
    Result,
    ReviewImages,
    load_result,
    review_images,
    traced_from_report,
)
from nvc_pipeline.review.strokes import Painting, Stroke, painted

# How much of the nerve's path a moved point takes along, mm: about the length of its free course
# over which a reader sees where it runs. [P]
_HOLD_MM = 3.0
_MOVED = {Landmark.ROOT_DETACHMENT_POINT: "detachment point", Landmark.PORUS: "porus"}
SideMeasurer = Callable[[TracedSide, Volume], SideReport]


class CaseDesk:
    """A case that is open for one reader.

    Parameters
    ----------
    result:
        The case's result folder in memory.
    measure:
        Measures a traced side on the cisternogram.
    estimate:
        Gives a first estimate instead, at once; :meth:`pending` then names what is to be measured
        exactly, and :meth:`confirm` takes it. Without it each correction is measured exactly.
    database, reader:
        Where the reading is kept and whose it is; without a database the case is shown and
        can be tried out, but not signed.
    """

    def __init__(
        self,
        result: Result,
        config: Config,
        measure: SideMeasurer,
        *,
        estimate: Estimator | None = None,
        database: Database | None = None,
        reader: str = "",
    ) -> None:
        self.result = result
        self.config = config
        self.database = database
        self.reader = reader
        self.images: ReviewImages = review_images(result, config.review)
        self._base_labels = np.array(self.images.labels.array)
        self._measure = measure
        self._estimate = estimate
        self.draft: records.Draft | None = None
        self.signed: SignedReading | None = None
        if database is not None:
            self.signed = records.latest(database, self.case_id, reader)
            self.draft = records.draft_of(database, self.case_id, reader)
        self.session = self._new_session()

    @classmethod
    def open(
        cls,
        folder: Path,
        config: Config,
        measure: SideMeasurer,
        database: Database | None,
        reader: str,
        *,
        estimate: Estimator | None = None,
    ) -> CaseDesk:
        """Read a result folder and put it on the desk, with the corrections of an open draft."""
        return cls(load_result(folder), config, measure, estimate=estimate, database=database, reader=reader)

    def _begin(self) -> records.Draft:
        """Return the draft, starting it: a case that is only looked at stays new in the worklist."""
        assert self.database is not None
        if self.draft is None:
            self.draft = records.open_draft(self.database, self.case_id, self.reader)
        return self.draft

    def _new_session(self) -> EditingSession:
        reports = {side: self.result.report.sides.of(side) for side in Side}
        traced = dict(self.result.traced)
        before = self.signed
        if before is not None:
            # A reopened or signed case starts from what was signed, not from the model's answer.
            reports |= before.measured
            for side in Side:
                if before.edited.get(side):
                    signed_side = traced_from_report(side, reports[side])
                    traced[side] = TracedSide(
                        side,
                        signed_side.nerve,
                        signed_side.vessels,
                        traced[side].pons,
                        eighth=traced[side].eighth,
                        mirror=traced[side].mirror,
                    )
        journal: Journal = MemoryJournal()
        if self.database is not None and (self.draft is not None or self.signed is None):
            journal = DatabaseJournal(self.database, self.draft, self._begin)
        return EditingSession(traced, reports, self._numbers, journal, self.config.review.undo_steps)

    def _numbers(self, before: SideState, traced: TracedSide) -> tuple[SideReport, bool]:
        image = self.result.cisternogram
        if image is None:
            return SideReport.not_measured("there is no cisternogram to measure on"), True
        if traced.nerve is None:
            return SideReport.not_measured(traced.reason or "the facial nerve was not found"), True
        if self._estimate is None:
            return self._measure(traced, image), True
        return self._estimate(Numbered(before.traced, before.report), traced, image), False

    @property
    def estimates(self) -> bool:
        """Whether corrections are first estimated, and measured exactly behind the window."""
        return self._estimate is not None

    def pending(self) -> dict[Side, TracedSide]:
        """Return the sides whose numbers are a first estimate, with the anatomy to measure."""
        now = self.session.now.sides
        return {side: now[side].traced for side in Side if not now[side].exact}

    def confirm(self, side: Side, traced: TracedSide, report: SideReport) -> Change | None:
        """Take the exact measurement of a pending side; None where the side has moved on."""
        return self.session.confirm(side, traced, report)

    def settle(self) -> None:
        """Measure what is pending, now."""
        for side, traced in self.pending().items():
            self.confirm(side, traced, self._measure(traced, self._cisternogram()))

    @property
    def case_id(self) -> str:
        """The case's id, a pseudonym."""
        return self.result.report.case_id

    @property
    def editable(self) -> bool:
        """Whether corrections are open: not when the reading is signed."""
        return self.database is None or self.draft is not None or self.signed is None

    @property
    def form(self) -> ReadingForm:
        """The form as it stands."""
        if self.draft is not None:
            return self.draft.form
        return self.signed.form if self.signed else ReadingForm()

    def report(self, side: Side) -> SideReport:
        """Return the numbers of one side as they stand."""
        return self.session.now.sides[side].report

    def traced(self, side: Side) -> TracedSide:
        """Return the anatomy of one side as it stands."""
        return self.session.now.sides[side].traced

    def contacts(self, side: Side) -> tuple[Contact, ...]:
        """Return the contacts of one side, heaviest first."""
        return self.report(side).contacts

    def labels(self) -> npt.NDArray[np.uint8]:
        """Return the label map on the review grid with the brush strokes, shape (I, J, K)."""
        return painted(self._base_labels, self._strokes())

    def _strokes(self) -> tuple[Stroke, ...]:
        """Return the strokes of the signed version before and of this session."""
        signed = self.signed.painting if self.signed is not None else None
        return (signed.decoded() if signed is not None else ()) + self.session.now.strokes

    def named_at(self, lps: FloatArray) -> str:
        """Return the structure at a point, "" where there is none that is traced or labelled."""
        for side in Side:
            name = corrections.named_at(self.traced(side), lps)
            if name:
                return name
        index = np.rint(self.images.labels.affine.to_ijk(Points(np.asarray(lps, float))).xyz[0]).astype(int)
        if np.any(index < 0) or np.any(index >= self.images.labels.shape):
            return ""
        return self.images.names.get(int(self._base_labels[tuple(index)]), "").replace("_", " ")

    def home(self, side: Side) -> FloatArray:
        """Return where to look first: the heaviest contact, else the detachment point.

        On a side without a nerve: the mirrored place of the other side's detachment point, where
        the reader will look for it; else the middle of the image.
        """
        contacts = self.contacts(side)
        if contacts:
            return np.asarray(contacts[0].nearest_on_nerve_lps_mm)
        nerve = self.traced(side).nerve
        if nerve is not None:
            return np.asarray(nerve.detachment.point.xyz[0])
        reference = self.images.reference
        middle = reference.affine.apply((np.asarray(reference.shape) - 1) / 2)
        other = self.traced(side.other).nerve
        if other is None:
            return middle
        there = np.array(other.detachment.point.xyz[0])
        there[0] = 2 * self._midline_x(float(middle[0])) - there[0]
        return there

    def _midline_x(self, otherwise: float) -> float:
        """Return LPS x of the middle of the labelled brainstem, mm."""
        index = next((i for i, name in self.images.names.items() if name == Structure.BRAINSTEM.value), None)
        found = np.argwhere(self._base_labels == index) if index is not None else np.empty((0, 3))
        return float(self.images.labels.affine.apply(found.mean(axis=0))[0]) if len(found) else otherwise

    def _require_editable(self) -> None:
        if not self.editable:
            raise UsageError(
                "review.signed",
                "This reading is signed and can't be changed",
                where=self.case_id,
                remedy="reopen it with a reason: that makes a new version",
            )

    def _apply(self, edit: Edit) -> Change:
        self._require_editable()
        return self.session.apply(edit)

    def trace_nerve(self, side: Side, clicks: Sequence[FloatArray], action: str = "nerve traced") -> Change:
        """Trace the nerve through clicks from the detachment point to the porus.

        On a side without any vessel, bright vessels of the TOF near the path are added
        unnamed, so that three clicks give a measurement and not an empty list.
        """
        cisternogram = self._cisternogram()
        points = np.asarray(clicks, float)
        settings = self.config.trace
        tube = snap.snap_nerve(cisternogram, points, self.config.review, settings.nerve)
        old = self.traced(side)
        traced = corrections.with_nerve_path(old, side, tube, detachment=tube.xyz[0], porus=tube.xyz[-1])
        if not traced.vessels and self.result.tof is not None:
            near = snap.vessels_about(self.result.tof, tube.xyz, self.config.review, settings)
            traced = replace(traced, vessels=near)
        return self._apply(Edit(action, side, traced))

    def move_landmark(self, side: Side, landmark: Landmark, point: FloatArray) -> Change:
        """Move the detachment point or the porus; the path snaps along the image to it.

        Or the exit point; the attached segment is laid anew from there on the pons.
        """
        if landmark is Landmark.ROOT_EXIT_POINT:
            settings = self.config.trace.corridor
            traced = corrections.with_exit_point(self.traced(side), np.asarray(point, float), settings)
            return self._apply(Edit("exit point moved", side, traced))
        nerve = self.traced(side).nerve
        if nerve is None:
            raise UsageError(
                "review.no_nerve",
                "There is no nerve on this side to move a point of",
                remedy="trace it first: three clicks from the detachment point to the porus",
            )
        line, at = nerve.free.points.xyz, np.asarray(point, float)
        if landmark is Landmark.ROOT_DETACHMENT_POINT:
            hold = _held(line, at)
            clicks, part = [at, line[hold]], (0, hold)
        else:
            hold = len(line) - 1 - _held(line[::-1], at)
            clicks, part = [line[hold], at], (hold, len(line) - 1)
        return self._redraw(side, nerve, clicks, part, f"{_MOVED[landmark]} moved")

    def move_path(self, side: Side, point: FloatArray) -> Change:
        """Draw the nerve's path through a point between its ends."""
        nerve = self.traced(side).nerve
        if nerve is None:
            return self.trace_nerve(side, [point])
        line, at = nerve.free.points.xyz, np.asarray(point, float)
        nearest = int(np.argmin(np.linalg.norm(line - at, axis=1)))
        first = nearest - _held(line[nearest::-1], at)
        last = nearest + _held(line[nearest:], at)
        return self._redraw(side, nerve, [line[first], at, line[last]], (first, last), "path moved")

    def _redraw(
        self, side: Side, nerve: FacialNerve, clicks: list[FloatArray], part: tuple[int, int], action: str
    ) -> Change:
        """Trace the nerve anew between two of its points; what the reader did not touch stays."""
        settings = self.config.trace.nerve
        piece = snap.snap_nerve(self._cisternogram(), np.asarray(clicks, float), self.config.review, settings)
        before = snap.Tube(nerve.free.points.xyz, nerve.free.radius_mm, nerve.centreline_sd_mm)
        tube = snap.spliced(before, *part, piece, settings.step_mm)
        traced = corrections.with_nerve_path(
            self.traced(side), side, tube, detachment=tube.xyz[0], porus=tube.xyz[-1]
        )
        return self._apply(Edit(action, side, traced))

    def add_vessel(self, side: Side, clicks: Sequence[FloatArray], name: VesselClass) -> Change:
        """Trace a vessel through one or more clicks, on the TOF where it is bright there."""
        points = np.atleast_2d(np.asarray(clicks, float))
        settings = self.config.trace.vessels
        tof = self.result.tof
        seen: bool | None = None
        tube: snap.Tube | None = None
        if tof is not None and name is not VesselClass.VEIN:
            field = snap.bright_tubes(tof, points, self.config.review, clicks=points)
            seen = bool(np.median(field.sample(points)) > 0.5)
            if seen:
                # Bright at the click, but too faint to be followed: the cisternogram may show it.
                with contextlib.suppress(UsageError):
                    tube = snap.snap_vessel(tof, points, self.config.review, settings, bright=True)
        if tube is None:
            cisternogram = self._cisternogram()
            tube = snap.snap_vessel(cisternogram, points, self.config.review, settings, bright=False)
        traced = corrections.with_vessel(self.traced(side), tube, name, seen_on_tof=seen)
        return self._apply(Edit(f"{name.value} added", side, traced))

    def rename_vessel(self, side: Side, vessel_id: str, name: VesselClass) -> Change:
        """Give a vessel another name; a vein is a name too."""
        traced = corrections.renamed(self.traced(side), vessel_id, name)
        return self._apply(Edit(f"vessel named {name.value}", side, traced))

    def remove_vessel(self, side: Side, vessel_id: str) -> Change:
        """Take away a vessel that is an artefact."""
        traced = corrections.without_vessel(self.traced(side), vessel_id)
        return self._apply(Edit("artefact removed", side, traced))

    def mark_unreadable(self, side: Side, reason: str) -> Change:
        """Mark a side unreadable with a reason, or readable again with an empty one."""
        if not reason.strip() and not self.session.now.sides[side].unreadable:
            raise UsageError(
                "review.reason_missing",
                "Marking a side unreadable needs a reason",
                remedy="say why in a few words",
            )
        name = "marked unreadable" if reason.strip() else "readable again"
        return self._apply(Edit(name, side, unreadable=reason.strip()))

    def paint(self, side: Side, stroke: Stroke) -> Change:
        """Lay a brush stroke over the labels."""
        return self._apply(Edit("labels painted", side, stroke=stroke))

    def save_form(self, form: ReadingForm) -> None:
        """Autosave the form."""
        self._require_editable()
        if self.database is not None:
            self.draft = records.save_draft(self.database, self._begin(), form)

    def proposed(self, side: Side) -> ReadingForm:
        """Return the form with a side accepted as it is measured now: one key for the happy path."""
        state = self.session.now.sides[side]
        edited = self._was_edited(side)
        return proposed(self.form, side, state.report, edited=edited, unreadable=bool(state.unreadable))

    def sign(self) -> SignedReading:
        """Freeze the reading.

        Raises
        ------
        UsageError
            ``review.incomplete`` naming the fields; ``review.no_database`` without one.
        """
        if self.database is None:
            raise UsageError(
                "review.no_database",
                "There is no database to sign in",
                remedy="open the case from nvc review",
            )
        self._require_editable()
        self.settle()
        now = self.session.now
        strokes = self._strokes()
        work = records.Work(
            measured={side: now.sides[side].report for side in Side},
            edited={side: self._was_edited(side) for side in Side},
            traced_sha256=self.session.traced_sha256(),
            painting=Painting.of(self.images.labels, self.images.names, strokes) if strokes else None,
        )
        self.signed = records.sign(self.database, self._begin(), work)
        self.draft = None
        return self.signed

    def _was_edited(self, side: Side) -> bool:
        before = self.signed.edited.get(side, False) if self.signed is not None else False
        return before or self.session.now.sides[side].edited

    def reopen(self, reason: str) -> None:
        """Start a new version of a signed reading."""
        if self.database is None:
            raise UsageError(
                "review.no_database",
                "There is no database to reopen in",
                remedy="open the case from nvc review",
            )
        self.draft = records.reopen(self.database, self.case_id, self.reader, reason)
        self.session = self._new_session()

    def other_readings(self) -> list[SignedReading]:
        """Return what other readers signed, newest versions; nothing before the own signature."""
        if self.database is None or self.signed is None:
            return []
        seen = records.visible_readings(self.database, self.case_id, self.reader)
        return list({r.reader: r for r in seen if r.reader != self.reader}.values())

    def _cisternogram(self) -> Volume:
        if self.result.cisternogram is None:
            raise UsageError(
                "review.no_cisternogram",
                "Without a cisternogram no nerve can be traced",
                where=self.case_id,
                remedy="run the study with its cisternogram",
            )
        return self.result.cisternogram


def _held(line: FloatArray, new_start: FloatArray) -> int:
    """Return the first point of a line that stays where it is when the line's start moves.

    It lies ``_HOLD_MM`` and more ahead of the new start, so that a short way is traced anew; the
    last point where there is none.
    """
    nearest = int(np.argmin(np.linalg.norm(line - new_start, axis=1)))
    far = np.flatnonzero(np.linalg.norm(line[nearest:] - new_start, axis=1) >= _HOLD_MM)
    return nearest + int(far[0]) if len(far) else len(line) - 1
