"""Every setting of Glioloop, with its default and unit, and nothing else that can be set.

Read once at start from a YAML file and from the environment (``GLIOLOOP_LISTENER__PORT=11112`` is
``listener: {port: 11112}``; the environment wins), then passed down. No other module looks at the
environment. Unknown names are refused: a typing mistake must not become a default.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from glioloop.body_regions import HEAD_REGIONS, OTHER_REGIONS
from study.errors import RefusedError

NOT_SETTINGS = frozenset({"GLIOLOOP_CONFIG", "GLIOLOOP_TEST_DATA"})
"""Names in the environment that begin like settings but are none."""

Port = Annotated[int, Field(ge=0, le=65535)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
# PS3.5 section 6.2: up to 16 characters, no backslash, no control characters.
AETitle = Annotated[str, Field(pattern=r"^[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?$")]


class Part(BaseModel):
    """A branch of the tree: frozen, and closed to unknown names."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Listener(Part):
    """The DICOM port."""

    host: str = "0.0.0.0"  # noqa: S104 - archives call from other machines
    """address to listen on"""
    port: Port = 11112
    """TCP port; 0 takes a free one"""
    ae_title: AETitle = "GLIOLOOP"
    """for images, and for SEGs that say what they correct"""
    learn_ae_title: AETitle = "GLIOLOOP_LEARN"
    """for a person's deliberate "learn from this\""""
    peers: dict[str, tuple[str, ...]] | None = None
    """calling AE titles, and the addresses each may call from (none: any); null: anyone may call"""
    issuers: dict[str, str] = {}
    """Issuer of Patient ID to assume for a calling AE title that sends none"""
    min_free_gib: NotNegative = 2.0
    """GiB of the disk that stay free; below it senders are told to come later"""


class Destination(Part):
    """An archive that gets the results."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
    """how Glioloop calls it"""
    ae_title: AETitle
    """its AE title"""
    host: str
    """its address"""
    port: Annotated[int, Field(ge=1, le=65535)]
    """its DICOM port"""
    objects: Annotated[tuple[Literal["seg", "report", "pictures"], ...], Field(min_length=1)] = (
        "seg",
        "report",
        "pictures",
    )
    """what it gets of a result: SEG, structured report, pictures (Secondary Capture)"""
    encoding: Literal["BINARY", "LABELMAP"] = "BINARY"
    """how it gets SEGs: `BINARY` (every viewer shows it), `LABELMAP` (Label Map Segmentation)"""


class Completeness(Part):
    """When a study is complete."""

    quiet_seconds: NotNegative = 20
    """s without a new image once all three sequences are there"""
    incomplete_after_minutes: NotNegative = 15
    """min without a new image before a study that lacks a sequence is answered"""


class Scope(Part):
    """Which studies are worked on: those that fit all of it, and those that a person asks for.

    Patterns (`*`, `?`) are compared in any case.
    """

    calling_aes: tuple[str, ...] = ()
    """calling AE titles whose studies are worked on; none: all"""
    study_descriptions: tuple[str, ...] = ("*",)
    """patterns, of which one fits the whole (0008,1030) *Study Description*"""
    other_regions: tuple[str, ...] = OTHER_REGIONS
    """patterns of words; a *Study Description* with such a word and no head is out of scope"""
    head_regions: tuple[str, ...] = HEAD_REGIONS
    """patterns of words that name the head; accents are left out, as in `other_regions`"""
    body_parts: tuple[str, ...] = ("", "*BRAIN*", "*HEAD*", "*SKULL*", "*NEURO*", "*CEREB*")
    """patterns, of which one fits a series' (0018,0015) *Body Part Examined*; "": none is stated"""
    procedure_codes: tuple[str, ...] = ()
    """patterns, of which one fits a code of the procedure, (0008,1032) or (0032,1064); none: all"""
    least_age_years: NotNegative = 0
    """youngest patient, years; one whose age nothing tells fits"""
    greatest_age_years: NotNegative = 150
    """oldest patient, years"""


class Identification(Part):
    """Which series is which."""

    rules_file: Path | None = None
    """the site's rules for series (docs/identification.md), put over those that are shipped"""


