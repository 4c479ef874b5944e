package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Protobuf's wire format, as much of it as the messages of messages.go need.

// A message says where each of its fields goes, by number: a pointer to a variable, a message, or a function that makes
// the message to read an optional or repeated one into. What is repeated is appended. Other fields are skipped.
type message interface{ fields() map[int]any }

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

var errCut = errors.New("a message ends in the middle of a field")

func decode(encoded []byte, into message) error {
	targets := into.fields()
	for len(encoded) > 0 {
		var tag uint64
		var f field
		var err error
		if tag, encoded, err = varint(encoded); err != nil {
			return err
		}
		if f, encoded, err = readField(int(tag&7), encoded); err != nil {
			return err
		}
		number := int(tag >> 3)
		if target, ok := targets[number]; ok {
			if err := f.store(target); err != nil {
				return fmt.Errorf("field %d of %T: %w", number, into, err)
			}
		}
	}
	return nil
}

// A field holds an integer or bytes, as its wire type says.
type field struct {
	wireType int
	integer  uint64
	bytes    []byte
}

func readField(wireType int, encoded []byte) (f field, rest []byte, err error) {
	f.wireType = wireType
	var size uint64
	switch wireType {
	case wireVarint:
		f.integer, rest, err = varint(encoded)
		return f, rest, err
	case wireFixed64:
		size, rest = 8, encoded
	case wireFixed32:
		size, rest = 4, encoded
	case wireBytes:
		if size, rest, err = varint(encoded); err != nil {
			return f, nil, err
		}
	default:
		return f, nil, fmt.Errorf("a field has the wire type %d", wireType)
	}
	if size > uint64(len(rest)) {
		return f, nil, errCut
	}
	f.bytes = rest[:size]
	return f, rest[size:], nil
}

func varint(encoded []byte) (uint64, []byte, error) {
	n, size := binary.Uvarint(encoded)
	if size <= 0 {
		return 0, nil, errCut
	}
	return n, encoded[size:], nil
}

func (f field) store(target any) error {
	switch target := target.(type) {
	case *int64:
		*target = int64(f.integer)
		return f.expect(wireVarint)
	case *bool:
		*target = f.integer != 0
		return f.expect(wireVarint)
	case *[]byte:
		*target = f.bytes
		return f.expect(wireBytes)
	case *string:
		*target = string(f.bytes)
		return f.expectText()
	case **string:
		text := string(f.bytes)
		*target = &text
		return f.expectText()
	case *[]string:
		*target = append(*target, string(f.bytes))
		return f.expectText()
	case func() message:
		return f.store(target())
	case message:
		return errors.Join(f.expect(wireBytes), decode(f.bytes, target))
	default:
		panic(fmt.Sprintf("no field goes into %T", target))
	}
}

func (f field) expect(wireType int) error {
	if f.wireType != wireType {
		return fmt.Errorf("has the wire type %d, not %d", f.wireType, wireType)
	}
	return nil
}

func (f field) expectText() error {
	if !utf8.Valid(f.bytes) {
		return errors.New("is not UTF-8")
	}
	return f.expect(wireBytes)
}

func appendInteger(encoded []byte, number int, value int64) []byte {
	encoded = binary.AppendUvarint(encoded, uint64(number)<<3|wireVarint)
	return binary.AppendUvarint(encoded, uint64(value))
}

func appendText(encoded []byte, number int, text string) []byte {
	encoded = binary.AppendUvarint(encoded, uint64(number)<<3|wireBytes)
	encoded = binary.AppendUvarint(encoded, uint64(len(text)))
	return append(encoded, text...)
}
