package main

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
)

// An end is a position and its chain: together they stand for everything in the ledger up to there.
type end struct {
	position int64
	chain    hash
}

func (e end) String() string { return fmt.Sprintf("%d:%s", e.position, e.chain) }

// parseEnd reads what String writes.
func parseEnd(text string) (e end, err error) {
	position, chain, _ := strings.Cut(text, ":")
	e.position, err = strconv.ParseInt(position, 10, 64)
	if err != nil || e.position < 1 || e.chain.UnmarshalText([]byte(chain)) != nil {
		return e, fmt.Errorf("%q is not POSITION:CHAIN", text)
	}
	return e, nil
}

// verifyLedger walks the ledger at an address from its origin to its end. If an end was kept before, the walk has to
// come through it.
func verifyLedger(address string, kept *end) (report string, err error) {
	c := dial(address)
	about, err := c.ledger()
	if err != nil {
		return "", err
	}
	if kept != nil && kept.position > about.position {
		return "", differ(place(kept.position), "is missing: the ledger ends at %d", about.position)
	}
	w, err := begin(about)
	if err != nil {
		return "", err
	}
	next, stop := iter.Pull2(c.vibes(about.position))
	defer stop()
	for r, err := range c.refinements(about.position) {
		if err != nil {
			return "", err
		}
		if err := w.refinement(r, next); err != nil {
			return "", err
		}
		if kept != nil && kept.position == r.position && *kept != w.end {
			return "", differ(place(r.position), "has the chain %s, but %s was kept", w.end.chain, kept.chain)
		}
	}
	if v, err, more := next(); err != nil {
		return "", err
	} else if more {
		return "", differ(v.ref, "is of no refinement")
	}
	if last := (end{about.position, w.claimed}); w.end != last {
		return "", differ("the ledger", "ends at %s, but says %s", w.end, last)
	}
	return fmt.Sprintf("ledger %s: %d refinements and %d Vibes agree, to %s",
		about.ledgerID, w.end.position, len(w.digests), w.end), nil
}

// A walk says how far a ledger has been verified, and keeps all that verifying the rest takes.
type walk struct {
	end     end
	micros  int64           // The time of the last refinement.
	digests map[string]hash // Those of all Vibes so far, by ref.
	claimed hash            // The last chain, as the ledger says.
}

func begin(about *ledger) (*walk, error) {
	const place = "the ledger"
	var id uuid
	if err := id.UnmarshalText([]byte(about.ledgerID)); err != nil {
		return nil, differ(place, "has the ledger_id %s", err)
	}
	w := &walk{end: end{0, origin(id)}, micros: math.MinInt64, digests: map[string]hash{}}
	if err := same(place, "origin", w.end.chain, about.origin); err != nil {
		return nil, err
	}
	if len(about.chain) != len(w.claimed) {
		return nil, differ(place, "has a chain of %d bytes", len(about.chain))
	}
	w.claimed = hash(about.chain)
	return w, nil
}

// refinement verifies the one after the last, and its Vibes, which are the next ones.
func (w *walk) refinement(r *refinement, next func() (*vibe, error, bool)) error {
	place := place(r.position)
	if r.position != w.end.position+1 {
		return differ(place, "follows position %d", w.end.position)
	}
	if r.truncated {
		return fmt.Errorf("%s: is truncated: what was cut can only be verified from the database", place)
	}
	if r.createTime.nanos%1000 != 0 {
		return differ(place, "has a time with parts of a microsecond")
	}
	micros := r.createTime.micros()
	if micros < w.micros {
		return differ(place, "has a time before that of the position before")
	}
	link := linkForm{Previous: w.end.chain, Position: r.position, TimeMicros: micros, Principal: r.principal}
	if err := link.RequestID.UnmarshalText([]byte(r.requestID)); err != nil {
		return differ(place, "has the request_id %s", err)
	}
	if id := refinementID(link.RequestID).String(); id != r.id {
		return differ(place, "has the id %s, not %s, which its request_id makes", r.id, id)
	}
	if len(r.requestDigest) != len(link.RequestDigest) {
		return differ(place, "has a request_digest of %d bytes", len(r.requestDigest))
	}
	link.RequestDigest = hash(r.requestDigest)
	if r.principal == "migration" || r.position == 1 {
		digest, known := migrationDigests[r.requestID]
		if !known || r.principal != "migration" {
			return differ(place, "has the request_id %s and the principal %q, not those of the migration", r.requestID, r.principal)
		}
		if link.RequestDigest != digest {
			return differ(place, "has the request_digest %s, not %s", link.RequestDigest, digest)
		}
	}
	for _, ref := range r.vibeRefs {
		v, err, more := next()
		if err != nil {
			return err
		}
		if !more || v.ref != ref || v.position != r.position {
			return differ(place, "made %s, which is not listed in its place", ref)
		}
		digest, err := w.vibe(v, r)
		if err != nil {
			return err
		}
		link.Digests = append(link.Digests, digest)
	}
	w.end, w.micros = end{r.position, link.chain()}, micros
	return same(place, "chain", w.end.chain, r.chain)
}

