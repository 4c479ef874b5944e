package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"time"
)

const (
	ledgerService = "refinery.ledger.v1.LedgerService"
	patience      = time.Minute
	mostBytes     = 16 << 20 // Of an answer. Those of Refinery have at most 4 MiB.
	prefixBytes   = 5        // Compressed or not, and the length of the message.
)

// A client makes unary gRPC calls over HTTP/2 without TLS.
type client struct {
	address string
	http    http.Client
}

func dial(address string) *client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DisableCompression: true}
	return &client{address, http.Client{Transport: transport, Timeout: patience}}
}

// call calls a method of LedgerService.
func (c *client) call(method string, request []byte, answer message) error {
	encoded, err := c.exchange(method, request)
	if err == nil {
		err = decode(encoded, answer)
	}
	if err != nil {
		return fmt.Errorf("%s of %s: %w", method, c.address, err)
	}
	return nil
}

func (c *client) exchange(method string, request []byte) ([]byte, error) {
	framed := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request))), request...)
	address := url.URL{Scheme: "http", Host: c.address, Path: "/" + ledgerService + "/" + method}
	post, err := http.NewRequest(http.MethodPost, address.String(), bytes.NewReader(framed))
	if err != nil {
		return nil, err
	}
	post.Header.Set("Content-Type", "application/grpc")
	post.Header.Set("Te", "trailers")
	response, err := c.http.Do(post)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, mostBytes+1))
	if err != nil {
		return nil, err
	}
	if len(body) > mostBytes {
		return nil, fmt.Errorf("the answer has more than %d bytes", mostBytes)
	}
	if err := refusal(response); err != nil {
		return nil, err
	}
	if len(body) < prefixBytes || body[0] != 0 || int(binary.BigEndian.Uint32(body[1:])) != len(body)-prefixBytes {
		return nil, errors.New("the answer is not one uncompressed message")
	}
	return body[prefixBytes:], nil
}

// refusal is what the status says that gRPC sends after the body, or instead of one.
func refusal(response *http.Response) error {
	ends := response.Trailer
	if ends.Get("Grpc-Status") == "" {
		ends = response.Header
	}
	switch status := ends.Get("Grpc-Status"); status {
	case "0":
		return nil
	case "":
		return fmt.Errorf("no gRPC: %s", response.Status)
	default:
		said := ends.Get("Grpc-Message")
		if plain, err := url.PathUnescape(said); err == nil {
			said = plain
		}
		return fmt.Errorf("gRPC status %s: %s", status, said)
	}
}

// all lists what is in a ledger up to a position, page by page. The request is encoded without its page token, which
// has the number given.
func all[T any](c *client, method string, request []byte, tokenNumber int) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for token, more := "", true; more; more = token != "" {
			var answer page[T]
			if err := c.call(method, appendText(bytes.Clone(request), tokenNumber, token), &answer); err != nil {
				yield(nil, err)
				return
			}
			for _, item := range answer.items {
				if !yield(item, nil) {
					return
				}
			}
			token = answer.next
		}
	}
}

func (c *client) ledger() (*ledger, error) {
	var answer ledger
	return &answer, c.call("GetLedger", nil, &answer)
}

func (c *client) refinements(until int64) iter.Seq2[*refinement, error] {
	request := appendInteger(nil, 3, until)    // until_position
	request = appendInteger(request, 4, 1_000) // page_size
	return all[refinement](c, "ListRefinements", request, 5)
}

func (c *client) vibes(until int64) iter.Seq2[*vibe, error] {
	request := appendInteger(nil, 6, until)       // until_position
	request = appendInteger(request, 8, viewFull) // view
	request = appendInteger(request, 9, 1_000)    // page_size
	return all[vibe](c, "ListVibes", request, 10)
}
