package client_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var fragment = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestDocs compiles the fragments of docs/client.md. Whole programs in it are
// compiled by internal/house.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	var file strings.Builder
	file.WriteString(`package fragments

import (
	"context"
	"errors"
	"log"
	"net/http"
	"testing"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/client"
	"server22.local/appliance/realtime/realtimetest"
)

var _ = []any{errors.Is, log.Print, http.NewRequest, time.Now, realtime.New, realtimetest.NewServer}

func use(...any) {}
`)
	n := 0
	for _, m := range fragment.FindAllStringSubmatch(string(page), -1) {
		if strings.HasPrefix(m[1], "package ") {
			continue
		}
		n++
		fmt.Fprintf(&file, "\nfunc fragment%d(t *testing.T, ctx context.Context, c *client.Client, s *client.Socket) {\n%s%s}\n", n, m[1], used(m[1]))
	}
	if n < 5 {
		t.Fatalf("found %d fragments in the page", n)
	}
	dir, err := os.MkdirTemp(".", "_fragments-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "fragments.go"), []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", "./"+dir).CombinedOutput(); err != nil {
		t.Errorf("docs/client.md: %s", out)
	}
}

var declared = regexp.MustCompile(`(?m)^(\w+)(?:, (\w+))? := `)

// used uses the variables that a fragment declares for its reader's sake.
func used(code string) string {
	var names []string
	for _, m := range declared.FindAllStringSubmatch(code, -1) {
		for _, name := range m[1:] {
			if name != "" && name != "_" {
				names = append(names, name)
			}
		}
	}
	return "use(" + strings.Join(names, ", ") + ")\n"
}
