-- The length-prefixed encoding that digests are made over; refinery_core/vibe/digests.py states it too.
create or replace function refinery.lp(bytes bytea) returns bytea
language sql immutable parallel safe
as $$ select int4send(octet_length(bytes)) || bytes $$;

create or replace function refinery.lp(words text) returns bytea
language sql immutable parallel safe
as $$ select int4send(octet_length(words)) || convert_to(words, 'UTF8') $$;

create or replace function refinery.lp(list text[]) returns bytea
language sql immutable parallel safe
as $$ select int4send(cardinality(list)) || coalesce(
    (select string_agg(refinery.lp(word), '' order by place) from unnest(list) with ordinality as words (word, place)), '') $$;

create or replace function refinery.lp(list bytea[]) returns bytea
language sql immutable parallel safe
as $$ select int4send(cardinality(list)) || coalesce(
    (select string_agg(refinery.lp(bytes), '' order by place) from unnest(list) with ordinality as items (bytes, place)), '') $$;
