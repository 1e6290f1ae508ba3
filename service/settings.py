"""What an operator may set: by environment (DUALUSE_MAX_DOCUMENTS=200) or in a TOML file that DUALUSE_CONFIG names.

The environment wins over the file. The defaults are the published limits. An empty variable counts as not set.
"""

import os
import tomllib
from pathlib import Path

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from classifier.errors import DualuseError

ENV_PREFIX = "DUALUSE_"
CONFIG = f"{ENV_PREFIX}CONFIG"
_PROCESSORS = os.cpu_count() or 1


def _data_dir() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "dualuse"


class Settings(BaseSettings):
    """The service's settings; arguments win over the environment, that over the file.

    Raises DualuseError where the file that DUALUSE_CONFIG names cannot be read, pydantic's ValidationError where a
    value is none, or where the file holds a name that is not one of these.
    """

    # No error repeats a value: it may be a password, also under a mistyped name.
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True, hide_input_in_errors=True
    )

    model: Path | None = Field(default=None, description="Model folder; None is the shipped model.")
    data_dir: Path = Field(default_factory=_data_dir, description="Where jobs, results and the database are kept.")
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://USER:PASSWORD@HOST/NAME; None is SQLite in the data folder."
    )
    quarantine: bool = Field(default=False, description="Give callers with a submit key a ticket, never a score.")
    allowed_hosts: str = Field(
        default="",
        description="Names to answer to, separated by commas; none: any, or loopback's while there's no key.",
    )
    max_body_bytes: PositiveInt = Field(default=10_000_000, description="Longest request body.")
    max_documents: PositiveInt = Field(default=1_000, description="Most documents in one request.")
    max_concurrent: PositiveInt = Field(default=_PROCESSORS, description="Threads that score.")
    max_waiting: NonNegativeInt = Field(default=32, description="Requests that may wait to be scored.")
    read_timeout: PositiveFloat = Field(default=30.0, description="Seconds for a body, and one more each 10,000 bytes.")
    max_upload_bytes: PositiveInt = Field(default=500_000_000, description="Longest upload to a job.")
    max_unpacked_bytes: PositiveInt = Field(default=2_000_000_000, description="Longest upload once unpacked.")
    max_jobs: PositiveInt = Field(default=20, description="Jobs that may wait or be under way.")
    job_threads: PositiveInt = Field(default=max(1, _PROCESSORS - 1), description="Threads that a job scores in.")
    job_segment_rows: PositiveInt = Field(default=50_000, description="Rows after which a job's work is kept.")
    result_days: PositiveInt = Field(default=30, description="Days after which a finished job is deleted.")
    records: bool = Field(default=False, description="Write a determination record for every document judged.")
    drain_seconds: NonNegativeFloat = Field(
        default=0.0, description="How long a stopping service still takes requests, ready answering 503."
    )

    @property
    def hosts(self) -> frozenset[str]:
        """The allowed hosts, in lower case."""
        return frozenset(name.strip().lower() for name in self.allowed_hosts.split(",") if name.strip())

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the file last, if one is named."""
        named = os.environ.get(CONFIG)
        if not named:
            return init_settings, env_settings
        if not Path(named).is_file():
            raise DualuseError(f"{CONFIG}={named}: there is no such file. Name a TOML file, or unset it.")
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, named)
        except tomllib.TOMLDecodeError as error:
            raise DualuseError(f"{CONFIG}={named} is not TOML: {error}. Mend it, or unset {CONFIG}.") from None
        except UnicodeDecodeError as error:
            raise DualuseError(f"{CONFIG}={named} is not UTF-8, at byte {error.start}. Save it again.") from None
        except OSError as error:
            raise DualuseError(f"{CONFIG}={named} cannot be read: {error.strerror}. Check its rights.") from None
