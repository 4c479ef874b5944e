-- What a reference to a document, or to a part of it, becomes in a bundle.
create or replace function refinery.bundled_target(self text, fragment text, wrapped text[]) returns text
language sql immutable parallel safe
return self || case
    when fragment = '' then ''
    when self = any (wrapped) and fragment ~ '^/(?!(definitions|\$defs)(/|$))' then '#/definitions/aug:siblings' || fragment
    else '#' || fragment
end;
