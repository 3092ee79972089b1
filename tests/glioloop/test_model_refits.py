"""Another backbone, merged patients, groups: heads are fitted again, and nothing changes before."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from pydicom import Dataset
from small_world import PATIENT_ID, World, write_study

from engine.adapt import FitSettings
from engine.head import Head
from engine.network import Network, NetworkConfig
from engine.normalise import NORMALISATION
from engine.outputs import BRAIN_LABELS, TISSUE_LABELS
from engine.sampling import FeatureSample
from engine.weights import Manifest, save
from glioloop import (
    durable,
    label_file,
    learning,
    model_changed_ids,
    model_networks,
    model_refits,
    offline,
    outlines,
    results,
    settings,
)
from glioloop.kept import Kept
from glioloop.lessons import Lesson
from glioloop.model_merging import person
from glioloop.models import ModelStore
from glioloop.networks import Options, load_networks
from glioloop.offline import Offline
from glioloop.site import open_site
from study.errors import RefusedError
from study.tissue import Tissue
from study.volume import Geometry, Volume

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

OPTIONS = Options(device="torch", threads=1)


def write_model(folder: Path, seed: int, spacing_mm: float = 2.0) -> Path:
    """Two tiny networks, as a model folder has them; returns it."""
    for name, labels, filters in (("base", TISSUE_LABELS, (4, 8)), ("brain", BRAIN_LABELS, (4, 8))):
        torch.manual_seed(seed)
        config = NetworkConfig(3, len(labels), filters)
        made = Manifest("tiny", str(seed), config, spacing_mm, NORMALISATION, labels)
        save(folder / name, Network(config), made)
    return folder


def write_lesson(folder: Path) -> Lesson:
    """A kept study of 32 mm, and a correction that outlines a box in it."""
    grid = Geometry((16, 16, 16), np.diag([2.0, 2.0, 2.0, 1.0]), "1.2")
    images = np.random.default_rng(0).normal(size=(3, 16, 16, 16)).astype(np.float16)
    kept = Kept(images, np.ones(grid.shape, bool), grid, grid, NORMALISATION)
    labels = np.zeros(grid.shape, np.uint8)
    labels[4:12, 4:10, 4:10] = Tissue.EDEMA
    mask = np.zeros(grid.shape, bool)
    mask[4:12, 4:12, 4:12] = True
    folder.mkdir()
    durable.write(folder / results.KEPT, kept.to_bytes())
    made = label_file.labels_to_bytes(Volume(labels, grid))
    durable.write(folder / results.LABELS, made)
    durable.write(folder / "outline.npz", outlines.to_bytes({Tissue.EDEMA: mask}))
    return Lesson(folder, folder / "seg.dcm", folder / "outline.npz", folder / "sample.npz", {})


def fit(lesson: Lesson, model: Path) -> Any:
    networks = load_networks(model / "base", model / "brain", OPTIONS)
    return networks, learning.learn(
        [lesson], networks, OPTIONS, FitSettings(), 500, lambda _part: None
    )


def test_a_kept_correction_is_learnt_with_another_backbone(tmp_path: Path) -> None:
    lesson = write_lesson(tmp_path / ("ab" * 16))
    old, first = fit(lesson, write_model(tmp_path / "old", 1))
    new, second = fit(lesson, write_model(tmp_path / "new", 2))
    assert old.manifest.backbone_sha256 != new.manifest.backbone_sha256
    assert first.head.backbone_sha256 == old.manifest.backbone_sha256
    assert second.head.backbone_sha256 == new.manifest.backbone_sha256
    store = ModelStore(tmp_path / "models")
    with pytest.raises(RefusedError, match=r"this head belongs to backbone .* not to"):
        store.accept(
            model_refits.PatientKey("ab" * 32),
            parent=0,
            backbone=new.manifest.backbone_sha256,
            head=json.loads(first.head.to_json()),
            corrections=("1.2",),
            metrics={},
            software="0.1.0",
        )


def test_a_head_is_made_again_from_its_record_bit_for_bit(tmp_path: Path) -> None:
    """From the kept sample, and from the kept inputs alone."""
    lesson = write_lesson(tmp_path / ("ab" * 16))
    model = write_model(tmp_path / "model", 1)
    gate = {"largest_loss": 1.0, "largest_drift": 1.0, "rung_gain": 0.0}
    networks = load_networks(model / "base", model / "brain", OPTIONS)

    def again() -> Any:
        return learning.learn([lesson], networks, OPTIONS, FitSettings(**gate), 500, lambda _: None)

    first, kept = again(), lesson.sample.read_bytes()
    assert again().head.to_json() == first.head.to_json()
    lesson.sample.unlink()
    assert again().head.to_json() == first.head.to_json()
    assert FeatureSample.from_npz(lesson.sample.read_bytes()).images is not None
    assert lesson.sample.read_bytes() == kept


def test_the_head_in_use_is_scored_on_a_correction_that_came_after_it(tmp_path: Path) -> None:
    lesson = write_lesson(tmp_path / ("ab" * 16))
    model = write_model(tmp_path / "model", 1)
    networks = load_networks(model / "base", model / "brain", OPTIONS)
    blind = Head(
        np.zeros_like(networks.head.weight),
        np.array([0, 0, 9, 0], np.float32),
        networks.head.backbone_sha256,
    )
    nothing = Head(blind.weight, np.array([9, 0, 0, 0], np.float32), blind.backbone_sha256)
    found = [learning.in_use(lesson, h, networks, OPTIONS, 500, 0.02) for h in (blind, nothing)]
    assert found[0].dice_current["edema"] > 0
    assert found[1].dice_current["edema"] == 0
    assert found[1].dice_base == found[0].dice_base
    same = learning.in_use(lesson, networks.head, networks, OPTIONS, 500, 0.0)
    assert same.out_of_use is None
    other = Head(blind.weight, blind.bias, "another")
    with pytest.raises(RefusedError, match="belongs to backbone another"):
        learning.in_use(lesson, other, networks, OPTIONS, 500, 0.02)


def test_images_with_nan_teach_nothing(tmp_path: Path) -> None:
    lesson = write_lesson(tmp_path / ("ab" * 16))
    kept = Kept.from_file(lesson.kept)
    kept.images[0, 3, 3, 3] = np.nan
    durable.write(lesson.kept, kept.to_bytes())
    with pytest.raises(RefusedError, match="NaN or infinity"):
        fit(lesson, write_model(tmp_path / "model", 1))


@pytest.mark.parametrize(
    ("voxels", "said"),
    [
        (np.s_[0:0], "holds no voxel: there is nothing to learn"),
        (np.s_[5:6, 4:12, 4:12], "stays at base: on slices not learnt from"),
    ],
    ids=["all background", "one slice"],
)
def test_what_a_correction_is_too_poor_for_is_said(tmp_path: Path, voxels: Any, said: str) -> None:
    lesson = write_lesson(tmp_path / ("ab" * 16))
    mask = np.zeros((16, 16, 16), bool)
    mask[voxels] = True
    durable.write(lesson.outline, outlines.to_bytes({Tissue.EDEMA: mask}))
    model = write_model(tmp_path / "model", 1)
    if not mask.any():
        with pytest.raises(RefusedError, match=said):
            fit(lesson, model)
        return
    networks, found = fit(lesson, model)
    assert not found.accepted
    assert said in found.reason
    assert found.head is networks.head


def test_inputs_of_another_grid_are_made_again_or_the_study_is_asked_for(tmp_path: Path) -> None:
    lesson = write_lesson(tmp_path / ("ab" * 16))
    model = write_model(tmp_path / "coarse", 3, spacing_mm=4.0)
    with pytest.raises(RefusedError, match=r"no inputs of model tiny 3 \(4 mm, .*send the study"):
        fit(lesson, model)
    # What was made again lies beside, under the name of its backbone.
    backbone = load_networks(model / "base", model / "brain", OPTIONS).manifest.backbone_sha256
    grid = Geometry((8, 8, 8), np.diag([4.0, 4.0, 4.0, 1.0]), "1.2")
    again = Kept(
        np.zeros((3, 8, 8, 8), np.float16), np.ones(grid.shape, bool), grid, grid, NORMALISATION
    )
    durable.write(lesson.result / f"kept-{backbone[:16]}.npz", again.to_bytes())
    assert fit(lesson, model)[1].head.backbone_sha256 == backbone


def test_kept_inputs_know_what_they_were_made_for(tmp_path: Path) -> None:
    kept = Kept.from_file(write_lesson(tmp_path / "r").kept)
    assert kept.normalisation == NORMALISATION
    assert kept.fits(2.0, NORMALISATION)
    assert not kept.fits(1.0, NORMALISATION)
    assert not kept.fits(2.0, "another/1")


def learnt(world: World, number: int, **attributes: str) -> str:
    """A corrected study; the UID of the study."""
    assert world.service is not None
    ledger = world.service.site.ledger
    study = write_study(world.folder / "in", number, **attributes)
    world.send(study.every())
    world.until_state(study, "delivered")
    world.send([world.correct(study, f"c{number}", **attributes)])
    world.until(
        lambda: "accepted" in [c.state for c in ledger.corrections() if c.study_uid == study.uid]
    )
    return study.uid


def test_an_old_backbone_serves_its_heads_until_they_pass_the_gate(world: World) -> None:
    old = write_model(world.folder / "old", 1)
    world.given = {"inference": {"model_folder": str(old)}}
    site = world.start().site
    learnt(world, 1)
    (patient,) = site.models.patients()
    was = site.manifest()["backbone_sha256"]
    assert site.kept_network(was) is not None
    world.stop()
    new = write_model(world.folder / "new", 2)
    world.given = {"inference": {"model_folder": str(new)}}
    world.network.fit = {**world.network.fit, "accepted": False, "reason": "stays at base"}
    options: list[dict[str, Any]] = []
    stand_in = world.network._stand_in

    def noted(task: str, arguments: Any, module: str) -> dict[str, Any]:
        if "options" in arguments:
            options.append({"task": task, **arguments["options"]})
        return stand_in(task, arguments, module)

    world.network._stand_in = noted  # type: ignore[method-assign]
    site = world.start().site
    # At its start the service fits the head again, with the new network, and it fails the gate.
    world.until(lambda: [o["task"] for o in options] == ["learn"])
    assert options[0]["model_folder"] == str(new)
    again = write_study(world.folder / "in", 2)
    world.send(again.every())
    world.until_state(again, "delivered")
    (result,) = site.ledger.results(again.uid)
    assert (result.head, result.backbone, result.model) == (patient.name(1), was, "tiny 1")
    assert options[1]["model_folder"] == str(site.network_folder(was))
    # With more corrections it passes: from then on the new one serves the patient.
    world.network.fit = {**world.network.fit, "accepted": True, "reason": "accepted"}
    outcome = model_refits.Refits(site).fit(patient.patient_key)
    assert outcome == {"state": "accepted", "reason": f"head {patient.name(2)}; accepted"}
    served = model_networks.serve(site, patient.patient_key, ())
    assert served.manifest["version"] == "2"
    assert served.used is not None
    assert served.used.version.number == 2
    assert model_refits.Refits(site).resume() == 0


def test_files_are_segmented_and_learnt_from_as_the_service_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old head goes on with its own network; what is learnt keeps the network in use."""
    study = write_study(tmp_path / "in")
    folders = [write_model(tmp_path / name, seed) for seed, name in enumerate(("old", "new"), 1)]
    old, new = [
        Offline(settings.load(data=tmp_path / "data", inference={"model_folder": folder}))
        for folder in folders
    ]
    loaded: list[Path] = []

    def prepared(options: Options) -> Any:
        assert options.model_folder is not None
        loaded.append(options.model_folder)
        base = options.model_folder / "base" / "manifest.json"
        return SimpleNamespace(manifest=Manifest.from_json(base.read_text()))

    def written(
        _self: Any, uid: str, _c: Any, networks: Any, _h: Any, name: str, into: Path
    ) -> Any:
        return {"model": networks.manifest.version, "head": name, "folder": str(into), "uid": uid}

    monkeypatch.setattr(offline, "prepare_networks", prepared)
    monkeypatch.setattr(Offline, "_write", written)
    site = open_site(settings.load(data=tmp_path / "data", inference={"model_folder": folders[0]}))
    backbone = site.manifest()["backbone_sha256"]
    head = Head(np.zeros((4, 4), np.float32), np.zeros(4, np.float32), backbone)
    facts = SimpleNamespace(study_uid=study.uid, patient_id=PATIENT_ID, sop_instance_uid="1.9")
    monkeypatch.setattr(offline.confinement, "facts", lambda *_: facts)
    monkeypatch.setattr(offline.confinement, "outline", lambda *_: None)
    fit = SimpleNamespace(
        accepted=True, rung="head", reason="", dice_base={}, dice_fitted={}, head=head
    )
    monkeypatch.setattr(offline.learning, "learn", lambda *_: fit)
    seg = tmp_path / "seg.dcm"
    seg.touch()
    assert site.kept_network(backbone) is None
    name = old.learn(seg, tmp_path / "in")["head"]
    assert site.kept_network(backbone) is not None
    loaded.clear()
    (report,) = new.segment(tmp_path / "in", tmp_path / "out", base=False)
    assert (report["model"], report["head"]) == ("1", name)
    assert loaded == [folders[1], site.network_folder(backbone)]
    (report,) = new.segment(tmp_path / "in", tmp_path / "out", base=True)
    assert (report["model"], report["head"]) == ("2", "base")


