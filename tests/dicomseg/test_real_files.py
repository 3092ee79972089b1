"""Files that other tools wrote. What is expected of each was written down by hand before it ran."""

from __future__ import annotations

import numpy as np
import pytest

from dicomseg.facts import read_facts
from dicomseg.file_grid import stack_of
from dicomseg.read import Original, read_seg
from study.agreement import dice
from study.errors import HeldError, RefusedError

CORRECTED = "the corrected outline"
ERASED = "the corrected outline, necrosis joined to the enhancing lesion"
ORIGINAL = "the original outline"

# Made from one real study: our result, and a person's correction of it, by each tool.
GENERATED = {
    "generated_cornerstone_adapters_5.14/01_ohif3.13_default_labelmap_rle_predecessor": CORRECTED,
    "generated_cornerstone_adapters_5.14/02_labelmap_rle_new_series": CORRECTED,
    "generated_cornerstone_adapters_5.14/03_labelmap_ele": CORRECTED,
    "generated_cornerstone_adapters_5.14/04_bitmap_ele": CORRECTED,
    "generated_cornerstone_adapters_5.14/05_bitmap_rle": CORRECTED,
    "generated_cornerstone_adapters_5.14/06_bitmap_ele_predecessor": CORRECTED,
    "generated_cornerstone_adapters_5.14/07_bitmap_ele_necrosis_erased": ERASED,
    "generated_cornerstone_adapters_5.14/08_labelmap_ele_necrosis_erased": ERASED,
    "generated_cornerstone_adapters_5.14/09_bitmap_ele_extra_segment": r"segment 4 .*'Segment 4'",
    "generated_cornerstone_adapters_5.14/10_bitmap_ele_reversed_stack": CORRECTED,
    "generated_cornerstone_adapters_5.14/11_labelmap_rle_reversed_stack": CORRECTED,
    "generated_dcmqi_roundtrip/01_asis_metadata": CORRECTED,
    "generated_dcmqi_roundtrip/02_semiauto_creator": CORRECTED,
    "generated_dcmqi_roundtrip/03_slicer_default_tissue_codes_renamed": CORRECTED,
    "generated_dcmqi_roundtrip/04_reordered_segments": CORRECTED,
    "generated_dcmqi_roundtrip/05_necrosis_segment_missing": ERASED,
    "generated_dcmqi_roundtrip/06_necrosis_listed_but_empty": ERASED,
    "generated_dcmqi_roundtrip/07_labelmap": CORRECTED,
    "generated_dcmqi_roundtrip/08_noskip": CORRECTED,
    "generated_dcmqi_roundtrip/09_deflate": "deflated as a whole",
    "generated_dcmqi_roundtrip/10_resampled_to_T1_refs_T1": CORRECTED,
    "generated_dcmqi_roundtrip/11_resampled_to_T1_refs_FLAIR": CORRECTED,
    "generated_dcmqi_roundtrip/12_flipped_inplane": CORRECTED,
    "generated_dcmqi_roundtrip/13_flipped_slices": CORRECTED,
    "generated_highdicom/hd_binary": ORIGINAL,
    "generated_highdicom/hd_binary_allframes": ORIGINAL,
    "generated_highdicom/hd_fractional": ORIGINAL,
    "generated_highdicom/hd_labelmap": ORIGINAL,
}

# Files about other things: what they hold, by a person's naming, or why they are refused.
OTHERS = {
    "dcmqi/dcmqi_23x38x3_label": "segment 1 .*'Liver'",
    "dcmqi/dcmqi_24x38x3_label": "segment 1 .*'Liver'",
    "dcmqi/dcmqi_liver": "segment 1 .*'Liver'",
    "dcmqi/dcmqi_partial_overlaps": "segment 1 .*'GREEN'",
    "dcmqi/dcmqi_sparse-labelmap-noppv": "segment 1 .*'Liver'",
    "dcmqi/dcmqi_sparse-labelmap-ppv5": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_1frame": "declares 1 frames and describes 3",
    "dcmqi_recompressed/liver_deflate": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_expb": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_expb_1frame": "declares 1 frames and describes 3",
    "dcmqi_recompressed/liver_j2k": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_nonbyte_aligned": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_nonbyte_aligned_deflate": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_nonbyte_aligned_j2k": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_nonbyte_aligned_rle": "segment 1 .*'Liver'",
    "dcmqi_recompressed/liver_rle": "segment 1 .*'Liver'",
    "highdicom/seg_image_cr_binary": "1 of its 1 frames do not say where they lie",
    "highdicom/seg_image_ct_binary": "segment 1 .*'first segment'",
    "highdicom/seg_image_ct_binary_fractional": "segment 1 .*'first segment'",
    "highdicom/seg_image_ct_binary_overlap": "segment 1 .*'first segment'",
    "highdicom/seg_image_ct_binary_single_frame": "segment 1 .*'first segment'",
    "highdicom/seg_image_ct_true_fractional": "segment 1 .*'first segment'",
    "highdicom/seg_image_sm_control": "20 of its 20 frames do not say where they lie",
    "highdicom/seg_image_sm_control_labelmap": "20 of its 20 frames do not say where they lie",
    "highdicom/seg_image_sm_control_labelmap_palette_color": "20 of its 20 frames do not say",
    "highdicom/seg_image_sm_dots": "62 of its 62 frames do not say where they lie",
    "highdicom/seg_image_sm_dots_tiled_full": "declares 1250 frames and describes 0",
    "highdicom/seg_image_sm_numbers": "20 of its 20 frames do not say where they lie",
}

