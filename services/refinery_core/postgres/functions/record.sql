-- Inserts what refine() accepted: the requests at these places of the batch, with their answers. The triggers do the rest.
create or replace function refinery.record(requests jsonb, places integer[], answers jsonb[], "time" timestamptz) returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.refinements (
        id, position, request_id, request_digest, principal, time,
        author_ref, target_refs, instruction_refs, budget_refs, chain)
    select (a.answer ->> 'id')::uuid, (a.answer ->> 'position')::bigint, (r.request ->> 'request_id')::uuid,
           decode(r.request ->> 'request_digest', 'hex'), r.request ->> 'principal', record.time,
           a.answer ->> 'author_ref',
           array(select jsonb_array_elements_text(a.answer -> 'target_refs')),
           array(select jsonb_array_elements_text(a.answer -> 'instruction_refs')),
           array(select jsonb_array_elements_text(a.answer -> 'budget_refs')),
           decode(a.answer ->> 'chain', 'hex')
    from unnest(places, answers) as a (place, answer), lateral (select requests -> a.place) as r (request);

    insert into refinery.vibes (
        ref, id, branches, revision, type, author_ref, prototype_ref, refinement_id, position, ordinal,
        context, schema, solution, content_digest, digest)
    select a.answer -> 'refs' ->> o.ordinal, d.draft ->> 'id', array(select jsonb_array_elements_text(d.draft -> 'branches')),
           (a.answer -> 'revisions' ->> o.ordinal)::integer, d.draft ->> 'type', a.answer ->> 'author_ref',
           d.draft ->> 'prototype_ref', (a.answer ->> 'id')::uuid, (a.answer ->> 'position')::bigint, o.ordinal,
           d.draft -> 'context', d.draft -> 'schema', d.draft -> 'solution',
           decode(d.draft ->> 'content_digest', 'hex'), decode(a.answer -> 'digests' ->> o.ordinal, 'hex')
    from unnest(places, answers) as a (place, answer),
         generate_series(0, jsonb_array_length(a.answer -> 'refs') - 1) as o (ordinal),
         lateral (select requests -> a.place -> 'drafts' -> o.ordinal) as d (draft)
    order by a.place, o.ordinal;
end
$$;
