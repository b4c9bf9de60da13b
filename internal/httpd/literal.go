package httpd

import (
	"net/http"
	"strings"
)

// literal keeps http.ServeMux from cleaning what stands after the prefixes: it
// would answer a program that publishes on the topic a//b with a redirection
// to another topic.
func literal(prefixes []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, prefix := range prefixes {
			if data, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix); ok {
				r.URL.RawPath = prefix + escapeUnclean(data)
				break
			}
		}
		next.ServeHTTP(w, r)
	})
}

// escapeUnclean writes an escaped path so that cleaning leaves it alone, and
// unescaping gives the same: empty levels and dots are escaped, too.
func escapeUnclean(escaped string) string {
	levels := strings.Split(escaped, "/")
	var b strings.Builder
	for i, level := range levels {
		switch {
		case i == 0:
		case level == "" && i < len(levels)-1, levels[i-1] == "":
			b.WriteString("%2F")
		default:
			b.WriteByte('/')
		}
		if level == "." || level == ".." {
			level = strings.ReplaceAll(level, ".", "%2E")
		}
		b.WriteString(level)
	}
	return b.String()
}
