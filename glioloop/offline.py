"""The same pipeline on files, without a network: ``glioloop segment``, ``learn``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from converter.identify import identify
from converter.parts import headers_of
from converter.series import Series
from converter.volume import to_volume
from dicomseg.identity import ResultIdentity
from dicomseg.preview import montage
from engine.head import Head
from glioloop import (
    choice,
    confinement,
    disagreement,
    durable,
    learning,
    model_networks,
    model_reverting,
    objects,
    pipeline,
    results,
)
from glioloop.folders import studies
from glioloop.history import study_date
from glioloop.label_file import labels_to_bytes
from glioloop.lessons import Lesson
from glioloop.mask_files import is_mask_file, seg_of_mask
from glioloop.mode_names import ModeName
from glioloop.model_groups import groups_of
from glioloop.models import BASE
from glioloop.networks import Networks, Options, prepare_networks
from glioloop.results import Choice, Recipe
from glioloop.settings import Settings
from glioloop.site import open_site
from study.errors import HeldError, RefusedError
from study.patient import PatientKey
from study.tissue import Role


class Offline:
    """Segmenting and learning from files, with the models of the settings' data folder.

    Parameters
    ----------
    settings
        Where the models are, and how the network runs.
    mode
        Instead of the settings' own.
    """

    def __init__(self, settings: Settings, mode: ModeName | None = None) -> None:
        self._site = open_site(settings)
        self._older: dict[str, Networks] = {}
        self._options = Options(
            mode=mode or settings.inference.mode,
            batch=settings.inference.batch,
            device=settings.inference.device,
            threads=settings.inference.threads,
            model_folder=settings.inference.model_folder,
            cache_folder=self._site.cache_folder,
        )

    def segment(self, path: Path, into: Path, *, base: bool) -> list[dict[str, Any]]:
        """Segment every study below a path; one folder and one report for each."""
        networks = prepare_networks(self._options)
        return list(self._segment_all(path, into, networks, base=base))

    def learn(
        self, correction: Path, images: Path, numbers: Mapping[int, int] | None = None
    ) -> dict[str, Any]:
        """Adapt a patient's model from a correction and the study that it corrects.

        Parameters
        ----------
        correction
            A SEG, or a NIfTI mask on the grid of the study's T1gd series.
        images
            The study; with a SEG it may be one among several.
        numbers
            What the numbers of a mask mean, as for `glioloop.mask_files.seg_of_mask`.

        Raises
        ------
        RefusedError
            If the SEG is another study's or another patient's, a mask does not fit the study, or
            the patient has no usable ID.
        """
        if not correction.is_file():
            raise RefusedError(f"there is no file {correction}")
        found = studies(images)
        networks = prepare_networks(self._options)
        if not is_mask_file(correction):
            return self._learn(correction, found, networks)
        if len(found) != 1:
            raise RefusedError(f"a mask names no study, and {images} holds {len(found)}: give one")
        (series,) = found.values()
        t1gd = self._chosen(series, networks)[Role.T1GD]
        sources = headers_of(t1gd)
        made = seg_of_mask(correction, sources, numbers=numbers, created=datetime.now(UTC))
        with TemporaryDirectory(prefix="glioloop-") as folder:
            seg = Path(folder) / "mask.dcm"
            seg.write_bytes(made)
            return self._learn(seg, found, networks)

    def _learn(
        self, seg: Path, found: Mapping[str, list[Series]], networks: Networks
    ) -> dict[str, Any]:
        """Adapt a patient's model from a SEG."""
        facts = confinement.facts(seg, "the SEG")
        if facts.study_uid not in found:
            raise RefusedError(f"the SEG belongs to study {facts.study_uid}, not among the images")
        chosen = self._chosen(found[facts.study_uid], networks)
        header = chosen[Role.T1GD].header
        key = self._site.patient(header, "")
        if key is None:
            raise RefusedError("the patient has no usable Patient ID: nothing is learnt for nobody")
        if str(header.get("PatientID", "")).strip() != facts.patient_id.strip():
            raise RefusedError("the SEG is another patient's than the images")
        wanted = self._site.settings.adaptation
        with TemporaryDirectory(prefix="glioloop-") as folder:
            into = Path(folder)
            made = self._write(facts.study_uid, chosen, networks, None, "base", into)
            result = Path(made["folder"])
            names = (result / "outline.npz", result / "sample.npz")
            lesson = Lesson(result, seg, *names, label_map={}, looked_at=True)
            confinement.outline(lesson.to_json(), "the SEG")
            said = self._score_in_use(key, lesson, networks)
            how = learning.fit_settings(wanted.model_dump(), networks, self._options)
            fit = learning.learn([lesson], networks, self._options, how, wanted.voxels, _ignore)
        report = {
            "accepted": fit.accepted,
            "reason": fit.reason,
            "dice_base": dict(fit.dice_base),
            "dice_fitted": dict(fit.dice_fitted),
            "rung": fit.rung,
            "put_out_of_use": said,
        }
        if not fit.accepted:
            return report
        models = self._site.models
        model_networks.keep(self._site)
        version = models.accept(
            key,
            parent=BASE,
            backbone=networks.manifest.backbone_sha256,
            head=json.loads(fit.head.to_json()),
            corrections=(facts.sop_instance_uid,),
            metrics={name: report[name] for name in ("dice_base", "dice_fitted", "rung")},
            software=metadata.version("glioloop"),
        )
        return {**report, "head": models.patient(key).name(version.number)}

    def _score_in_use(self, key: PatientKey, lesson: Lesson, networks: Networks) -> str | None:
        """Put the patient's head out of use where it lost on this correction; why, or None."""
        wanted, models = self._site.settings.adaptation, self._site.models
        used = models.patient(key).in_use(networks.manifest.backbone_sha256)
        if used is None:
            return None
        head = Head.from_json(json.dumps(dict(used.head)))
        found = learning.in_use(
            lesson, head, networks, self._options, wanted.voxels, wanted.revert_loss
        )
        if found.out_of_use is not None:
            model_reverting.revert(models, key, used, found.out_of_use)
        return found.out_of_use

    def _segment_all(
        self, path: Path, into: Path, networks: Networks, *, base: bool
    ) -> Iterator[dict[str, Any]]:
        """One report after another, earliest study first."""
        for study_uid, series in studies(path).items():
            chosen, serving = self._chosen(series, networks), networks
            key = None if base else self._site.patient(chosen[Role.T1GD].header, "")
            head, name = None, "base"
            if key is not None:
                groups = groups_of(
                    chosen[Role.T1GD].header, "", self._site.settings.adaptation.groups
                )
                served = model_networks.serve(self._site, key, groups)
                if served.manifest["backbone_sha256"] != networks.manifest.backbone_sha256:
                    serving = self._kept(served.manifest["backbone_sha256"])
                    chosen = self._chosen(series, serving)
                if served.used is not None:
                    used = served.used
                    head, name = Head.from_json(json.dumps(dict(used.version.head))), used.name
            yield self._write(study_uid, chosen, serving, head, name, into)

    def _kept(self, backbone: str) -> Networks:
        """The networks of an older backbone, which go on to serve its heads."""
        if backbone not in self._older:
            folder = self._site.network_folder(backbone)
            options = replace(self._options, model_folder=folder)
            self._older[backbone] = prepare_networks(options)
        return self._older[backbone]

    def _chosen(self, series: list[Series], networks: Networks) -> Mapping[Role, Series]:
        """The sequences; `HeldError` where one that the model needs is missing or ambiguous."""
        found = identify(series, rules=self._site.rules)
        try:
            choice.check(found, choice.tolerated_by(networks.manifest.tolerates_missing))
        except HeldError as error:
            raise HeldError(f"study {series[0].study_uid}: {error}") from error
        return found.chosen

    def _write(
        self,
        study_uid: str,
        chosen: Mapping[Role, Series],
        networks: Networks,
        head: Head | None,
        name: str,
        into: Path,
    ) -> dict[str, Any]:
        """Segment one study and write all its files into a folder of its own."""
        made = pipeline.segment(chosen, networks, head, self._options)
        identity = _identity(chosen, networks, name, self._options)
        folder = into / identity.result_id
        t1gd = chosen[Role.T1GD]
        least = self._site.settings.adaptation.least_agreement
        apart = disagreement.warning(made.agreement, least)
        warnings = (*choice.warnings(choice.without(chosen)), *([apart] if apart else []))
        told = objects.Told(warnings, study_date=study_date(t1gd.header))
        objects.write(folder, made.labels, chosen, identity, told)
        files = {
            results.LABELS: labels_to_bytes(made.labels),
            results.KEPT: made.kept.to_bytes(),
            "preview.png": montage(
                to_volume(t1gd), made.labels, model_version=identity.algorithm_version
            ),
        }
        report = {
            "study_uid": study_uid,
            "result_id": identity.result_id,
            "model": identity.algorithm_version,
            "head": name,
            "volumes_ml": made.volumes_ml(),
            "seconds": dict(made.seconds),
            "without": choice.without(chosen),
            "warnings": list(warnings),
            "series": {role.value: s.series_uid for role, s in chosen.items()},
            "folder": str(folder),
        }
        files[results.REPORT] = json.dumps(report, indent=1).encode()
        for file, content in files.items():
            durable.write(folder / file, content)
        return report


def _identity(
    chosen: Mapping[Role, Series], networks: Networks, head: str, options: Options
) -> ResultIdentity:
    """Name of a result, by the same rule as the service's."""
    manifest = networks.manifest
    recipe = Recipe(
        choice=Choice.of(chosen).id,
        model=f"{manifest.name} {manifest.version}",
        backbone=manifest.backbone_sha256,
        head=head,
        settings={"mode": options.mode},
        request=0,
    )
    return ResultIdentity(
        result_id=recipe.result_id,
        model_name=manifest.name,
        model_version=manifest.version,
        head_version=head,
        created=datetime.now(UTC),
        note=choice.without(chosen),
    )


def _ignore(_part: float) -> None:
    """Progress that nobody watches."""
