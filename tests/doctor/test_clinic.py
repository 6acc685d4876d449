"""Every broken set-up of the clinic gets its right name; healthy ones get no word."""

import pytest

from unet_lib.course.clinic import CASES, HEALTHY
from unet_lib.doctor import CAUSES, check_dataset, check_folder
from unet_lib.training import Task


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_the_doctor_names_the_cause(case, tmp_path):
    findings = case.examine(tmp_path)
    assert findings, "nothing was found"
    assert {finding.cause for finding in findings} == {case.cause}
    for finding in findings:
        assert all((finding.found, finding.expected, finding.cure))


@pytest.mark.parametrize("case", HEALTHY, ids=lambda case: case.title)
def test_the_doctor_is_silent_about_healthy_set_ups(case, tmp_path):
    assert case.examine(tmp_path) == []


def test_titles_differ_and_causes_are_known():
    titles = [case.title for case in (*CASES, *HEALTHY)]
    assert len(set(titles)) == len(titles)
    assert {case.cause for case in CASES} <= set(CAUSES)
    assert len({case.cause for case in CASES}) >= 30


@pytest.mark.parametrize("split", ["train", "test"])
def test_silent_about_real_nuclei(data_dir, split):
    folder = data_dir / "dsb2018" / split
    findings, dataset = check_folder(folder / "images", folder / "masks", instances=True)
    assert findings == []
    assert check_dataset(dataset.with_(normalize=Task().normalization)) == []


def test_silent_about_street_scenes(data_dir):
    task = Task("classes", "RGB", num_classes=11, ignore_index=11)
    parts = []
    for part in ("train", "test"):
        images, masks = (data_dir / "CamVid" / name for name in (part, f"{part}annot"))
        options = {"mode": "RGB", "num_classes": 11, "ignore_index": 11}
        findings, dataset = check_folder(images, masks, **options)
        assert findings == []
        parts.append(dataset)
    assert check_dataset(parts[0], task, parts[1]) == []


def test_silent_about_four_real_photographs(data_dir):
    folder = data_dir / "VOCdevkit" / "VOC2012"
    options = {"mode": "RGB", "num_classes": 21, "ignore_index": 255}
    findings, dataset = check_folder(folder / "JPEGImages", folder / "SegmentationClass", **options)
    assert findings == []
    task = Task("classes", "RGB", num_classes=21, ignore_index=255)
    assert check_dataset(dataset, task) == []
