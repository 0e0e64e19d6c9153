"""Read columns from the names of folders: `dt=2026-11-01/part-0.parquet`, the layout of Hive, Spark and BigQuery."""

from urllib.parse import unquote

_NOTHING = "__HIVE_DEFAULT_PARTITION__"


def partition_values(path: str) -> dict[str, str | None]:
    """Return the columns that the folders of a path name, with their values; None for a missing one."""
    folders = path.split("://")[-1].replace("\\", "/").split("/")[:-1]
    named = (folder.partition("=") for folder in folders if "=" in folder)
    return {unquote(name): None if value == _NOTHING else unquote(value) for name, _, value in named if name}
