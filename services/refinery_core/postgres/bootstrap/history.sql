-- What was applied: the memory of migrate.
create table if not exists refinery.schema_migrations (
    name       text collate "C" primary key,
    sha256     text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table refinery.schema_migrations is 'Which migrations and seeds were applied, each once.';
create table if not exists refinery.schema_code (
    number     bigint generated always as identity primary key,
    sha256     text not null,
    applied_at timestamptz not null default clock_timestamp()
);
comment on table refinery.schema_code is 'Which functions, triggers and privileges were applied; the last row is in force.';
