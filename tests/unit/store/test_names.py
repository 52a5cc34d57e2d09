from __future__ import annotations

import pytest

from nvc_pipeline.domain.anatomy import Side
from nvc_pipeline.errors import InternalFault
from nvc_pipeline.store import names

CASE = "sub-0123456789"


def test_every_product_has_a_name_of_its_own_that_starts_with_the_case():
    paths = [
        names.path_of(product, CASE, side)
        for product, template in names.PRODUCTS.items()
        for side in (Side if "{hemi}" in template else (None,))
    ]
    assert len(set(paths)) == len(paths)
    assert all(p.rsplit("/", 1)[-1].startswith(CASE) for p in paths)
    assert names.path_of("segmentation", CASE) == "sub-0123456789_space-T2w_desc-nvc_dseg.nii.gz"
    assert "_space-angio_" in names.path_of("segmentation", CASE, space="angio")
    assert names.path_of("probabilities", CASE, Side.LEFT).endswith("_hemi-L_desc-nvc_probseg.npz")


@pytest.mark.parametrize(
    ("product", "case", "side"),
    [
        ("nothing", CASE, None),
        ("segmentation", "sub-Smith", None),
        ("segmentation", "../../etc", None),
        ("segmentation", CASE, Side.LEFT),
        ("probabilities", CASE, None),
    ],
)
def test_a_name_that_is_not_in_the_table_is_refused(product, case, side):
    with pytest.raises(InternalFault) as refused:
        names.path_of(product, case, side)
    assert refused.value.code == "names.unknown"
    assert "Smith" not in str(refused.value)


def test_sidecars_stand_beside_their_image():
    assert names.sidecar_of("a/b_T2w.nii.gz") == "a/b_T2w.json"
    assert names.sidecar_of("a.tsv") == "a.json"
    assert names.sidecar_of("mesh.stl") == "mesh.stl.json"


def test_case_ids_tell_nothing_and_differ_by_key():
    plain = names.case_id_of("1.2.3")
    keyed = names.case_id_of("1.2.3", key=b"one")
    assert plain == names.case_id_of("1.2.3")
    assert len({plain, keyed, names.case_id_of("1.2.3", key=b"two"), names.case_id_of("1.2", "3")}) == 4
    assert all(names.path_of("dicom_sr", c) for c in (plain, keyed))
