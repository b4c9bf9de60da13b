package web

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
)

// assetRoot is where assets live; a version and the file's name follow.
const assetRoot = "/assets/"

// assetSet is every asset by name ("assets/js/chat.js" is "js/chat.js") and
// the version that their addresses carry.
type assetSet struct {
	version string
	byName  map[string]*file
}

// loadAssets reads the folders of fsys. The first one's name is left out of
// the names of its files.
func loadAssets(fsys fs.FS, own string, others ...string) (*assetSet, error) {
	set := &assetSet{byName: make(map[string]*file)}
	sum := sha256.New()
	for _, root := range append([]string{own}, others...) {
		err := fs.WalkDir(fsys, root, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			body, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			sum.Write([]byte(name))
			sum.Write(body)
			if contentType(name) == "" {
				return nil
			}
			if root == own {
				body = squeeze(name, body)
			}
			set.byName[strings.TrimPrefix(name, own+"/")] = newFile(name, body)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	set.version = hex.EncodeToString(sum.Sum(nil))[:12]
	return set, nil
}

// find looks up "VERSION/NAME". A page that was opened before an update still
// gets a file for its old version, but current is false: it must not be kept.
func (s *assetSet) find(versioned string) (f *file, current bool) {
	version, name, _ := strings.Cut(versioned, "/")
	return s.byName[name], version == s.version
}

// squeeze leaves out what browsers do not need of our own scripts and styles:
// comments, and indentation. Comments then cost nothing on the wire, and lines
// keep their numbers. No string of ours has " // ", or spans lines in which
// indentation would matter.
func squeeze(name string, body []byte) []byte {
	if ext := path.Ext(name); ext != ".js" && ext != ".css" {
		return body
	}
	lines := strings.Split(string(body), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimLeft(line, " ")
		if strings.HasPrefix(lines[i], "//") {
			lines[i] = ""
		}
		lines[i], _, _ = strings.Cut(lines[i], " // ")
	}
	return []byte(strings.Join(lines, "\n"))
}

// contentType is the type of a file that may be served, "" for all others
// (scripts and lists for maintainers). It does not ask the machine, whose
// tables differ.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	case ".txt":
		return "text/plain; charset=utf-8"
	}
	return ""
}
