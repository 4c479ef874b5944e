-- What was applied: the memory of migrate. It is read before anything is applied, so it cannot grow by migrations: a column that
-- is added later stands below as "alter table … add column if not exists", with a default.
create table if not exists refinery.schema_migrations (
    name       text collate "C" primary key,
    sha256     text not null,
    defines    text[] collate "C" not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table refinery.schema_migrations is 'Which migrations and seeds were applied, each once.';
comment on column refinery.schema_migrations.defines is 'The functions, views and triggers that it made: code stays away from them.';
create table if not exists refinery.schema_code (
    number          bigint generated always as identity primary key,
    sha256          text not null,
    release         text not null,
    contract        integer not null,
    oldest_contract integer not null check (oldest_contract <= contract),
    objects         jsonb not null,
    postgres        integer not null,
    applied_at      timestamptz not null default clock_timestamp()
);
comment on table refinery.schema_code is 'Which functions, triggers and privileges were applied; the last row is in force.';
comment on column refinery.schema_code.contract is 'Programs that ask for a contract from oldest_contract to this one are served; see postgres/release.py.';
comment on column refinery.schema_code.objects is 'Every function, view and trigger that stood in the schema then, with the SHA-256 of its text.';
comment on column refinery.schema_code.postgres is 'The major version of the server then: another one may show the same text differently.';
