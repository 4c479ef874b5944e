-- The grammar of names, as refinery_core/vibe/refs.py has it; the tables' checks need it.

create function refinery.is_path(path text) returns boolean
language sql immutable parallel safe
return path ~ '^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$' and path !~ '(^|/)\.\.?(/|$)';
comment on function refinery.is_path is 'Whether a text can be an id or the name of a branch.';
