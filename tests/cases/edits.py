"""Edits of the rows of a ledger with content, and the finding that each leads to."""

# ruff: noqa: E501 - a row of the table is one line

from __future__ import annotations

from tests.support.content import FORK, IMPORTED, LAST, REVISED

Edit = tuple[str, str, str]
"""The kind and the place of the finding, and the statement."""

EDITS: dict[str, Edit] = {
    # What is in a Vibe.
    "a solution": ("content", "main@users/1?2", "update refinery.vibes set solution = '{\"zip\": \"9\"}' where ref = 'main@users/1?2'"),
    "a solution taken away": ("content", "main@last?1", "update refinery.vibes set solution = null where ref = 'main@last?1'"),
    "an absent solution that becomes null": ("content", "main@schemas/address?1", "update refinery.vibes set solution = 'null' where ref = 'main@schemas/address?1'"),
    "a number of a solution": ("content", "dev@both?1", "update refinery.vibes set solution = jsonb_set(solution, '{0}', '1.25') where ref = 'dev@both?1'"),
    "a number that is none": ("content", "dev@both?1", "update refinery.vibes set solution = jsonb_set(solution, '{0}', '1e300') where ref = 'dev@both?1'"),
    "the genesis": ("content", "main@system/genesis?1", "update refinery.vibes set solution = '{}' where ref = 'main@system/genesis?1'"),
    "a schema": ("content", "main@schemas/address?1", "update refinery.vibes set schema = schema || '{\"minProperties\": 1}' where ref = 'main@schemas/address?1'"),
    "a context": ("content", "main@schemas/user?1", "update refinery.vibes set context = '{\"lang\": \"de\"}' where ref = 'main@schemas/user?1'"),
    "a pin": ("pin", "main@users/1?2", "update refinery.vibes set schema = replace(schema::text, 'main@schemas/user?1', 'main@schemas/address?1')::jsonb where ref = 'main@users/1?2'"),
    "a pin, to another version": ("content", "main@schemas/user?1", "update refinery.vibes set schema = replace(schema::text, 'main@schemas/address?1', 'dev@schemas/address?2')::jsonb where ref = 'main@schemas/user?1'"),
    "the references of a schema": ("schema_refs", "main@users/1?2", "update refinery.vibes set schema_refs = '{}' where ref = 'main@users/1?2'"),
    "a content digest": ("content", "main@last?1", "update refinery.vibes set content_digest = sha256('x') where ref = 'main@last?1'"),
    "a digest": ("digest", "main@last?1", "update refinery.vibes set digest = sha256('x') where ref = 'main@last?1'"),
    # What a Vibe is.
    "an author": ("author", "main@last?1", "update refinery.vibes set author_ref = 'main@roles/editor?1' where ref = 'main@last?1'"),
    "a prototype": ("digest", "main@users/1?1", "update refinery.vibes set prototype_ref = 'main@schemas/address?1' where ref = 'main@users/1?1'"),
    "a prototype taken away": ("digest", "main@users/1?1", "update refinery.vibes set prototype_ref = null where ref = 'main@users/1?1'"),
    "a prototype of its future": ("edge", "main@users/1?1", "update refinery.vibes set prototype_ref = 'main@last?1' where ref = 'main@users/1?1'"),
    "a type": ("digest", "main@last?1", "update refinery.vibes set type = 'CAPABILITY' where ref = 'main@last?1'"),
    "a type of one version": ("type", "users/1", "update refinery.vibes set type = 'CAPABILITY' where ref = 'main@users/1?2'"),
    "branches": ("digest", "dev@both?1", "update refinery.vibes set branches = '{dev}' where ref = 'dev@both?1'"),
    "the order of drafts": ("chain", f"position {IMPORTED}", f"update refinery.vibes set ordinal = case ordinal when 0 then 90 else 0 end where position = {IMPORTED} and ordinal in (0, 1)"),
    "the refinement of a Vibe": ("vibe", "main@last?1", "update refinery.vibes set refinement_id = (select id from refinery.refinements where position = 2) where ref = 'main@last?1'"),
    "a ref, and all that names it": ("digest", "main@last?7", "with v as (update refinery.vibes set ref = 'main@last?7', revision = 7 where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@last?7', from_revision = 7 where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@last?7', revision = 7 where ref = 'main@last?1'"),
    "an id, and all that names it": ("digest", "main@first?1", "with v as (update refinery.vibes set ref = 'main@first?1', id = 'first' where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@first?1', from_id = 'first' where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@first?1', id = 'first' where ref = 'main@last?1'"),
    # What is not there any more, or was not there before.
    "a Vibe": ("chain", f"position {IMPORTED}", "with b as (delete from refinery.vibe_branches where ref = 'main@imported/4?1'), e as (delete from refinery.vibe_refs where from_ref = 'main@imported/4?1') delete from refinery.vibes where ref = 'main@imported/4?1'"),
    "a Vibe, but not its edges": ("edge", "main@imported/4?1", "with b as (delete from refinery.vibe_branches where ref = 'main@imported/4?1') delete from refinery.vibes where ref = 'main@imported/4?1'"),
    "a Vibe that others refer to": ("edge", "main@users/1?2", "delete from refinery.vibes where ref = 'main@schemas/user?1'"),
    "a Vibe too many": ("chain", f"position {LAST}", "insert into refinery.vibes select 'main@x?1', 'x', branches, 1, type, author_ref, null, refinement_id, position, 1, null, null, '1', '{}', sha256('1'), sha256('2') from refinery.vibes where ref = 'main@last?1'"),
    "a refinement in the middle, and all it made": ("position", f"position {REVISED + 1}", f"with r as (delete from refinery.refinements where position = {REVISED}), b as (delete from refinery.vibe_branches where position = {REVISED}), e as (delete from refinery.vibe_refs where position = {REVISED}) delete from refinery.vibes where position = {REVISED}"),
    "a refinement, but not its Vibes": ("vibe", "main@users/1?3", f"delete from refinery.refinements where position = {REVISED}"),
    "a refinement without Vibes": ("refinement", f"position {LAST + 1}", f"insert into refinery.refinements select gen_random_uuid(), {LAST + 1}, gen_random_uuid(), request_digest, principal, time, author_ref, '{{}}', '{{}}', '{{}}', chain from refinery.refinements where position = {LAST}"),
    # What a refinement is.
    "a chain link": ("chain", f"position {FORK}", f"update refinery.refinements set chain = sha256('x') where position = {FORK}"),
    "a position": ("position", "position 99", f"with v as (update refinery.vibes set position = 99 where position = {LAST}), b as (update refinery.vibe_branches set position = 99 where position = {LAST}), e as (update refinery.vibe_refs set position = 99 where position = {LAST}) update refinery.refinements set position = 99 where position = {LAST}"),
    "a time, by a microsecond": ("chain", f"position {FORK}", f"update refinery.refinements set time = time + interval '1 microsecond' where position = {FORK}"),
    "a time before the one before": ("time", f"position {FORK}", f"update refinery.refinements set time = time - interval '1 day' where position = {FORK}"),
    "a time that never comes": ("chain", f"position {LAST}", f"update refinery.refinements set time = 'infinity' where position = {LAST}"),
    "a principal": ("chain", f"position {FORK}", f"update refinery.refinements set principal = 'mallory' where position = {FORK}"),
    "a request_id": ("refinement", f"position {FORK}", f"update refinery.refinements set request_id = gen_random_uuid() where position = {FORK}"),
    "a request_id, and the ids made of it": ("chain", f"position {FORK}", f"with n as (select gen_random_uuid() as r), v as (update refinery.vibes set refinement_id = refinery.refinement_id(n.r) from n where position = {FORK}) update refinery.refinements set request_id = n.r, id = refinery.refinement_id(n.r) from n where position = {FORK}"),
    "a request digest": ("chain", f"position {FORK}", f"update refinery.refinements set request_digest = sha256('x') where position = {FORK}"),
    "an author of a refinement": ("author", "main@last?1", f"update refinery.refinements set author_ref = 'main@roles/editor?1' where position = {LAST}"),
    "a target": ("digest", "main@imported/0?1", f"update refinery.refinements set target_refs = array['main@users/1?1'] where position = {IMPORTED}"),
    "the order of targets": ("digest", "main@imported/0?1", f"update refinery.refinements set target_refs = array[target_refs[2], target_refs[1]] where position = {IMPORTED}"),
    "a target that is no ref": ("edge", "main@imported/0?1", f"update refinery.refinements set target_refs = '{{x}}' where position = {IMPORTED}"),
    "an instruction": ("digest", "main@imported/0?1", f"update refinery.refinements set instruction_refs = '{{}}' where position = {IMPORTED}"),
    "a budget": ("digest", "main@imported/0?1", f"update refinery.refinements set budget_refs = '{{}}' where position = {IMPORTED}"),
    # What was derived.
    "an edge too many": ("edge", "main@last?1", f"insert into refinery.vibe_refs values ('main@last?1', 'main@users/1?1', 'target', false, {LAST}, 'main', 'last', 1, 'users/1', 1)"),
    "an edge too few": ("edge", "main@imported/3?1", "delete from refinery.vibe_refs where from_ref = 'main@imported/3?1' and type = 'budget'"),
    "an edge that floats no more": ("edge", "main@users/1?2", "update refinery.vibe_refs set floating = not floating where from_ref = 'main@users/1?2' and type = 'schema'"),
    "an edge to another Vibe": ("edge", "main@users/1?2", "update refinery.vibe_refs set to_ref = 'main@schemas/address?1', to_id = 'schemas/address' where from_ref = 'main@users/1?2' and type = 'schema'"),
    "an edge of another type": ("edge", "main@users/1?1", "update refinery.vibe_refs set type = 'budget' where from_ref = 'main@users/1?1' and type = 'prototype'"),
    "a position of an edge": ("edge", "main@users/1?2", "update refinery.vibe_refs set position = 1 where from_ref = 'main@users/1?2'"),
    "a branch of an edge": ("edge", "main@users/1?2", "update refinery.vibe_refs set branch = 'dev' where from_ref = 'main@users/1?2'"),
    "an edge from nowhere": ("edge", "main@x?1", f"insert into refinery.vibe_refs values ('main@x?1', 'main@users/1?1', 'target', false, {LAST}, 'main', 'x', 1, 'users/1', 1)"),
    "a version missing on its branch": ("branch index", "main@both?1", "delete from refinery.vibe_branches where branch = 'main' and id = 'both'"),
    "a version on another branch too": ("branch index", "dev@last?1", f"insert into refinery.vibe_branches values ('dev', 'last', 1, {LAST}, 0, 'main@last?1')"),
    "a version of another Vibe": ("branch index", "main@users/1?4", "update refinery.vibe_branches set ref = 'main@users/1?3' where branch = 'main' and id = 'users/1' and revision = 4"),
    "a position on a branch": ("branch index", "main@users/1?4", "update refinery.vibe_branches set position = 3 where branch = 'main' and id = 'users/1' and revision = 4"),
    "a branch's fork": ("branch", "dev", "update refinery.branches set fork_position = 1 where name = 'dev'"),
    "a branch's parent": ("branch", "dev/deep", "update refinery.branches set parent = 'main' where name = 'dev/deep'"),
    "a branch's name": ("branch", "dev/odd", "update refinery.branches set name = 'dev/odd' where name = 'dev/deep'"),
    "a branch's Vibe": ("branch", "dev/deep", "update refinery.branches set ref = 'main@last?1' where name = 'dev/deep'"),
    "a branch": ("branch", "dev/deep", "delete from refinery.branches where name = 'dev/deep'"),
    "a branch too many": ("branch", "new", "insert into refinery.branches values ('new', 'main', 3, 'main@last?1')"),
    "main": ("branch", "main", "delete from refinery.branches where name = 'main'"),
    "a branch's parent, to none that there is": ("branch", "dev", "update refinery.branches set parent = 'gone' where name = 'dev'"),
    "a branch's parent, to itself": ("branch", "dev", "update refinery.branches set parent = 'dev' where name = 'dev'"),
    "where a branch's Vibe says that it forks": ("content", "main@system/branches/dev?1", "update refinery.vibes set solution = solution || '{\"fork_position\": \"here\"}' where id = 'system/branches/dev'"),
    # What no driver and no reader of JSON takes.
    "a time before all calendars": ("time", f"position {FORK}", f"update refinery.refinements set time = '0044-03-15 BC' where position = {FORK}"),
    "a number beyond all doubles, beside a pin": ("content", "main@users/1?2", "update refinery.vibes set schema = schema || jsonb_build_object('maximum', repeat('9', 400)::numeric) where ref = 'main@users/1?2'"),
    "a number that skips some": ("revision", "main@last?7", "with v as (update refinery.vibes set ref = 'main@last?7', revision = 7 where ref = 'main@last?1' returning 1), e as (update refinery.vibe_refs set from_ref = 'main@last?7', from_revision = 7 where from_ref = 'main@last?1' returning 1) update refinery.vibe_branches set ref = 'main@last?7', revision = 7 where ref = 'main@last?1'"),
    "a position beyond all others": ("position", "position 9223372036854775807", f"update refinery.refinements set position = 9223372036854775807 where position = {LAST}"),
}  # fmt: skip
