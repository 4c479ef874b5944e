package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// readJSON reads one document. Numbers stay as they were written (json.Number); a name that an object has twice is an
// error, because readers disagree on what such an object says.
func readJSON(text string) (any, error) {
	if !utf8.ValidString(text) || !json.Valid([]byte(text)) {
		return nil, errors.New("is not JSON")
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	return readValue(decoder)
}

func readValue(decoder *json.Decoder) (any, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		return readArray(decoder)
	case json.Delim('{'):
		return readObject(decoder)
	default:
		return token, nil
	}
}

func readArray(decoder *json.Decoder) ([]any, error) {
	items := []any{}
	for decoder.More() {
		item, err := readValue(decoder)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	_, err := decoder.Token() // The closing bracket.
	return items, err
}

func readObject(decoder *json.Decoder) (map[string]any, error) {
	members := map[string]any{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string) // Token returns nothing else where a name stands.
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("has the name %q twice in one object", name)
		}
		if members[name], err = readValue(decoder); err != nil {
			return nil, err
		}
	}
	_, err := decoder.Token() // The closing brace.
	return members, err
}

// canonicalize writes what readJSON read, in the canonical form.
func canonicalize(value any) ([]byte, error) { return appendValue(nil, value) }

func appendValue(out []byte, value any) (_ []byte, err error) {
	switch value := value.(type) {
	case nil:
		return append(out, "null"...), nil
	case bool:
		return strconv.AppendBool(out, value), nil
	case string:
		return appendString(out, value), nil
	case json.Number:
		return appendNumber(out, string(value))
	case []any:
		out = append(out, '[')
		for i, item := range value {
			if i > 0 {
				out = append(out, ',')
			}
			if out, err = appendValue(out, item); err != nil {
				return nil, err
			}
		}
		return append(out, ']'), nil
	case map[string]any:
		out = append(out, '{')
		for i, name := range slices.SortedFunc(maps.Keys(value), compareUTF16) {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, name), ':')
			if out, err = appendValue(out, value[name]); err != nil {
				return nil, err
			}
		}
		return append(out, '}'), nil
	default:
		panic(fmt.Sprintf("no JSON: %T", value))
	}
}

func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

func appendString(out []byte, text string) []byte {
	const short = "\b\t\n\f\r\"\\"
	const letters = "btnfr\"\\"
	out = append(out, '"')
	for i := range len(text) {
		c := text[i]
		if at := strings.IndexByte(short, c); at >= 0 {
			out = append(out, '\\', letters[at])
		} else if c < 0x20 {
			out = fmt.Appendf(out, `\u%04x`, c)
		} else {
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// appendNumber takes a number as JSON writes it.
func appendNumber(out []byte, written string) ([]byte, error) {
	if digits, ok := integral(written); ok {
		return append(out, digits...), nil
	}
	number, err := strconv.ParseFloat(written, 64)
	if err != nil || number == 0 {
		return nil, fmt.Errorf("has the number %s, which no double holds", written)
	}
	return appendDouble(out, number), nil
}

// integral gives the decimal digits of a value from -2^63 to 2^64-1 without a fraction, however it is written.
func integral(written string) (string, bool) {
	mantissa, power, _ := strings.Cut(strings.ToLower(written), "e")
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimRight(whole+fraction, "0")
	zeros := len(whole) - len(digits) // How many follow the digits; the power adds to them.
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return "0", true
	}
	if power != "" {
		exponent, err := strconv.Atoi(power)
		if err != nil {
			return "", false
		}
		zeros += exponent
	}
	const most = len("18446744073709551615")
	if zeros < 0 || zeros > most || len(digits)+zeros > most {
		return "", false
	}
	digits += strings.Repeat("0", zeros)
	if negative {
		digits = "-" + digits
		_, err := strconv.ParseInt(digits, 10, 64)
		return digits, err == nil
	}
	_, err := strconv.ParseUint(digits, 10, 64)
	return digits, err == nil
}

// appendDouble writes a double as ECMAScript does: the shortest digits that name it, with an exponent where they are
// far from the point.
func appendDouble(out []byte, number float64) []byte {
	if size := math.Abs(number); 1e-6 <= size && size < 1e21 {
		return strconv.AppendFloat(out, number, 'f', -1, 64)
	}
	written := strconv.FormatFloat(number, 'e', -1, 64)
	digits, power, _ := strings.Cut(written, "e")
	return fmt.Appendf(out, "%se%c%s", digits, power[0], strings.TrimLeft(power[1:], "0"))
}

// readDocuments reads those of the documents of a Vibe that it has.
func readDocuments(context, schema, solution *string) (map[string]any, error) {
	documents := map[string]any{}
	for name, text := range map[string]*string{"context": context, "schema": schema, "solution": solution} {
		if text == nil {
			continue
		}
		document, err := readJSON(*text)
		if err != nil {
			return nil, fmt.Errorf("the %s %w", name, err)
		}
		documents[name] = document
	}
	return documents, nil
}