class Answers(Part):
    """What the archive is told of studies that are in scope."""

    unsegmented: bool = True
    """whether a study that could not be segmented gets a page, and a report, that say why"""


class Inference(Part):
    """How the network runs."""

    device: Literal["auto", "openvino", "cuda", "torch"] = "auto"
    """`auto`, `openvino`, `cuda` or `torch`"""
    threads: Annotated[int, Field(ge=1)] | None = None
    """CPU threads; null: as many as there are cores"""
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """share of a patch that its neighbour covers too"""
    batch: Annotated[int, Field(ge=1)] = 2
    """patches computed at once"""
    wall_clock_minutes: Positive = 30
    """min after which an inference that hangs is ended"""
    attempts: Annotated[int, Field(ge=1, le=10)] = 2
    """how often a failing inference is tried before a person is asked"""
    model_folder: Path | None = None
    """folder with the networks `brain` and `base`; null: those that are shipped"""


def _is_name_of_group(text: str) -> str:
    """Refuse a name that could be taken for a version, or for the beginning of a patient's key."""
    if text in ("base", "auto") or not text.strip("0123456789abcdef"):
        raise ValueError(f"{text!r} would be taken for a version or a patient's key")
    return text


class Group(Part):
    """Patients who get one head where they have none of their own: a site, a scanner, a trial.

    A study belongs to it that fits all of it; patterns (`*`, `?`) are compared in any case.
    """

    name: Annotated[
        str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$"), AfterValidator(_is_name_of_group)
    ]
    """its name: small letters, digits and hyphens; not all of it may be digits of a key"""
    calling_aes: tuple[str, ...] = ("*",)
    """patterns of calling AE titles"""
    stations: tuple[str, ...] = ("*",)
    """patterns of (0008,1010) *Station Name*"""
    scanners: tuple[str, ...] = ("*",)
    """patterns of (0008,1090) *Manufacturer's Model Name*"""
    trials: tuple[str, ...] = ("*",)
    """patterns of (0012,0020) *Clinical Trial Protocol ID*"""


class Adaptation(Part):
    """Learning from corrections."""

    wait_minutes: NotNegative = 2
    """min that a study waits for its patient's queued adaptations"""
    voxels: Annotated[int, Field(ge=100)] = 40000
    """voxels sampled from one corrected study"""
    largest_loss: NotNegative = 0.02
    """Dice that no corrected tissue may lose on slices that the head did not learn from"""
    largest_drift: NotNegative = 0.10
    """Dice by which tissues that were not outlined may move there, away from the base head"""
    groups: tuple[Group, ...] = ()
    """groups of patients, the first that fits a study and has a head first"""


class Delivery(Part):
    """Sending results."""

    calling_ae: AETitle = "GLIOLOOP"
    """AE title that Glioloop calls itself"""
    first_pause_seconds: Positive = 5
    """s before the second attempt; each further pause is twice as long"""
    longest_pause_minutes: Positive = 15
    """min between attempts at most"""
    park_after_hours: Positive = 72
    """h after which an undelivered result is parked, and shown so"""


class Web(Part):
    """The status page and the HTTP interface."""

    host: str = "127.0.0.1"
    """address to listen on"""
    port: Port = 8043
    """TCP port; 0 takes a free one"""
    allowed_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    """Host headers that are answered"""


class Settings(BaseSettings):
    """The whole tree."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="GLIOLOOP_",
        env_nested_delimiter="__",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    data: Path = Path("glioloop-data")
    """folder of all that is kept: inbox, results, models, databases; on a local disk"""
    site_secret: SecretStr | None = None
    """secret that patients' keys are made with; null: created once in `<data>/site-secret`"""
    jobs_url: str | None = None
    """database of the jobs; null: SQLite in `<data>/jobs.db`"""
    models_url: SecretStr | None = None
    """database of the patients' models, SQLite or PostgreSQL; null: SQLite in `<data>/models`"""
    node: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "local"
    """name of this process among those that share the jobs' database"""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG, INFO, WARNING or ERROR"""
    listener: Listener = Listener()
    destinations: tuple[Destination, ...] = ()
    """where results are sent; none: they are only kept"""
    completeness: Completeness = Completeness()
    scope: Scope = Scope()
    identification: Identification = Identification()
    answers: Answers = Answers()
    inference: Inference = Inference()
    adaptation: Adaptation = Adaptation()
    delivery: Delivery = Delivery()
    web: Web = Web()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: given in code, environment, YAML file."""
        return init_settings, env_settings, YamlConfigSettingsSource(settings_cls)

    @property
    def database(self) -> str:
        """URL of the jobs' database."""
        return self.jobs_url or f"sqlite:///{self.data.absolute() / 'jobs.db'}"


