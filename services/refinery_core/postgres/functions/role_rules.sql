-- The rules that a Role's solution has in `may`, with what they leave out filled in. A rule that is not understood as a whole
-- allows nothing.
create or replace function refinery.role_rules(solution jsonb)
returns table (number integer, verbs text[], ids text[], branches text[], types text[])
language sql immutable parallel safe
as $$
select m.place::integer - 1,
       array(select jsonb_array_elements_text(m.rule -> 'do')),
       coalesce(case when m.rule ? 'ids' then array(select jsonb_array_elements_text(m.rule -> 'ids')) end, '{**}'),
       coalesce(case when m.rule ? 'branches' then array(select jsonb_array_elements_text(m.rule -> 'branches')) end, '{**}'),
       case when m.rule ? 'types' then array(select jsonb_array_elements_text(m.rule -> 'types')) end
from jsonb_array_elements(case when jsonb_typeof(solution -> 'may') = 'array' then solution -> 'may' else '[]' end)
     with ordinality as m (rule, place)
where jsonb_typeof(m.rule) = 'object' and m.rule ? 'do' and m.rule - '{do,ids,branches,types}'::text[] = '{}'
  and not exists (select from jsonb_each(m.rule) e where jsonb_typeof(e.value) <> 'array')
$$;