def test_a_merged_patients_studies_have_one_head_and_a_split_undoes_it(world: World) -> None:
    site = world.start().site
    learnt(world, 1, PatientID="OLD-1", PatientBirthDate="19330217")
    old, new = person(site.secret, "", "OLD-1"), person(site.secret, "", "NEW-1")
    told = model_changed_ids.merge(site, old, new, "anna")
    assert told["said"] == f"patient {old.key[:8]} is {new.key[:8]} from now on"
    assert told["jobs"] == []
    study = write_study(world.folder / "in", 2, PatientID="NEW-1")
    world.send(study.every())
    world.until_state(study, "delivered")
    (result,) = site.ledger.results(study.uid)
    assert result.head == f"{new.key[:8]}.1"
    # A viewer that still holds the old ID corrects the new one's result: it is the same patient.
    world.send([world.correct(study, "c2", PatientID="OLD-1")])
    world.until(lambda: len(site.models.patient(new.key).versions) == 2)
    assert [len(lessons) for lessons in world.network.lessons] == [1, 2]
    told = model_changed_ids.split(site, old, new, "anna")
    assert told["changed"] is True
    assert site.models.used(new.key, site.manifest()["backbone_sha256"]) is None
    (again,) = told["jobs"]
    assert again.startswith(f"refit:{new.key}:")
    # It is fitted to the new one's own correction alone.
    world.until(lambda: len(site.models.patient(new.key).versions) == 3)
    assert len(world.network.lessons[-1]) == 1


