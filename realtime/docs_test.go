package realtime_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNodeTables builds the right columns of the tables in
// docs/coming-from-node.md: one statement each.
func TestNodeTables(t *testing.T) {
	text, err := os.ReadFile("../docs/coming-from-node.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| .* \\| `(.*)` \\|$").FindAllStringSubmatch(string(text), -1)
	if len(rows) < 60 {
		t.Fatalf("found %d rows", len(rows))
	}
	var code strings.Builder
	code.WriteString(`package tables

import (
	"context"
	"crypto/rand"
	"log"
	"net/http"
	"regexp"
	"time"

	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/adapter"
	"server22.local/appliance/realtime/engineio"
	"server22.local/appliance/realtime/packet"
	"server22.local/appliance/realtime/recovery"
)

func Tables(ctx context.Context, io *realtime.Server, s *realtime.Socket, value any) {
`)
	for _, row := range rows {
		statement := row[1]
		if strings.HasPrefix(statement, "engineio.Options{") || strings.HasPrefix(statement, "realtime.Options{") {
			statement = "_ = " + statement
		}
		fmt.Fprintf(&code, "\t{ %s }\n", statement)
	}
	code.WriteString("}\n")
	dir, err := os.MkdirTemp(".", "_tables-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(filepath.Join(dir, "tables.go"), []byte(code.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "./"+dir).CombinedOutput(); err != nil {
		t.Errorf("%s", out)
	}
}
