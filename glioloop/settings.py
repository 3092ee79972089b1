"""Every setting of Glioloop, with its default and unit, and nothing else that can be set.

The branches are in `settings_network`, `settings_dicomweb`, `settings_studies` and
`settings_models`.

Read once at start from a YAML file and from the environment (``GLIOLOOP_LISTENER__PORT=11112`` is
``listener: {port: 11112}``; the environment wins), then passed down. No other module looks at the
environment. Unknown names are refused: a typing mistake must not become a default.
"""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from glioloop import database, durable
from glioloop.settings_audit import Audit
from glioloop.settings_dicomweb import Dicomweb, DicomwebDestination
from glioloop.settings_models import Adaptation, Inference
from glioloop.settings_network import Delivery, Destination, Listener, Web
from glioloop.settings_studies import Answers, Completeness, Identification, Scope
from study.errors import RefusedError

NodeName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]

NOT_SETTINGS = frozenset({"GLIOLOOP_CONFIG", "GLIOLOOP_TEST_DATA"})
"""Names in the environment that begin like settings but are none."""


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
    site_secret_file: Path | None = None
    """file with that secret, where `site_secret` is null"""
    jobs_url: SecretStr | None = None
    """database of the jobs; PostgreSQL for several nodes; null: SQLite in `<data>/jobs.db`"""
    ledger_url: SecretStr | None = None
    """database of what arrived; null: as `models_url`, in `<data>/ledger.db`"""
    models_url: SecretStr | None = None
    """database of patients' models; null: that of the jobs if PostgreSQL, or `<data>/models`"""
    node: NodeName | None = None
    """name of this process, no other's; null: `local`, or with PostgreSQL that of the machine"""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG, INFO, WARNING or ERROR"""
    listener: Listener = Listener()
    destinations: tuple[Destination, ...] = ()
    """where results are sent; none: they are only kept"""
    dicomweb: Dicomweb = Dicomweb()
    completeness: Completeness = Completeness()
    scope: Scope = Scope()
    identification: Identification = Identification()
    answers: Answers = Answers()
    inference: Inference = Inference()
    adaptation: Adaptation = Adaptation()
    delivery: Delivery = Delivery()
    web: Web = Web()
    audit: Audit = Audit()

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

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        """Deliveries are known by the names of their destinations."""
        names = [one.name for one in self.addressees]
        if len(set(names)) < len(names):
            raise ValueError("two destinations have one name")
        return self

    @property
    def addressees(self) -> tuple[Destination | DicomwebDestination, ...]:
        """Every archive that gets results."""
        return (*self.destinations, *self.dicomweb.destinations)

    @property
    def database(self) -> str:
        """URL of the jobs' database."""
        if self.jobs_url is not None:
            return self.jobs_url.get_secret_value()
        return f"sqlite:///{self.data.absolute() / 'jobs.db'}"

    @property
    def shared(self) -> bool:
        """Whether several nodes may share the work: the jobs are in PostgreSQL."""
        return database.kind_of(self.database) == "postgresql"

    @property
    def ledger_place(self) -> Path | str:
        """File or URL of the ledger."""
        return self._place(self.ledger_url, self.data / "ledger.db")

    @property
    def models_place(self) -> Path | str:
        """Folder or URL of the models."""
        return self._place(self.models_url, self.data / "models")

    @property
    def node_name(self) -> str:
        """Name of this process among those that share the jobs."""
        return self.node or (socket.gethostname() if self.shared else "local")

    def _place(self, url: SecretStr | None, alone: Path) -> Path | str:
        """Where a database is: as given, with the jobs of several nodes, or in the data folder."""
        if url is not None:
            return url.get_secret_value()
        return self.database if self.shared else alone


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


def _secret_of(path: Path) -> bytes:
    """Content of a file with a secret."""
    try:
        found = path.read_bytes().strip()
    except OSError as error:
        kind = type(error).__name__
        raise RefusedError(f"site_secret_file {path} cannot be read ({kind})") from error
    if not found:
        raise RefusedError(f"site_secret_file {path} is empty; it holds the secret")
    return found


def secret_of_site(settings: Settings) -> bytes:
    """Secret that patients' keys are made with; created at the first call when none is given.

    The file `<data>/site-secret` is readable for its owner alone. Who loses it loses the link
    between patients and their models, so it belongs into the backup.
    """
    if settings.site_secret is not None:
        return settings.site_secret.get_secret_value().encode()
    if settings.site_secret_file is not None:
        return _secret_of(settings.site_secret_file)
    path = settings.data / "site-secret"
    # Whole or not at all: a node must not read what another one has only begun to write.
    durable.once(path, lambda: secrets.token_hex(32).encode() + b"\n")
    return path.read_bytes().strip()
