// Verifier verifies a ledger of Refinery over gRPC. It was written from docs/verifying.md and proto/ alone, with nothing
// but Go's standard library, so that it shares no code with Refinery: where both agree, the page is right.
//
//	go run . vectors ../../docs/verifying/vectors.json
//	go run . ledger HOST:PORT [POSITION:CHAIN]
//
// It exits with 0 if everything agrees, with 1 at the first difference, which it names, and with 2 if it could not look
// at everything.
package main

import (
	"errors"
	"fmt"
	"os"
)

const usage = `usage: verifier vectors FILE
       verifier ledger HOST:PORT [POSITION:CHAIN]`

func main() {
	report, err := run(os.Args[1:])
	if err == nil {
		fmt.Println(report)
		return
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.As(err, new(difference)) {
		os.Exit(1)
	}
	os.Exit(2)
}

func run(arguments []string) (report string, err error) {
	switch {
	case len(arguments) == 2 && arguments[0] == "vectors":
		return checkVectors(arguments[1])
	case len(arguments) == 2 && arguments[0] == "ledger":
		return verifyLedger(arguments[1], nil)
	case len(arguments) == 3 && arguments[0] == "ledger":
		kept, err := parseEnd(arguments[2])
		if err != nil {
			return "", err
		}
		return verifyLedger(arguments[1], &kept)
	default:
		return "", errors.New(usage)
	}
}

// A difference is a place where something is not what docs/verifying.md says it has to be.
type difference struct{ place, sentence string }

func (d difference) Error() string { return d.place + ": " + d.sentence }

func differ(place, format string, arguments ...any) error {
	return difference{place, fmt.Sprintf(format, arguments...)}
}