def test_other_birth_dates_and_unknown_patients_are_not_merged(world: World) -> None:
    site = world.start().site
    for number, patient_id, born in ((1, "OLD-1", "19330217"), (2, "NEW-1", "19440101")):
        study = write_study(
            world.folder / "in", number, PatientID=patient_id, PatientBirthDate=born
        )
        world.send(study.every())
        world.until_state(study, "delivered")
    old, new = person(site.secret, "", "OLD-1"), person(site.secret, "", "NEW-1")
    with pytest.raises(RefusedError, match="have different birth dates: they are not merged"):
        model_changed_ids.merge(site, old, new, "anna")
    with pytest.raises(RefusedError, match="nothing is known of a patient with that Patient ID"):
        model_changed_ids.merge(site, person(site.secret, "X", "OLD-1"), new, "anna")
    assert site.models.audit() == []


def test_a_group_is_fitted_to_its_studies_and_serves_who_has_no_head(world: World) -> None:
    groups = [{"name": "skyra", "scanners": ["skyra*"]}]
    world.given = {"adaptation": {"groups": groups}}
    site = world.start().site
    learnt(world, 1, ManufacturerModelName="Skyra_fit")
    learnt(world, 2, PatientID="OTHER-7", ManufacturerModelName="Prisma")
    outcome = model_refits.Refits(site).fit("skyra")
    assert outcome["state"] == "accepted"
    assert [len(lessons) for lessons in world.network.lessons] == [1, 1, 1]
    study = write_study(world.folder / "in", 3, PatientID="NEW-3", ManufacturerModelName="SKYRA")
    world.send(study.every())
    world.until_state(study, "delivered")
    assert site.ledger.results(study.uid)[0].head == "skyra.1"