# Exported by a person's browser from OHIF, with the result that was loaded.
BROWSER = {
    "ohif_gui/seg_ai": (164, 6437, 1198),
    "ohif_gui/ohif_export_bitmap_explicit": (164, 6254, 4308),
    "ohif_gui/ohif_export_default_labelmap_rle": (164, 6254, 4308),
}


@pytest.fixture(scope="module")
def seg_folder(real_data):
    return real_data / "seg"


@pytest.fixture(scope="module")
def truth(seg_folder):
    """Grid, original result, and the two corrected outlines on that grid."""
    path = seg_folder / "generated_highdicom" / "hd_binary_allframes.dcm"
    facts = read_facts(path)
    grid = stack_of(facts).geometry
    with np.load(seg_folder / "truth_labels.npz") as arrays:
        original = arrays["original"]
        # The correction was kept without the outer slices, where the result shows nothing.
        shown = np.flatnonzero(original.any(axis=(1, 2)))
        corrected = np.zeros_like(original)
        corrected[shown[0] : shown[-1] + 1] = arrays["corrected"]
    return grid, Original(original, facts.segments), corrected


def test_every_file_has_an_expectation(seg_folder):
    """None is forgotten."""
    found = {
        p.relative_to(seg_folder).with_suffix("").as_posix() for p in seg_folder.rglob("*.dcm")
    }
    assert found == {*GENERATED, *OTHERS, *BROWSER}


@pytest.mark.parametrize("name", GENERATED)
def test_corrections_by_real_tools(name, seg_folder, truth):
    """Read exactly as drawn, or held or refused with the reason."""
    grid, original, corrected = truth
    path, expected = seg_folder / f"{name}.dcm", GENERATED[name]
    outlines = {
        CORRECTED: corrected,
        ERASED: np.where(corrected == 1, 3, corrected),
        ORIGINAL: original.labels,
    }
    if expected not in outlines:
        with pytest.raises(RefusedError, match=expected):
            read_seg(path, grid, original=original)
        return
    found = read_seg(path, grid, original=original)
    assert found.outlined == {1, 2, 3}
    assert found.unchanged is (expected == ORIGINAL)
    for tissue, mask in found.masks.items():
        assert dice(mask, outlines[expected] == tissue) == 1.0


@pytest.mark.parametrize("name", OTHERS)
def test_files_about_other_things(name, seg_folder):
    """Never taken for a tissue of ours."""
    path = seg_folder / f"{name}.dcm"
    with pytest.raises(RefusedError, match=OTHERS[name]):
        read_seg(path, stack_of(read_facts(path)).geometry)


@pytest.mark.parametrize(
    "name", sorted(name for name in OTHERS if "liver" in name and "Liver" in OTHERS[name])
)
def test_one_liver_in_every_compression(name, seg_folder):
    """A person names the segment, and the voxels are those of the uncompressed file."""
    path = seg_folder / f"{name}.dcm"
    plain = "dcmqi_recompressed/liver_nonbyte_aligned" if "nonbyte" in name else "dcmqi/dcmqi_liver"
    reference = seg_folder / f"{plain}.dcm"
    grid = stack_of(read_facts(reference)).geometry
    found, expected = (
        read_seg(p, grid, overrides={"Liver": 2}).labels() for p in (path, reference)
    )
    assert expected.any()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", BROWSER)
def test_exports_of_a_browser(name, seg_folder):
    """The default export has no Frame Content, which the encoder's own library refuses."""
    result = seg_folder / "ohif_gui" / "seg_ai.dcm"
    grid = stack_of(read_facts(result)).geometry
    path = seg_folder / f"{name}.dcm"
    exported = stack_of(read_facts(path), grid).geometry
    found = read_seg(path, exported)
    assert tuple(int(mask.sum()) for mask in found.masks.values()) == BROWSER[name]


def test_both_exports_of_a_browser_agree(seg_folder):
    """BINARY and LABELMAP of one edit."""
    folder = seg_folder / "ohif_gui"
    grid = stack_of(read_facts(folder / "ohif_export_default_labelmap_rle.dcm")).geometry
    one, two = (
        read_seg(folder / f"ohif_export_{n}.dcm", grid).labels()
        for n in ("bitmap_explicit", "default_labelmap_rle")
    )
    np.testing.assert_array_equal(one, two)


def test_a_real_file_is_held_where_its_result_is_mirrored(seg_folder, truth):
    """As some generations of a viewer's library write it."""
    grid, original, _ = truth
    mirrored = Original(np.ascontiguousarray(original.labels[::-1]), original.segments)
    path = seg_folder / "generated_dcmqi_roundtrip" / "01_asis_metadata.dcm"
    with pytest.raises(HeldError, match="with its slices reversed"):
        read_seg(path, grid, original=mirrored)
