package main

// The messages of proto/refinery that a verifier reads, with the fields that it looks at.

// typeNames are the values of VibeType, under the names that digests have for them.
var typeNames = map[int64]string{1: "RECORD", 2: "ROLE", 3: "PROCESS", 4: "CAPABILITY"}

const viewFull = 2 // VIBE_VIEW_FULL

type timestamp struct{ seconds, nanos int64 }

func (t *timestamp) fields() map[int]any { return map[int]any{1: &t.seconds, 2: &t.nanos} }

// micros are those since 1970.
func (t timestamp) micros() int64 { return t.seconds*1_000_000 + t.nanos/1_000 }

// A document travels as JSON text, because no call asks for another form.
type document struct{ json string }

func (d *document) fields() map[int]any { return map[int]any{1: &d.json} }

func (d *document) text() *string {
	if d == nil {
		return nil
	}
	return &d.json
}

type vibe struct {
	ref, id, authorRef, refinementID string
	branches                         []string
	revision, kind, position         int64
	prototypeRef                     *string
	createTime                       timestamp
	contentDigest, digest            []byte
	context, schema, solution        *document
}

func (v *vibe) fields() map[int]any {
	return map[int]any{
		1:  &v.ref,
		2:  &v.id,
		3:  &v.branches,
		4:  &v.revision,
		5:  &v.kind,
		6:  &v.authorRef,
		7:  &v.prototypeRef,
		8:  &v.refinementID,
		9:  &v.position,
		10: &v.createTime,
		11: &v.contentDigest,
		12: &v.digest,
		14: read(&v.context),
		15: read(&v.schema),
		16: read(&v.solution),
	}
}

// read makes the document that an optional field is read into.
func read(d **document) func() message {
	return func() message {
		*d = &document{}
		return *d
	}
}

type refinement struct {
	id, requestID, principal, authorRef string
	position                            int64
	createTime                          timestamp
	targets, instructions, budgets      []string
	vibeRefs                            []string
	chain, requestDigest                []byte
	truncated                           bool
}

func (r *refinement) fields() map[int]any {
	return map[int]any{
		1:  &r.id,
		2:  &r.position,
		3:  &r.requestID,
		4:  &r.principal,
		5:  &r.createTime,
		6:  &r.authorRef,
		7:  &r.targets,
		8:  &r.instructions,
		9:  &r.budgets,
		10: &r.vibeRefs,
		11: &r.chain,
		12: &r.truncated,
		13: &r.requestDigest,
	}
}

type ledger struct {
	ledgerID      string
	origin, chain []byte
	position      int64
}

func (l *ledger) fields() map[int]any {
	return map[int]any{1: &l.ledgerID, 2: &l.origin, 3: &l.position, 4: &l.chain}
}

// A page is an answer of ListVibes or ListRefinements.
type page[T any] struct {
	items []*T
	next  string
}

func (p *page[T]) fields() map[int]any {
	item := func() message {
		p.items = append(p.items, new(T))
		return any(p.items[len(p.items)-1]).(message)
	}
	return map[int]any{1: item, 2: &p.next}
}
