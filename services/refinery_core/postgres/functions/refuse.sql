-- Refuses with a reason of the catalogue (refinery_core/errors.py): SQLSTATE RF000 and a JSON DETAIL.
create or replace function refinery.refuse(reason text, metadata jsonb default '{}') returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    raise sqlstate 'RF000'
    using message = refuse.reason, detail = jsonb_build_object('reason', refuse.reason, 'metadata', refuse.metadata)::text;
end
$$;
