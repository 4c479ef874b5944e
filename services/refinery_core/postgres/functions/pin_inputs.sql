-- Pins inputs of a refine by what look_up() found: NULL where there is nothing. A string is an exact ref, an object
-- {reference, branch, id, revision} the latest (revision null) or a numbered version as its branch sees it.
create or replace function refinery.pin_inputs(inputs jsonb, heads jsonb, vibes jsonb) returns text[]
language sql immutable parallel safe
as $$ select array(
    select case
        when jsonb_typeof(i.input) = 'string' then vibes -> (i.input #>> '{}') ->> 0
        when i.input ->> 'revision' is null then heads -> ((i.input ->> 'branch') || ' ' || (i.input ->> 'id')) ->> 0
        else vibes -> ((i.input ->> 'branch') || ' ' || (i.input ->> 'id') || '?' || (i.input ->> 'revision')) ->> 0
    end
    from jsonb_array_elements(inputs) with ordinality as i (input, place)
    order by i.place) $$;
