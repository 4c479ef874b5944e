-- The tables. What is written stays written. Words are those of docs/glossary.md.
-- Every text column that names something compares byte by byte (COLLATE "C").

create table refinery.ledger (
    id        uuid not null default gen_random_uuid(),
    is_single boolean primary key default true check (is_single)
);
comment on table refinery.ledger is 'One row: which ledger this is, wherever it is restored to. The chain before position 1 is made of it.';
insert into refinery.ledger default values;

create table refinery.refinements (
    id               uuid primary key,
    position         bigint not null unique check (position >= 1),
    request_id       uuid not null unique,
    request_digest   bytea not null check (octet_length(request_digest) = 32),
    principal        text collate "C" not null,
    time             timestamptz not null,
    author_ref       text collate "C" not null,
    target_refs      text[] collate "C" not null,
    instruction_refs text[] collate "C" not null,
    budget_refs      text[] collate "C" not null,
    chain            bytea not null check (octet_length(chain) = 32)
);
comment on table refinery.refinements is 'One row for each refine: its inputs, pinned, and its place in the ledger.';

create index refinements_time on refinery.refinements (time, position);
create index refinements_author on refinery.refinements (author_ref, position);

create table refinery.vibes (
    ref            text collate "C" primary key,
    id             text collate "C" not null,
    branches       text[] collate "C" not null,
    revision       integer not null check (revision >= 1),
    type           text collate "C" not null check (type in ('RECORD', 'ROLE', 'PROCESS', 'CAPABILITY')),
    author_ref     text collate "C" not null references refinery.vibes,
    prototype_ref  text collate "C" references refinery.vibes,
    refinement_id  uuid not null references refinery.refinements,
    position       bigint not null,
    ordinal        integer not null check (ordinal >= 0),
    context        jsonb,
    schema         jsonb,
    solution       jsonb,
    schema_refs    text[] collate "C" not null default '{}',
    content_digest bytea not null check (octet_length(content_digest) = 32),
    digest         bytea not null unique check (octet_length(digest) = 32),
    unique (position, ordinal),
    check (ref = branches[1] || '@' || id || '?' || revision),
    check (octet_length(ref) <= 512),
    check (refinery.is_path(id)),
    check (refinery.is_path(branches[1]) and cardinality(branches) >= 1)
);
comment on table refinery.vibes is 'Every version of every thing. A NULL document is absent; a JSON null is a document.';
comment on column refinery.vibes.ordinal is 'The place of its draft in the request: 0, 1, 2 …';
comment on column refinery.vibes.schema_refs is 'The aug: references of the schema as written, by trigger.';

create index vibes_id on refinery.vibes (id, position, ordinal);
create index vibes_author on refinery.vibes (author_ref, position, ordinal);
create index vibes_type on refinery.vibes (type, position, ordinal);
create index vibes_refinement on refinery.vibes (refinement_id);

create table refinery.vibe_refs (
    from_ref      text collate "C" not null,
    to_ref        text collate "C" not null,
    type          text collate "C" not null
                  check (type in ('schema', 'author', 'target', 'instruction', 'budget', 'prototype')),
    floating      boolean not null,
    position      bigint not null,
    branch        text collate "C" not null,
    from_id       text collate "C" not null,
    from_revision integer not null,
    to_id         text collate "C" not null,
    to_revision   integer not null,
    primary key (from_ref, type, to_ref)
);
comment on table refinery.vibe_refs is 'Every edge, by trigger. branch is the first branch of the Vibe it comes from; position is that Vibe''s. No foreign keys: the digest of a Vibe cannot be made before all that it refers to was found.';
comment on column refinery.vibe_refs.floating is 'A schema edge: at least one reference of the schema to it names no revision.';

create index vibe_refs_to on refinery.vibe_refs (to_ref, type, position, from_ref);

-- The schemas that refer to a Vibe, by ref: a page of a million begins where the last one ended.
create index vibe_refs_dependents on refinery.vibe_refs (to_ref, from_ref) include (floating, position)
where type = 'schema';

-- Of an id that a million schemas refer to, a page is a stretch of an index, in the order in which it is asked for.
create index vibe_refs_to_id on refinery.vibe_refs (to_id, position, from_ref, to_ref) where type = 'schema';

-- Only a query that says "to_revision > 0" uses this one, so that no other takes it and sorts what it gives.
create index vibe_refs_dependents_of_id on refinery.vibe_refs (to_id, from_ref) include (to_ref, to_revision, floating, position)
where type = 'schema' and to_revision > 0;

create table refinery.branches (
    name          text collate "C" primary key check (refinery.is_path(name)),
    parent        text collate "C" references refinery.branches,
    fork_position bigint,
    ref           text collate "C" references refinery.vibes,
    check ((name = 'main') = (parent is null)),
    check ((parent is null) = (fork_position is null)),
    check ((parent is null) = (ref is null))
);
comment on table refinery.branches is 'Every line of versions, by trigger from the Vibes system/branches/<name>.';

create table refinery.vibe_branches (
    branch   text collate "C" not null,
    id       text collate "C" not null,
    revision integer not null,
    position bigint not null,
    ordinal  integer not null,
    ref      text collate "C" not null,
    primary key (branch, id, revision)
);
comment on table refinery.vibe_branches is 'Which branch has which versions, by trigger: the index that answers "latest, as of".';

create unique index vibe_branches_latest on refinery.vibe_branches (branch, id, position desc, revision desc) include (ref);
create index vibe_branches_position on refinery.vibe_branches (branch, position, ordinal);

create type refinery.known as (
    slots jsonb, refs text[], revisions integer[], types text[], digests bytea[], awaited jsonb);
comment on type refinery.known is 'What refine() knows of the ledger while it judges a batch; see functions/look_up.sql.';
