package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLeakChecks wants a goroutine-leak check in the TestMain of each package
// that starts goroutines and has tests.
func TestLeakChecks(t *testing.T) {
	starts := map[string]string{} // folder → where its first goroutine starts
	tested := map[string]bool{}
	checked := map[string]bool{}
	forEachGoFile(t, func(path string, file *ast.File, fset *token.FileSet) {
		dir := filepath.Dir(path)
		if !strings.HasSuffix(path, "_test.go") {
			if at := firstGoroutine(file); at != token.NoPos && starts[dir] == "" {
				starts[dir] = fset.Position(at).String()
			}
			return
		}
		tested[dir] = true
		if mentions(file, "VerifyTestMain") {
			checked[dir] = true
		}
	})
	for _, dir := range slices.Sorted(maps.Keys(starts)) {
		if tested[dir] && !checked[dir] {
			t.Errorf("%s starts a goroutine (%s); its tests need a TestMain with goleak.VerifyTestMain", dir, starts[dir])
		}
	}
	if len(starts) == 0 {
		t.Error("found no goroutine at all: this test looks in the wrong place")
	}
}

// TestNoInit keeps start-up in sight: everything is wired in internal/app.
func TestNoInit(t *testing.T) {
	forEachGoFile(t, func(path string, file *ast.File, fset *token.FileSet) {
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: func init; wire it in internal/app instead", fset.Position(f.Pos()))
			}
		}
	})
}

func firstGoroutine(file *ast.File) token.Pos {
	found := token.NoPos
	ast.Inspect(file, func(n ast.Node) bool {
		if s, ok := n.(*ast.GoStmt); ok && found == token.NoPos {
			found = s.Pos()
		}
		if c, ok := n.(*ast.CallExpr); ok && found == token.NoPos {
			// errgroup.Group.Go and sync.WaitGroup.Go take one function.
			if s, ok := c.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "Go" && len(c.Args) == 1 {
				found = c.Pos()
			}
		}
		return true
	})
	return found
}

func mentions(file *ast.File, name string) bool {
	found := false
	ast.Inspect(file, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}

// root is the module's folder, seen from this package's tests.
const root = "../.."

func forEachGoFile(t *testing.T, visit func(path string, file *ast.File, fset *token.FileSet)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "dist") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, path, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		visit(path, file, fset)
		return nil
	})
	if err != nil {
		t.Fatalf("reading the module's files: %v", err)
	}
}
