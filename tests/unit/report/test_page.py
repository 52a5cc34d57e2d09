"""The page says what a doctor must know, and runs nothing that a study brings along."""

import re

import pytest

from nvc_pipeline import RESEARCH_USE_ONLY
from nvc_pipeline.config import load_config
from nvc_pipeline.domain.anatomy import Grade, Pattern, Priority, SequenceRole, Side, VesselClass, Zone
from nvc_pipeline.domain.case import (
    Call,
    CaseReport,
    Contact,
    Finding,
    Measure,
    NerveRecord,
    Schemes,
    SeriesRecord,
    Severity,
    SideReport,
    Sides,
    SoftwareRecord,
)
from nvc_pipeline.report import words
from nvc_pipeline.report.page import methods, render


def contact() -> Contact:
    value = Measure.of(0.42, 0.31, 0.53)
    missing = Measure.missing("too few voxels")
    return Contact(
        vessel_id="AICA_left_1",
        vessel_class=VesselClass.AICA,
        class_probability=0.9,
        gap_mm=value,
        nearest_on_nerve_lps_mm=(14, 2, 3),
        nearest_on_vessel_lps_mm=(14, 1, 3),
        arc_length_mm=value,
        zone=Zone.ATTACHED_SEGMENT,
        zone_probabilities={Zone.ATTACHED_SEGMENT: 1.0},
        grade=Grade.CONTACT,
        grade_probabilities={Grade.CONTACT: 1.0},
        contact_length_mm=value,
        contact_area_mm2=value,
        nerve_indentation_mm=missing,
        pons_indentation_mm=missing,
        nerve_area_ratio=missing,
        nerve_flattening=missing,
        deviation_mm=missing,
        vessel_diameter_mm=value,
        diameter_ratio=value,
        crossing_angle_deg=value,
        direction_clock_deg=value,
    )


@pytest.fixture(name="case")
def case_report() -> CaseReport:
    nerve = NerveRecord(
        centreline_lps_mm=((14, 2, 3), (20, 2, 4)),
        radius_mm=(0.6, 0.6),
        attached_segment_lps_mm=((12, 2, -4), (14, 2, 3)),
        root_exit_point_lps_mm=(12, 2, -4),
        root_detachment_point_lps_mm=(14, 2, 3),
        porus_lps_mm=(20, 2, 4),
    )
    left = SideReport(
        status="measured",
        reason="",
        nerve=nerve,
        contacts=(contact(),),
        grade=Grade.CONTACT,
        grade_probabilities={g: float(g is Grade.CONTACT) for g in Grade},
        schemes=Schemes(campos_benitez="mild", sindou="I", contact_deformity="contact"),
        pattern=Pattern.SINGLE,
        offender="AICA_left_1",
        priority=Priority.B,
        score=55.0,
        flagged=True,
        flag_reasons=("contact in a susceptible zone",),
    )
    return CaseReport(
        case_id="sub-0123456789",
        status="partial",
        research_use_only=RESEARCH_USE_ONLY,
        software=SoftwareRecord(name="nvc_pipeline", version="0", model=None),
        config_sha256="0" * 64,
        symptomatic_side=Side.LEFT,
        series=(
            SeriesRecord(
                series_instance_uid="1.2",
                role=SequenceRole.OTHER,
                used=False,
                reason="<script>alert(1)</script>",
            ),
        ),
        sides=Sides(left=left, right=SideReport.not_measured("the slab is too short")),
        findings=(Finding(code="a.b", severity=Severity.WARNING, message="no TOF & <b>"),),
        outputs={},
    )


def test_the_research_label_stands_on_the_page(case: CaseReport) -> None:
    assert RESEARCH_USE_ONLY in render(case, {}, "how")


def test_text_from_a_study_is_escaped(case: CaseReport) -> None:
    page = render(case, {}, "how")
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_asks_for_nothing_outside_itself(case: CaseReport) -> None:
    page = render(case, {"overview": b"png"}, "how")
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_the_patients_right_comes_first(case: CaseReport) -> None:
    page = render(case, {}, "how")
    assert page.index("Right side") < page.index("Left side")


def test_an_unmeasured_side_is_never_called_negative(case: CaseReport) -> None:
    page = render(case, {}, "how")
    assert "This side was not measured." in page
    assert "The slab is too short" in page
    assert "no contact" not in words.summary(case.sides.right)
    assert words.summary(case.sides.right).startswith("NOT MEASURED")


def test_the_summary_holds_grade_vessel_zone_gap_and_priority(case: CaseReport) -> None:
    line = words.summary(case.sides.left)
    for part in ("contact", "AICA", "attached segment", "0.42 mm (0.31 to 0.53)", "Priority B"):
        assert part in line


def test_an_invalid_measure_is_said_to_be_so() -> None:
    assert words.number(Measure.missing("too blurred"), "mm") == "not measured: too blurred"


def test_measures_of_a_whole_side_and_calls_are_told_with_their_reasons(case: CaseReport) -> None:
    assert "Each side as a whole" not in render(case, {}, "how")
    left = case.sides.left.model_copy(
        update={
            "side_measures": {
                "vertebral_offset_mm": Measure.of(6.0, 4.5, 7.5),
                "between_nerves_arc_mm": Measure.missing("nerve_viii_not_traced"),
            },
            "course": {
                "vertebral_type": Call.of({"I": 0.2, "IIa": 0.8}),
                "chavda": Call.missing("no_aica_named"),
            },
        }
    )
    page = render(case.model_copy(update={"sides": Sides(left=left, right=case.sides.right)}), {}, "how")
    for part in (
        "6.0 mm (4.5 to 7.5)",
        "not measured: nerve viii not traced",
        "IIa (probability 0.80)",
        "not told: no aica named",
        "not told: not taken",
    ):
        assert part in page


def test_the_methods_name_the_thresholds_in_force() -> None:
    config = load_config(None, ["measure.grades.deviation_mm=0.77"])
    assert "0.77 mm" in methods(config.measure)


def test_a_tandem_names_the_artery_behind(case):
    """It is what a surgeon has to move."""
    pressed = contact().model_copy(update={"pressed_by": ("VA_left_1",)})
    left = case.sides.left.model_copy(update={"contacts": (pressed,), "pattern": Pattern.TANDEM})
    page = render(case.model_copy(update={"sides": case.sides.model_copy(update={"left": left})}), {}, "")
    assert "tandem: VA left 1 presses on AICA left 1" in page
    assert "against it lies VA left 1" in page
    both = pressed.model_copy(update={"vessel_id": "VA_left_1", "pressed_by": ("AICA_left_1",)})
    told = words.pattern(left.model_copy(update={"contacts": (pressed, both)}))
    assert told == "tandem: AICA left 1 and VA left 1 lie against each other"
