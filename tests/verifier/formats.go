package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The formats of docs/verifying.md, in its order and under its names.

func u32(n int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(n)) }

func i64(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func lp[T string | []byte](x T) []byte { return append(u32(len(x)), x...) }

func list[T string | []byte](items ...T) []byte {
	encoded := u32(len(items))
	for _, item := range items {
		encoded = append(encoded, lp(item)...)
	}
	return encoded
}

func sha(parts ...[]byte) hash { return sha256.Sum256(bytes.Join(parts, nil)) }

// contentDigest takes the documents that a Vibe has, as readJSON read them: context, schema and solution.
func contentDigest(documents map[string]any) (hash, error) {
	canonical, err := canonicalize(documents)
	return sha(canonical), err
}

// A vibeForm is what the digest of a Vibe is made of.
type vibeForm struct {
	Type            string
	Ref             string
	Branches        []string
	AuthorRef       string          `json:"author_ref"`
	PrototypeRef    *string         `json:"prototype_ref"`
	TargetRefs      []string        `json:"target_refs"`
	InstructionRefs []string        `json:"instruction_refs"`
	BudgetRefs      []string        `json:"budget_refs"`
	ContentDigest   hash            `json:"content_digest"`
	Referred        map[string]hash // The digests of the Vibes referred to, by ref.
}

func (f *vibeForm) digest() hash {
	var prototypes []string
	if f.PrototypeRef != nil {
		prototypes = append(prototypes, *f.PrototypeRef)
	}
	parts := [][]byte{
		lp("refinery:vibe:v1"),
		lp(f.Type),
		lp(f.Ref),
		list(f.Branches...),
		lp(f.AuthorRef),
		list(prototypes...),
		list(f.TargetRefs...),
		list(f.InstructionRefs...),
		list(f.BudgetRefs...),
		lp(f.ContentDigest[:]),
		u32(len(f.Referred)),
	}
	for _, ref := range slices.Sorted(maps.Keys(f.Referred)) {
		digest := f.Referred[ref]
		parts = append(parts, lp(ref), lp(digest[:]))
	}
	return sha(parts...)
}

// requestDigest takes a request in canonical form, without what stands at its default.
func requestDigest(canonical string) hash { return sha(lp("refinery:request:v1"), lp(canonical)) }

// The request digests of what the migration writes, by request_id: nobody sent it, so they are over a name, without length.
var migrationDigests = map[string]hash{
	"00000000-0000-8000-8000-000000000001": sha([]byte("refinery:genesis:v1")),
	"00000000-0000-8000-8000-000000000002": sha([]byte("refinery:role-schema:v1")),
}

func origin(ledgerID uuid) hash { return sha(lp("refinery:origin:v1"), lp(ledgerID[:])) }

// A linkForm is what a link of the chain is made of.
type linkForm struct {
	Previous      hash
	Position      int64
	TimeMicros    int64 `json:"time_us"`
	Principal     string
	RequestID     uuid `json:"request_id"`
	RequestDigest hash `json:"request_digest"`
	Digests       []hash
}

func (f *linkForm) chain() hash {
	digests := make([][]byte, len(f.Digests))
	for i := range f.Digests {
		digests[i] = f.Digests[i][:]
	}
	return sha(
		lp("refinery:chain:v1"),
		lp(f.Previous[:]),
		i64(f.Position),
		i64(f.TimeMicros),
		lp(f.Principal),
		lp(f.RequestID[:]),
		lp(f.RequestDigest[:]),
		list(digests...),
	)
}

func refinementID(requestID uuid) uuid {
	h := sha(lp("refinery:refinement:v1"), lp(requestID[:]))
	id := uuid(h[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// A hash is written in hex.
type hash [sha256.Size]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// UnmarshalText reads what String writes.
func (h *hash) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("%q is not a hash of 64 hex digits", text)
	}
	*h = hash(b)
	return nil
}

// A uuid is written with hyphens.
type uuid [16]byte

func (u uuid) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// UnmarshalText reads what String writes.
func (u *uuid) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(strings.ReplaceAll(string(text), "-", ""))
	if err != nil || len(b) != len(u) || uuid(b).String() != string(text) {
		return fmt.Errorf("%q is not a UUID", text)
	}
	*u = uuid(b)
	return nil
}
