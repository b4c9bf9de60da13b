package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error is one thing that is wrong with the configuration.
type Error struct {
	Source  string // the file, the environment variable, or the flag
	Line    int    // from 1; 0 where there are no lines
	Column  int    // from 1, in bytes
	Width   int    // of what is underlined
	Key     string // the key's path, as net.static.dns; "" where none is meant
	Message string
	Hint    string // what to do about it; may be empty

	text []byte // the file
}

// Error is file:line:column: message.
func (e *Error) Error() string {
	switch {
	case e.Source == "":
		return e.Message
	case e.Line == 0:
		return e.Source + ": " + e.Message
	default:
		return fmt.Sprintf("%s:%d:%d: %s", e.Source, e.Line, e.Column, e.Message)
	}
}

// Excerpt returns the line before the mistake, the line with it, and a line
// that underlines it; "" where there are no lines.
func (e *Error) Excerpt() string {
	if e.Line == 0 || e.text == nil {
		return ""
	}
	lines := strings.Split(string(e.text), "\n")
	gutter := len(strconv.Itoa(e.Line))
	var b strings.Builder
	for n := max(1, e.Line-1); n <= e.Line && n <= len(lines); n++ {
		fmt.Fprintf(&b, "%*d | %s\n", gutter, n, visible(strings.TrimRight(lines[n-1], "\r")))
	}
	pad := e.indent(lines)
	fmt.Fprintf(&b, "%*s | %s%s\n", gutter, "", pad, strings.Repeat("^", max(1, e.Width)))
	return b.String()
}

// visible keeps what is no text from the terminal, one sign for one.
func visible(line string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && !unicode.IsPrint(r) {
			return utf8.RuneError
		}
		return r
	}, line)
}

// indent keeps tabs, so that the underline stands below what it means.
func (e *Error) indent(lines []string) string {
	if e.Line > len(lines) {
		return ""
	}
	before := lines[e.Line-1]
	before = before[:min(max(0, e.Column-1), len(before))]
	return strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, before)
}

// Errors are all the mistakes of one loading, in the order of the layers. It
// is never empty when returned as an error.
type Errors []*Error

// Error is the first one, and how many there are.
func (es Errors) Error() string {
	if len(es) == 1 {
		return es[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", es[0], len(es)-1)
}

// Unwrap gives each of them to errors.Is and errors.As.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}
