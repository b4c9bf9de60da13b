package discovery

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"server22.local/appliance/discovery/internal/wire"
)

// Numbered returns the nth name to try for a configured one: server22,
// server22-2, server22-3 for a host (RFC 6762 §9) and My Web, My Web (2) for an
// instance (RFC 6763 appendix D). It counts from the configured name, so that
// "pi-4" becomes "pi-4-2" and never a "pi-5".
func (k Kind) Numbered(wanted string, n int) string {
	if n <= 1 {
		return wanted
	}
	suffix := "-" + strconv.Itoa(n)
	if k == ServiceName {
		suffix = " (" + strconv.Itoa(n) + ")"
	}
	base := wanted
	for len(base)+len(suffix) > wire.MaxLabel {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + suffix
}

// Number is the inverse of [Kind.Numbered]: which n gives label, and whether
// any does.
func (k Kind) Number(wanted, label string) (n int, ok bool) {
	if label == wanted {
		return 1, true
	}
	digits := label[strings.LastIndexAny(label, "-(")+1:]
	n, err := strconv.Atoi(strings.TrimSuffix(digits, ")"))
	return n, err == nil && n > 1 && k.Numbered(wanted, n) == label
}
