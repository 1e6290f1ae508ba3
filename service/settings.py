"""What an operator may set, each by an environment variable: DUALUSE_MAX_DOCUMENTS=200.

The defaults are the published limits. An empty variable counts as not set.
"""

import os
from pathlib import Path

from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

ENV_PREFIX = "DUALUSE_"


class Settings(BaseSettings):
    """The service's settings; arguments win over the environment."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_ignore_empty=True, frozen=True)

    model: Path | None = Field(default=None, description="Model folder; None is the shipped model.")
    max_body_bytes: PositiveInt = Field(default=10_000_000, description="Longest request body.")
    max_documents: PositiveInt = Field(default=1_000, description="Most documents in one request.")
    max_concurrent: PositiveInt = Field(
        default_factory=lambda: os.cpu_count() or 1, description="Requests scored at the same time."
    )
    max_waiting: NonNegativeInt = Field(default=8, description="Requests that may wait to be scored.")
    data_dir: Path = Field(default=Path("dualuse-data"), description="Folder for what the service keeps.")
    records: bool = Field(default=False, description="Write a determination record for every document judged.")
