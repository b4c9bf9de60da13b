package house

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fence = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")
	link  = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
)

// TestDocsCompile builds each Go example of the documents that is a whole
// file (it begins with "package"). A fragment is checked as the body of a
// function only where its package does so.
func TestDocsCompile(t *testing.T) {
	dir, err := os.MkdirTemp(root, "_docs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	n := 0
	forEachDocument(t, func(path, text string) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if !strings.HasPrefix(m[1], "package ") {
				continue
			}
			n++
			sub := filepath.Join(dir, fmt.Sprint("example", n))
			if err := os.Mkdir(sub, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(sub, "example.go"), []byte(m[1]), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("go", "vet", "./"+sub).CombinedOutput(); err != nil {
				t.Errorf("%s: example %d does not build: %s", path, n, out)
			}
		}
	})
}

// TestDocsLinks follows the links between documents and to pictures.
func TestDocsLinks(t *testing.T) {
	forEachDocument(t, func(path, text string) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := m[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", path, target)
			}
		}
	})
}

func forEachDocument(t *testing.T, visit func(path, text string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "vendor" || d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil {
			visit(path, string(text))
		}
		return err
	})
	if err != nil {
		t.Fatalf("reading the documents: %v", err)
	}
}
