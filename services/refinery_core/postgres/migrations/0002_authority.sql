-- Who holds a Role, and what it may do: filled by trigger from the Roles on `main`. By which name its principal held the
-- Role of a refinement, and for which execution it was made.

alter table refinery.refinements
    add column held_as text collate "C", add column behalf_ref text collate "C" references refinery.vibes;
comment on column refinery.refinements.held_as is 'The name, the principal''s own or one of its groups, by which it held the author''s Role, or one with carry-out; NULL where nobody was authenticated.';
comment on column refinery.refinements.behalf_ref is 'The RECORD of the execution in whose author''s name it was made; NULL where the principal acted for itself.';

alter table refinery.ledger
    add column seal bytea not null default sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
comment on column refinery.ledger.seal is 'The key of page tokens for callers who may not read everything: such a token would name what they may not.';

create table refinery.role_members (
    ref    text collate "C" not null references refinery.vibes,
    member text collate "C" not null,
    prefix text collate "C" generated always as (case when right(member, 1) = '*' then left(member, -1) end) stored,
    primary key (ref, member)
);
comment on table refinery.role_members is 'Who holds each revision of a Role on main, by trigger from its solution.';
comment on column refinery.role_members.prefix is 'Of a member that ends with *, how the names begin that it stands for.';
create index role_members_member on refinery.role_members (member, ref);
create index role_members_prefix on refinery.role_members (ref, prefix) where prefix is not null;

create table refinery.role_rules (
    ref      text collate "C" not null references refinery.vibes,
    number   integer not null check (number >= 0),
    verbs    text[] collate "C" not null,
    ids      text[] collate "C" not null,
    branches text[] collate "C" not null,
    types    text[] collate "C",
    primary key (ref, number)
);
comment on table refinery.role_rules is 'What each revision of a Role on main may do, by trigger from its solution; number is the place of the rule in `may`.';
comment on column refinery.role_rules.types is 'NULL: all.';

create table refinery.denials (
    number    bigint generated always as identity primary key,
    minute    timestamptz not null,
    service   text collate "C" not null,
    instance  uuid not null,
    principal text collate "C" not null,
    method    text collate "C" not null,
    verb      text collate "C" not null,
    id        text collate "C" not null,
    branch    text collate "C" not null,
    role      text collate "C" not null,
    problem   text collate "C" not null,
    count     bigint not null check (count >= 1)
);
comment on table refinery.denials is 'Calls that were refused for want of a right, counted by the minute by each instance of a service.';
create index denials_principal on refinery.denials (principal, number);
