"""``hdtui runs du``: what runs take on disk, and what could be freed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hdtui.cli.options import Call, grouped_options
from hdtui.cli.output import print_json, print_table, safe
from hdtui.formatting import size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hdtui.data.disk_use import DiskUse


@grouped_options()
def disk_command(
    call: Call,
    top: Annotated[
        int, typer.Option("--top", min=1, help="So many runs, the largest; --json has all.")
    ] = 20,
) -> None:
    """Bytes on disk by run, kind of file and pipeline; the database; what could be freed."""
    from hdtui.data.disk_use import disk_use

    _, database = call.existing()
    use = disk_use(database)
    if call.json:
        print_json(_document(use))
        return
    largest = sorted(use.runs, key=lambda run: (-use.by_run[run.id], run.id))
    print_table(
        ["run", "kind", "name", "pipeline", "size"],
        [
            [str(run.id), run.kind.value, run.name, str(run.pipeline or "·"), size(bytes_of)]
            for run in largest[:top]
            for bytes_of in [use.by_run[run.id]]
        ],
    )
    if len(largest) > top:
        print(f"and {len(largest) - top} smaller ones; --top {len(largest)} shows all")
    pipelines = {
        "in no pipeline" if number is None else f"pipeline {number}": num_bytes
        for number, num_bytes in use.by_pipeline.items()
    }
    parts = {**use.beside, "database": use.database}
    for heading, found in (("files", use.by_kind), ("pipeline", pipelines), ("beside", parts)):
        print()
        _print_sizes(heading, found)
    print(f"\n{size(use.total)} in all")
    for each in use.freeable:
        print(safe(f"could be freed: {size(each.num_bytes)}, {each.what}: {each.how}"))


def _print_sizes(heading: str, found: Mapping[str, int]) -> None:
    rows = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    print_table([heading, "size"], [[name, size(num_bytes)] for name, num_bytes in rows])


def _document(use: DiskUse) -> dict[str, Any]:
    return {
        "total_bytes": use.total,
        "database_bytes": use.database,
        "database_spare_bytes": use.spare,
        "runs": [
            {
                "id": run.id,
                "kind": run.kind,
                "name": run.name,
                "state": run.state,
                "pipeline": run.pipeline,
                "archived": run.archived,
                "bytes": use.by_run[run.id],
            }
            for run in use.runs
        ],
        "files": use.by_kind,
        "pipelines": [
            {"pipeline": number, "bytes": num_bytes}
            for number, num_bytes in use.by_pipeline.items()
        ],
        "beside": use.beside,
        "freeable": use.freeable,
    }
