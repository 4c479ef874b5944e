-- Inserts what refine() accepted: `commits` has the answer to each request of the batch, NULL where it was not accepted. The
-- triggers do the rest. Requests, drafts, answers and documents are walked side by side, each once.
create or replace function refinery.record(
    requests jsonb, contexts jsonb[], schemas jsonb[], solutions jsonb[], commits jsonb[], "time" timestamptz)
returns void
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
begin
    insert into refinery.refinements (
        id, position, request_id, request_digest, principal, time,
        author_ref, target_refs, instruction_refs, budget_refs, chain, held_as, behalf_ref)
    select (q.answer ->> 'id')::uuid, (q.answer ->> 'position')::bigint, (q.request ->> 'request_id')::uuid,
           decode(q.request ->> 'request_digest', 'hex'), q.request ->> 'principal', record.time,
           q.answer ->> 'author_ref',
           array(select jsonb_array_elements_text(q.answer -> 'target_refs')),
           array(select jsonb_array_elements_text(q.answer -> 'instruction_refs')),
           array(select jsonb_array_elements_text(q.answer -> 'budget_refs')),
           decode(q.answer ->> 'chain', 'hex'), q.answer ->> 'held_as', q.request -> 'authority' ->> 'behalf'
    from rows from (jsonb_array_elements(requests), unnest(commits)) as q (request, answer)
    where q.answer is not null;

    insert into refinery.vibes (
        ref, id, branches, revision, type, author_ref, prototype_ref, refinement_id, position, ordinal,
        context, schema, solution, content_digest, digest)
    select d.ref, d.draft ->> 'id', array(select jsonb_array_elements_text(d.draft -> 'branches')), d.revision::integer,
           d.draft ->> 'type', q.answer ->> 'author_ref', d.draft ->> 'prototype_ref', (q.answer ->> 'id')::uuid,
           (q.answer ->> 'position')::bigint, d.place - 1,
           case when d.draft -> 'inherits' ? 'context' then p.context else d.context end,
           case when d.draft -> 'inherits' ? 'schema' then p.schema else d.schema end,
           case when d.draft -> 'inherits' ? 'solution' then p.solution else d.solution end,
           decode(d.draft ->> 'content_digest', 'hex'), decode(d.digest, 'hex')
    from (
        select r.request, r.answer, sum(r.drafts) over (order by r.place) - r.drafts as before, r.drafts
        from (
            select e.request, e.answer, e.place, jsonb_array_length(e.request -> 'drafts') as drafts
            from rows from (jsonb_array_elements(requests), unnest(commits)) with ordinality as e (request, answer, place)
        ) r
    ) q
    cross join lateral rows from (
        jsonb_array_elements(q.request -> 'drafts'), jsonb_array_elements_text(q.answer -> 'refs'),
        jsonb_array_elements_text(q.answer -> 'revisions'), jsonb_array_elements_text(q.answer -> 'digests'),
        unnest(contexts[q.before + 1 : q.before + q.drafts]), unnest(schemas[q.before + 1 : q.before + q.drafts]),
        unnest(solutions[q.before + 1 : q.before + q.drafts])
    ) with ordinality as d (draft, ref, revision, digest, context, schema, solution, place)
    left join lateral (
        select v.context, v.schema, v.solution from refinery.vibes v
        where d.draft ? 'inherits' and v.ref = d.draft ->> 'prototype_ref' limit 1) p on true
    where q.answer is not null;
end
$$;
