package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	codesFile = "internal/health/codes.go"
	codesPage = "docs/troubleshooting.md"
)

// TestCodes keeps the codes of findings unique, well formed, and each
// explained once to the user.
func TestCodes(t *testing.T) {
	codes := stringConstants(t, filepath.Join(root, codesFile))
	form := regexp.MustCompile(`^[A-Z]{3}-[0-9]{2}$`)
	for _, code := range codes {
		if !form.MatchString(code) {
			t.Errorf("%s: %s is no code", codesFile, code)
		}
	}
	explained := explainedCodes(t)
	slices.Sort(codes)
	slices.Sort(explained)
	if twice := slices.Compact(slices.Clone(codes)); len(twice) != len(codes) {
		t.Errorf("%s: a code is there twice: %v", codesFile, codes)
	}
	if !slices.Equal(codes, explained) {
		t.Errorf("%s has %v\n%s has %v", codesFile, codes, codesPage, explained)
	}
}

// explainedCodes are those with a row in the user's table.
func explainedCodes(t *testing.T) (codes []string) {
	text, err := os.ReadFile(filepath.Join(root, codesPage))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([A-Z]{3}-[0-9]{2}) \| \S`).FindAllStringSubmatch(string(text), -1) {
		codes = append(codes, m[1])
	}
	return codes
}

func stringConstants(t *testing.T, path string) (values []string) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			value, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			values = append(values, value)
		}
		return true
	})
	return values
}

// TestEveryFindingHasACode looks at each place that makes one.
func TestEveryFindingHasACode(t *testing.T) {
	forEachGoFile(t, func(path string, file *ast.File, fset *token.FileSet) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.CompositeLit); ok && isFinding(lit) && !hasCode(lit) {
				t.Errorf("%s: a finding without a code", fset.Position(lit.Pos()))
			}
			return true
		})
	})
}

// isFinding reports whether a literal with keys is a finding. Without keys
// the compiler asks for every field.
func isFinding(lit *ast.CompositeLit) bool {
	if len(lit.Elts) == 0 {
		return false
	}
	if _, keyed := lit.Elts[0].(*ast.KeyValueExpr); !keyed {
		return false
	}
	switch name := lit.Type.(type) {
	case *ast.Ident:
		return name.Name == "Finding"
	case *ast.SelectorExpr:
		pkg, ok := name.X.(*ast.Ident)
		return ok && pkg.Name == "health" && name.Sel.Name == "Condition"
	}
	return false
}

func hasCode(lit *ast.CompositeLit) bool {
	return slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool {
		pair, ok := e.(*ast.KeyValueExpr)
		return ok && pair.Key.(*ast.Ident).Name == "Code"
	})
}
