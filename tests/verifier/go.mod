module refinery.local/verifier

go 1.24
