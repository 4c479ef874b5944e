package main

import "testing"

// The stored vectors have no refused documents, and not all edges of the numbers.

func TestCanonicalForm(t *testing.T) {
	for written, want := range map[string]string{
		`18446744073709551616`:     `18446744073709552000`, // Beyond 64 bits a number is a double.
		`-9223372036854775809`:     `-9223372036854776000`,
		`184467440737095516150e-1`: `18446744073709551615`,
		`0.0009007199254740993E19`: `9007199254740993`,
		`100e-3`:                   `0.1`,
		`10e-1`:                    `1`,
		`0e999`:                    `0`,
		`9007199254740993.5`:       `9007199254740994`,
		`5e-324`:                   `5e-324`,
		`1e-6`:                     `0.000001`,
		`9.5e-7`:                   `9.5e-7`,
		`{"b":{},"a":[[],""]}`:     `{"a":[[],""],"b":{}}`,
		`"\ud83d\ude00\t\f\r\/"`:   `"😀\t\f\r/"`,
	} {
		if got, err := canonicalText(written); err != nil || got != want {
			t.Errorf("%s is %s, not %s (%v)", written, got, want, err)
		}
	}
}

func TestRefusedDocuments(t *testing.T) {
	for _, written := range []string{
		``, `{`, `[1,]`, `1 2`, `01`, `NaN`, "\"\xff\"", `{"a":1,"\u0061":2}`, `[{"b":{"a":1,"a":1}}]`, `1e400`, `1e-400`,
		`1e99999999999999999999`,
	} {
		if got, err := canonicalText(written); err == nil {
			t.Errorf("%q is taken, as %s", written, got)
		}
	}
}
