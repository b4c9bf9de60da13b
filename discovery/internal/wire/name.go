package wire

import (
	"errors"
	"fmt"
	"strings"
)

// A Name is an uncompressed domain name in wire form: labels, each preceded by
// its length, and a final zero byte.
type Name string

// Limits of RFC 1035 §2.3.4.
const (
	MaxLabel = 63
	MaxName  = 255
)

// ErrName says that a text or a list of labels is no domain name.
var ErrName = errors.New("invalid domain name")

// NewName makes a name of labels, which are taken as they are: a dot in a
// label is a byte of it.
func NewName(labels ...string) (Name, error) {
	var b strings.Builder
	for _, label := range labels {
		if len(label) == 0 || len(label) > MaxLabel {
			return "", fmt.Errorf("%w: label %q has %d bytes, not 1 to %d", ErrName, label, len(label), MaxLabel)
		}
		b.WriteByte(byte(len(label)))
		b.WriteString(label)
	}
	b.WriteByte(0)
	if b.Len() > MaxName {
		return "", fmt.Errorf("%w: %d bytes are more than %d", ErrName, b.Len(), MaxName)
	}
	return Name(b.String()), nil
}

// MustName is [NewName] for labels known to be valid.
func MustName(labels ...string) Name {
	n, err := NewName(labels...)
	if err != nil {
		panic(err)
	}
	return n
}

// Fold returns the name in lower case, the form in which names are compared.
// Only ASCII letters have a case (RFC 6762 §16), and no length byte is one.
func (n Name) Fold() Name {
	for i := 0; i < len(n); i++ {
		if isUpper(n[i]) {
			b := []byte(n)
			fold(b)
			return Name(b)
		}
	}
	return n
}

// Labels returns the labels, without the root.
func (n Name) Labels() []string {
	var labels []string
	for i := 0; i < len(n) && n[i] != 0; i += 1 + int(n[i]) {
		labels = append(labels, string(n[i+1:i+1+int(n[i])]))
	}
	return labels
}

// String returns the name as text that ends in a dot, with dots and
// backslashes inside of labels escaped as RFC 6763 §4.3 says and control
// bytes in decimal.
func (n Name) String() string {
	var b strings.Builder
	for _, label := range n.Labels() {
		for i := 0; i < len(label); i++ {
			switch c := label[i]; {
			case c == '.' || c == '\\':
				b.WriteByte('\\')
				b.WriteByte(c)
			case c < ' ' || c == 0x7f:
				fmt.Fprintf(&b, "\\%03d", c)
			default:
				b.WriteByte(c)
			}
		}
		b.WriteByte('.')
	}
	if b.Len() == 0 {
		return "."
	}
	return b.String()
}

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

func fold(b []byte) {
	for i, c := range b {
		if isUpper(c) {
			b[i] = c + 'a' - 'A'
		}
	}
}
