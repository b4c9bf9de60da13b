// Package web holds the pages that the appliance serves to browsers, and the
// handler that serves them: home, chat, bus, administration, documentation.
//
// There is no build step. The files under pages, assets and vendor are what
// the browser gets; pages are only put into layout.html. Each asset's address
// carries a hash of them all, so browsers keep assets forever and still never
// mix two versions. The pages run under a Content-Security-Policy without
// inline scripts or styles, over plain http, without the internet.
package web

import (
	"embed"
	"fmt"
	"net/http"
	"strings"
)

//go:embed layout.html pages assets vendor
var files embed.FS

// Pages lists the paths of the pages, in the order of the navigation.
func Pages() []string {
	paths := make([]string, len(pages))
	for i, p := range pages {
		paths[i] = p.path
	}
	return paths
}

// Handler serves the pages and their assets to GET and HEAD, precompressed,
// with ETags. Every other path is a 404, so it can stand last in a chain: a
// page for people, absent for programs. It is safe for concurrent use and
// keeps about half a megabyte.
func Handler(absent http.Handler) (http.Handler, error) {
	assets, err := loadAssets(files, "assets", "vendor")
	if err != nil {
		return nil, fmt.Errorf("loading the embedded assets: %w", err)
	}
	docs, err := composePages(files, assets.version)
	if err != nil {
		return nil, fmt.Errorf("composing the embedded pages: %w", err)
	}
	return &site{assets: assets, pages: docs, absent: absent}, nil
}

// site is the handler: pages by their path, assets below assetRoot.
type site struct {
	assets *assetSet
	pages  map[string]*file
	absent http.Handler
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.absent.ServeHTTP(w, r)
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, assetRoot); ok {
		s.serveAsset(w, r, name)
		return
	}
	s.servePage(w, r)
}

func (s *site) serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	f, current := s.assets.find(name)
	if f == nil {
		s.absent.ServeHTTP(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	if current {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	f.ServeHTTP(w, r)
}

func (s *site) servePage(w http.ResponseWriter, r *http.Request) {
	if f, ok := s.pages[r.URL.Path]; ok {
		setPageHeaders(w.Header())
		f.ServeHTTP(w, r)
		return
	}
	if _, ok := s.pages[r.URL.Path+"/"]; ok {
		http.Redirect(w, r, r.URL.Path+"/", http.StatusMovedPermanently)
		return
	}
	s.serveMissing(w, r)
}

// serveMissing tells people that there is nothing, in a page, and programs in
// their own way.
func (s *site) serveMissing(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.absent.ServeHTTP(w, r)
		return
	}
	setPageHeaders(w.Header())
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	if r.Method == http.MethodGet {
		_, _ = w.Write(s.pages[missing.path].body) // a client that has gone is no error of ours
	}
}
