"""`refinery import-schemas`: JSON Schema files become Vibes, in one refine."""

from __future__ import annotations

import glob
import hashlib
import uuid
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from refinery_cli.options import HERE, Author, Output, RequestId, Services, request_id_of
from refinery_cli.read.documents import read_file, value_of
from refinery_cli.read.schema_drafts import SchemaDraft, id_of, plan
from refinery_cli.read.schema_files import SchemaFile, Unresolved
from refinery_cli.show.bar import progress
from refinery_cli.show.failures import Usage
from refinery_cli.show.output import Form, print_json, say
from refinery_cli.show.plain import plain
from refinery_cli.verbs.refine import print_refined, send
from refinery_client.answers import Refined
from refinery_client.drafts import Draft, Refine
from refinery_core.vibe.model import VibeType
from refinery_core.vibe.refs import RefFault, check_id
from refinery_local import LOCAL_ROLE


async def import_schemas(
    *patterns: Annotated[str, Parameter(help="Files, or patterns for them ('schemas/**/*.json').")],
    prefix: Annotated[str, Parameter(help="The prefix of the ids: schemas/cyclonedx.")] = "schemas",
    map: Annotated[  # noqa: A002 -- what people expect it to be called
        tuple[str, ...], Parameter(negative="", help="FILE=ID: the whole id of one file; again for more.")
    ] = (),
    author: Author = LOCAL_ROLE,
    branch: Annotated[str, Parameter(env_var="REFINERY_BRANCH", help="The branch to write to.")] = "main",
    dry_run: Annotated[bool, Parameter(negative="", help="Check everything, write nothing.")] = False,
    request_id: RequestId = None,
    output: Output = "text",
    services: Services = HERE,
) -> None:
    """
    Make Vibes of JSON Schema files, in one refine: all of them, or none.

    References between the files, by file name first and then by $id, become aug:
    references with their fragments. Files that refer to each other in a cycle
    become one Vibe. Nothing is fetched: a reference to neither a file nor a
    meta-schema is refused. The id of a file is the prefix and its name without
    .schema.json or .json, unless --map gives another.
    """
    files = read_schemas(found(patterns))
    try:
        drafts = plan(files, ids_of(files, prefix, map))
    except Unresolved as fault:
        raise Usage(f"{fault}.") from None
    request = Refine(
        author_ref=author,
        branch=branch,
        drafts=[_draft(draft) for draft in drafts],
        validate_only=dry_run,
        request_id=request_id_of(request_id) or uuid.uuid4(),
    )
    async with services.connect() as refinery:
        with progress("refining"):
            refined = await send(refinery, request)
    _print(drafts, refined, output)


def found(patterns: Sequence[str]) -> list[Path]:
    """The files that the patterns name, each once, in a settled order."""
    paths: dict[Path, None] = {}
    for pattern in patterns:
        names = [pattern] if Path(pattern).is_file() else sorted(_matching(pattern))
        matching = [Path(name) for name in names if Path(name).is_file()]
        if not matching:
            raise Usage(f"'{pattern}' matches no file.")
        paths.update(dict.fromkeys(matching))
    if not paths:
        raise Usage("import-schemas takes at least one file.")
    return list(paths)


def _matching(pattern: str) -> list[str]:
    return glob.glob(pattern, recursive=True)  # noqa: PTH207 -- a Path takes no absolute pattern


def read_schemas(paths: Sequence[Path]) -> list[SchemaFile]:
    """Read the files."""
    files = []
    with progress("reading") as told:
        for done, path in enumerate(paths, 1):
            schema = value_of(path)
            if not isinstance(schema, dict | bool):
                raise Usage(f"{path} is not a schema: a schema is an object or a boolean.")
            files.append(SchemaFile(path, schema, hashlib.sha256(read_file(path).encode()).hexdigest()))
            told(done, len(paths))
    return files


def ids_of(files: Sequence[SchemaFile], prefix: str, mapped: Sequence[str]) -> dict[SchemaFile, str]:
    """The id of each file."""
    told = dict(_mapping(entry) for entry in mapped)
    ids = {}
    for file in files:
        names = (str(file.path), file.path.name)
        ids[file] = next((told[name] for name in names if name in told), id_of(file.path, prefix))
        try:
            check_id(ids[file])
        except RefFault as fault:
            raise Usage(
                f"{file.path} cannot have the id '{ids[file]}': {fault.problem}; give another with --map."
            ) from None
    known = {name for file in files for name in (str(file.path), file.path.name)}
    for name in told:
        if name not in known:
            raise Usage(f"--map: '{name}' is none of the files.")
    return ids


def _mapping(entry: str) -> tuple[str, str]:
    name, equals, id_ = entry.rpartition("=")
    if not equals or not name:
        raise Usage(f"--map: '{entry}' is not FILE=ID.")
    return name, id_


def _draft(draft: SchemaDraft) -> Draft:
    source = [{"file": file.path.name, "sha256": file.sha256} for file in draft.files]
    return Draft(type=VibeType.RECORD, id=draft.id, context={"source": source}, schema=draft.schema)


# --- What it did --------------------------------------------------------------------------


def _print(drafts: Sequence[SchemaDraft], refined: Refined, output: Form) -> None:
    if output != "text":
        pairs = zip(drafts, refined.vibes, strict=True)
        imported = [_told(draft) | {"ref": vibe.ref} for draft, vibe in pairs]
        print_json(plain(refined) | {"imported": imported}, output)
        return
    for draft in drafts:
        for file in draft.files:
            where = (
                draft.id if file is draft.files[0] else f"a definition in {draft.id}, for they form a ring"
            )
            say(f"{file.path.name} → {where}")
            references = [each for each in draft.references if each.file == file.path]
            for line, times in Counter(f"{each.written} → {each.becomes}" for each in references).items():
                say(f"  {line}" + (f" ({times} times)" if times > 1 else ""))
    say()
    print_refined(refined, output)


def _told(draft: SchemaDraft) -> dict[str, object]:
    references = [
        {"file": str(each.file), "pointer": each.pointer, "written": each.written, "becomes": each.becomes}
        for each in draft.references
    ]
    return {"id": draft.id, "files": [str(file.path) for file in draft.files], "references": references}