// vibe verifies a Vibe of a refinement, and keeps its digest.
func (w *walk) vibe(v *vibe, r *refinement) (hash, error) {
	if len(v.branches) == 0 || v.ref != fmt.Sprintf("%s@%s?%d", v.branches[0], v.id, v.revision) {
		return hash{}, differ(v.ref, "is not the ref of its branch, id and revision")
	}
	if v.refinementID != r.id || v.createTime != r.createTime || v.authorRef != r.authorRef {
		return hash{}, differ(v.ref, "has another id, time or author than its refinement")
	}
	documents, err := readDocuments(v.context.text(), v.schema.text(), v.solution.text())
	if err != nil {
		return hash{}, differ(v.ref, "%s", err)
	}
	form := vibeForm{
		Type:            typeNames[v.kind],
		Ref:             v.ref,
		Branches:        v.branches,
		AuthorRef:       v.authorRef,
		PrototypeRef:    v.prototypeRef,
		TargetRefs:      r.targets,
		InstructionRefs: r.instructions,
		BudgetRefs:      r.budgets,
		Referred:        map[string]hash{},
	}
	if form.ContentDigest, err = contentDigest(documents); err != nil {
		return hash{}, differ(v.ref, "%s", err)
	}
	if err := same(v.ref, "content digest", form.ContentDigest, v.contentDigest); err != nil {
		return hash{}, err
	}
	for _, ref := range form.refersTo(documents["schema"]) {
		digest, known := w.digests[ref]
		if !known {
			return hash{}, differ(v.ref, "refers to %s, which is not before it", ref)
		}
		form.Referred[ref] = digest
	}
	digest := form.digest()
	if _, twice := w.digests[v.ref]; twice {
		return hash{}, differ(v.ref, "is there twice")
	}
	w.digests[v.ref] = digest
	return digest, same(v.ref, "digest", digest, v.digest)
}

// refersTo lists the Vibes that a Vibe with this schema refers to, some of them more than once.
func (f *vibeForm) refersTo(schema any) []string {
	refs := slices.Concat([]string{f.AuthorRef}, f.TargetRefs, f.InstructionRefs, f.BudgetRefs, pins(schema))
	if f.PrototypeRef != nil {
		refs = append(refs, *f.PrototypeRef)
	}
	return slices.DeleteFunc(refs, func(ref string) bool { return ref == f.Ref })
}

// pins lists each $refResolved of a schema that stands beside a $ref or $refOriginal.
func pins(part any) (refs []string) {
	switch part := part.(type) {
	case []any:
		for _, item := range part {
			refs = append(refs, pins(item)...)
		}
	case map[string]any:
		ref, pinned := part["$refResolved"].(string)
		_, floats := part["$ref"]
		_, exact := part["$refOriginal"]
		if pinned && (floats || exact) {
			refs = append(refs, ref)
		}
		for _, member := range part {
			refs = append(refs, pins(member)...)
		}
	}
	return refs
}

func place(position int64) string { return fmt.Sprintf("position %d", position) }

func same(place, what string, computed hash, answered []byte) error {
	if string(computed[:]) != string(answered) {
		return differ(place, "has the %s %x, not %s", what, answered, computed)
	}
	return nil
}
