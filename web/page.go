package web

import (
	"fmt"
	"io/fs"
	"net/http"
	"strings"
)

// policy lets a page run our own files and talk to us, and nothing else:
// no inline script or style, no foreign origin, no framing, no markup made
// from strings (trusted types) except the one address that plot.js loads.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types plot"

func setPageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
}

// page is a document: its file in pages/ becomes the <main> of layout.html,
// its name the script and the title.
type page struct{ path, name, title string }

var pages = []page{
	{"/", "home", "Home"},
	{"/chat/", "chat", "Chat"},
	{"/bus/", "bus", "Data bus"},
	{"/docs/", "docs", "Docs"},
	{"/admin/", "admin", "Admin"},
}

// missing is the page for an address that has none: what a person sees of a 404.
var missing = page{name: "missing", title: "Not found"}

// composePages puts each page's content into the layout, and the assets'
// version into the addresses. The page for what is missing has no path.
func composePages(fsys fs.FS, version string) (map[string]*file, error) {
	layout, err := fs.ReadFile(fsys, "layout.html")
	if err != nil {
		return nil, err
	}
	composed := make(map[string]*file)
	for _, p := range append([]page{missing}, pages...) {
		content, err := fs.ReadFile(fsys, "pages/"+p.name+".html")
		if err != nil {
			return nil, err
		}
		html := strings.NewReplacer(
			"{{title}}", p.title,
			"{{page}}", p.name,
			"{{content}}", string(content),
			fmt.Sprintf(`<a href="%s">`, p.path), fmt.Sprintf(`<a href="%s" aria-current="page">`, p.path),
			"{{assets}}", assetRoot+version,
		).Replace(string(layout))
		composed[p.path] = newFile("index.html", []byte(html))
	}
	return composed, nil
}