def load(path: Path | None = None, **given: Any) -> Settings:
    """Settings from a YAML file, the environment and ``given``, which wins.

    Raises
    ------
    RefusedError
        If the file cannot be read, or a name is unknown, or a value is not possible. The message
        names each setting, but no value: one of them is a secret.
    """
    _refuse_unknown_environment()
    if path is None and "GLIOLOOP_CONFIG" in os.environ:
        path = Path(os.environ["GLIOLOOP_CONFIG"])
    if path is not None and not path.is_file():
        raise RefusedError(f"there is no settings file {path}")

    class FromFile(Settings):
        model_config = SettingsConfigDict(yaml_file=path)

    try:
        found = FromFile(**given)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(at) for at in e['loc'])}: {e['msg']}" for e in error.errors()
        )
        raise RefusedError(f"the settings are not usable: {wrong}") from None
    except (yaml.YAMLError, TypeError, ValueError) as error:
        kind = type(error).__name__
        raise RefusedError(f"the settings file {path} is not readable YAML ({kind})") from None
    return Settings.model_construct(
        **{name: getattr(found, name) for name in Settings.model_fields}
    )


def _refuse_unknown_environment() -> None:
    """An unknown GLIOLOOP_ name in the environment is a typing mistake too."""
    known = {f"GLIOLOOP_{name}".upper() for name in Settings.model_fields} | NOT_SETTINGS
    for name in os.environ:
        upper = name.upper()
        if upper.startswith("GLIOLOOP_") and upper.split("__")[0] not in known:
            raise RefusedError(f"the environment sets {name}, which is no setting of Glioloop")


@dataclass(frozen=True)
class Launch:
    """Which of several processes of one training this is, and where the first one listens.

    Parameters
    ----------
    rank, world, local
        Number of this process, of all processes, and of this one on its machine.
    address, port
        Of the first process.
    """

    rank: int = 0
    world: int = 1
    local: int = 0
    address: str = "127.0.0.1"
    port: int = 29500


def launched() -> Launch:
    """What ``torchrun`` says in the environment; alone where it says nothing.

    Raises
    ------
    RefusedError
        If a number is none.
    """
    given = os.environ
    try:
        return Launch(
            int(given.get("RANK", "0")),
            int(given.get("WORLD_SIZE", "1")),
            int(given.get("LOCAL_RANK", "0")),
            given.get("MASTER_ADDR", "127.0.0.1"),
            int(given.get("MASTER_PORT", "29500")),
        )
    except ValueError as error:
        raise RefusedError(
            "RANK, WORLD_SIZE, LOCAL_RANK and MASTER_PORT in the environment are whole numbers, as"
            f" torchrun sets them: {error}"
        ) from error


def environment_without_settings() -> dict[str, str]:
    """The environment for a service of one's own: the site's settings must not reach it."""
    return {name: v for name, v in os.environ.items() if not name.upper().startswith("GLIOLOOP_")}


def secret_of_site(settings: Settings) -> bytes:
    """Secret that patients' keys are made with; created at the first call when none is given.

    The file `<data>/site-secret` is readable for its owner alone. Who loses it loses the link
    between patients and their models, so it belongs into the backup.
    """
    if settings.site_secret is not None:
        return settings.site_secret.get_secret_value().encode()
    path = settings.data / "site-secret"
    settings.data.mkdir(parents=True, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return path.read_bytes().strip()
