-- The $id that a resource inside a document gets in a bundle; unlike its author's it is different in each version.
create or replace function refinery.bundled_id(self text, place text) returns text
language sql immutable parallel safe
as $$
select self || case when place = '' then '' else '&' || refinery.uri_pointer(place) end
$$;
