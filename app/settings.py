"""Settings of a deployment: `BRUSHEDIT_…` variables, `.env`, or flags of the same names."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

MIB = 1024 * 1024


def _split(value: Any) -> Any:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Several names, in a variable separated by commas."""


class Settings(BaseSettings):
    """Everything a deployment may set; a request cannot change any of it."""

    model_config = SettingsConfigDict(
        env_prefix="BRUSHEDIT_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    host: str = Field(
        default="127.0.0.1", description="Address to bind; anything but loopback needs an API key."
    )
    port: int = Field(default=8008, ge=0, le=65535, description="Port to bind; 0 picks a free one.")
    data: Path = Field(default=Path("data"), description="Folder of the database and the pictures.")
    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("BRUSHEDIT_DATABASE_URL", "DATABASE_URL"),
        description="postgresql://… for several machines; empty = SQLite in the data folder.",
    )
    blobs_url: str = Field(
        default="", description="Where pictures lie, such as s3://bucket/prefix; empty = data folder."
    )
    profile: str = Field(default="toybox", description="Which networks the worker loads.")
    device: str = Field(default="auto", description="Device of the worker: auto, cpu, cuda, cuda:1 …")
    agent: str = Field(
        default="app.bootstrap:build_editor",
        description="module:function that builds the agent; only workers import it.",
    )
    workers: int = Field(default=1, ge=1, le=64, description="Worker processes that `serve` keeps running.")

    queue_limit: int = Field(
        default=1000, ge=1, description="Unfinished interactive edits, over all tenants."
    )
    tenant_queue_limit: int = Field(
        default=200, ge=1, description="Unfinished interactive edits of one tenant."
    )
    batch_width: int = Field(default=4, ge=1, description="Items of one batch that are queued at once.")
    batch_items: int = Field(default=50_000, ge=1, description="Items one batch may have.")
    queue_poll: float = Field(
        default=0.02, gt=0, description="Seconds between two looks of an idle worker at the queue."
    )
    progress_poll: float = Field(
        default=0.01, gt=0, description="Seconds between two looks for news of followed edits."
    )
    heartbeat: float = Field(default=2.0, gt=0, description="Seconds between two signs of life of a worker.")
    worker_timeout: float = Field(
        default=10.0, gt=0, description="Silence after which a worker counts as dead, seconds."
    )
    attempts: int = Field(
        default=4, ge=1, description="Times an edit is begun before it is given up: it may kill workers."
    )
    drain_seconds: float = Field(
        default=30.0, ge=0, description="Seconds a process told to stop may finish its work in."
    )

    max_pixels: int = Field(default=50_000_000, ge=1, description="Pixels a picture may have.")
    max_body: int = Field(default=64 * MIB, ge=1, description="Bytes a request may have.")
    max_file: int = Field(default=200 * MIB, ge=1, description="Bytes an uploaded batch file may have.")
    max_json_depth: int = Field(default=32, ge=2, description="Levels of nesting JSON may have.")
    rate_per_minute: int = Field(
        default=600, ge=1, description="Requests a key may make in a minute unless it says otherwise."
    )
    max_wait: float = Field(
        default=600.0, ge=0, description="Longest time a request may wait for its result, seconds."
    )
    retention_days: float = Field(
        default=30.0, gt=0, description="Days a finished batch, or edit outside a session, is kept."
    )
    idempotency_hours: float = Field(
        default=24.0, gt=0, description="Hours an Idempotency-Key is remembered."
    )
    keep_alive: float = Field(
        default=15.0, gt=0, description="Seconds between two heartbeats on a quiet event stream."
    )

    cors_origins: Names = Field(default=(), description="Other web origins that may call.")
    allowed_hosts: Names = Field(default=(), description="Host names the server answers to.")
    fetch_hosts: Names = Field(
        default=(),
        description="Hosts pictures may be fetched from; none = addresses in requests are refused.",
    )
    webhook_hosts: Names = Field(
        default=(), description="Hosts webhooks may be sent to; none = webhooks are refused."
    )
    allow_private_hosts: bool = Field(
        default=False, description="Whether those hosts may have private addresses."
    )
    secret: SecretStr = Field(
        default=SecretStr(""), description="Signs links and webhooks; empty = made once, in the data folder."
    )
    log: Literal["text", "json"] = Field(default="text", description="How log lines are written.")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="From which level on; debug may show what people wrote."
    )
    metrics_public: bool = Field(default=False, description="Whether /metrics answers without a key.")

    @property
    def sql_url(self) -> str:
        """SQLAlchemy address of the database; psycopg 3 for PostgreSQL."""
        if not self.database_url:
            return f"sqlite:///{self.data.absolute() / 'brushedit.sqlite'}"
        scheme, separator, rest = self.database_url.partition("://")
        if scheme in ("postgres", "postgresql"):
            scheme = "postgresql+psycopg"
        return f"{scheme}{separator}{rest}"

    @property
    def blob_root(self) -> str:
        """Fsspec address of the picture store."""
        return self.blobs_url or str(self.data.absolute() / "blobs")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