def test_a_group_is_read_from_the_first_image_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = {"groups": [{"name": "skyra", "scanners": ["skyra*"]}]}
    site = open_site(settings.load(data=tmp_path / "data", adaptation=groups))
    study = write_study(tmp_path / "in", ManufacturerModelName="Skyra_fit1")
    bad, good = study.files["T1GD"][:2]
    content = bad.read_bytes()
    assert content.count(b"LO\x0a\x00Skyra") == 1
    bad.write_bytes(content.replace(b"LO\x0a\x00Skyra", b"FD\x0a\x00Skyra"))
    came = [SimpleNamespace(path=path, calling_ae="MR1") for path in (bad, good)]
    row: Any = SimpleNamespace(study_uid=study.uid)
    monkeypatch.setattr(model_refits, "images", lambda _site, _uid: came)
    assert model_refits._groups(site, row) == ["skyra"]
    monkeypatch.setattr(model_refits, "images", lambda _site, _uid: came[:1])
    assert model_refits._groups(site, row) == []


def test_another_name_is_a_warning_and_no_more(world: World) -> None:
    site = world.start().site
    for number, name, warned in ((1, "Quokka^Zebulon", False), (2, "Numbat^Ada", True)):
        study = write_study(world.folder / "in", number, PatientName=name)
        world.send(study.every())
        world.until_state(study, "delivered")
        (result,) = site.ledger.results(study.uid)
        report = site.results.report(result.result_id)
        said = " ".join(report["warnings"])
        assert ("name differs from that of this Patient ID's first study" in said) is warned
        assert "Numbat" not in said
        assert report["same_person"] is True


def test_a_name_is_one_however_it_is_written(world: World) -> None:
    site = open_site(world.settings)

    def key(name: str) -> str:
        header = Dataset()
        header.PatientName = name
        return site.name_key(header)

    assert key("Quokka^Zebulon") == key(" QUOKKA^zebulon^^ ") == key("Quokka^Zebulon=\u30af^\u30bc")
    assert key("Quokka^Zebulon") != key("Quokka^Ada")
    assert key("^^") == key("") == ""
    assert "Quokka" not in key("Quokka^Zebulon")
