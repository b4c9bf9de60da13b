package discovery

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"server22.local/appliance/discovery/internal/wire"
)

// numbered returns the nth name to try for a configured one: server22,
// server22-2, server22-3 for a host (RFC 6762 §9) and My Web, My Web (2) for an
// instance (RFC 6763 appendix D). It counts from the configured name, so that
// "pi-4" becomes "pi-4-2" and never a "pi-5".
func numbered(kind Kind, wanted string, n int) string {
	if n <= 1 {
		return wanted
	}
	suffix := "-" + strconv.Itoa(n)
	if kind == ServiceName {
		suffix = " (" + strconv.Itoa(n) + ")"
	}
	base := wanted
	for len(base)+len(suffix) > wire.MaxLabel {
		_, size := utf8.DecodeLastRuneInString(base)
		base = base[:len(base)-size]
	}
	return base + suffix
}

// number is the inverse of numbered: which n gives label, and whether any does.
func number(kind Kind, wanted, label string) (int, bool) {
	if label == wanted {
		return 1, true
	}
	digits := label[strings.LastIndexAny(label, "-(")+1:]
	n, err := strconv.Atoi(strings.TrimSuffix(digits, ")"))
	return n, err == nil && n > 1 && numbered(kind, wanted, n) == label
}
