package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

// A vectorFile is docs/verifying/vectors.json. Documents are JSON text there; requests stand as they are.
type vectorFile struct {
	About     string
	Canonical []struct{ Name, JSON, Canonical string }
	Content   []struct {
		Name                      string
		Context, Schema, Solution *string
		ContentDigest             hash `json:"content_digest"`
	}
	Vibe []struct {
		Name string
		vibeForm
		Digest hash
	}
	Request []struct {
		Name          string
		Request       json.RawMessage
		RequestDigest hash `json:"request_digest"`
	}
	Origin []struct {
		Name     string
		LedgerID uuid `json:"ledger_id"`
		Origin   hash
	}
	RefinementID []struct {
		Name         string
		RequestID    uuid `json:"request_id"`
		RefinementID uuid `json:"refinement_id"`
	} `json:"refinement_id"`
	Chain []struct {
		Name string
		linkForm
		Chain hash
	}
}

// checkVectors computes every vector of a file again.
func checkVectors(path string) (report string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var file vectorFile
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields() // A field that nobody reads would go unchecked.
	if err := decoder.Decode(&file); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	var c comparison
	for _, v := range file.Canonical {
		canonical, err := canonicalText(v.JSON)
		c.compare("canonical", v.Name, canonical, v.Canonical, err)
	}
	for _, v := range file.Content {
		documents, err := readDocuments(v.Context, v.Schema, v.Solution)
		digest, fault := contentDigest(documents)
		c.compare("content", v.Name, digest, v.ContentDigest, errors.Join(err, fault))
	}
	for _, v := range file.Vibe {
		c.compare("vibe", v.Name, v.vibeForm.digest(), v.Digest, nil)
	}
	for _, v := range file.Request {
		canonical, err := canonicalText(string(v.Request))
		c.compare("request", v.Name, requestDigest(canonical), v.RequestDigest, err)
	}
	for _, v := range file.Origin {
		c.compare("origin", v.Name, origin(v.LedgerID), v.Origin, nil)
	}
	for _, v := range file.RefinementID {
		c.compare("refinement_id", v.Name, refinementID(v.RequestID), v.RefinementID, nil)
	}
	for _, v := range file.Chain {
		c.compare("chain", v.Name, v.linkForm.chain(), v.Chain, nil)
	}
	return fmt.Sprintf("%d vectors agree", c.count), c.first
}

// A comparison counts vectors, and keeps the first difference.
type comparison struct {
	count int
	first error
}

func (c *comparison) compare(format, name string, computed, stored any, err error) {
	c.count++
	place := fmt.Sprintf("%s vector %q", format, name)
	switch {
	case c.first != nil:
	case err != nil:
		c.first = differ(place, "%s", err)
	case computed != stored:
		c.first = differ(place, "is %s, not %s", computed, stored)
	}
}

func canonicalText(text string) (string, error) {
	value, err := readJSON(text)
	if err != nil {
		return "", err
	}
	canonical, err := canonicalize(value)
	return string(canonical), err
}
