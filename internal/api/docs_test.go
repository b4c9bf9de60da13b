package api

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"server22.local/appliance/internal/need"
)

// example is a fenced block of the documentation.
var example = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// TestDocumentation runs the examples of the protocol reference that can run
// here, against this server: each must end well.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := strings.Index(string(text), "\n## Values\n"), strings.Index(string(text), "\n## Administration\n")
	if begin < 0 || end < begin {
		t.Fatal("the sections of the reference are not where they were")
	}
	s := serve(t, Config{})
	s.ok("PUT", "/api/v1/topics/lab/first", "1")
	ran := make(map[string]int)
	for _, found := range example.FindAllStringSubmatch(string(text[begin:end]), -1) {
		language, code := found[1], found[2]
		code = strings.ReplaceAll(code, "server22.local:8080", strings.TrimPrefix(s.url, "http://"))
		if cmd := command(t, language, code); cmd != nil {
			ran[language]++
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v:\n%s\n%s", err, code, out)
			}
		}
	}
	if ran["js"] < 4 || ran["sh"] < 2 || ran["python"] < 2 || ran["go"] < 1 {
		t.Errorf("ran only %v", ran)
	}
}

// command returns what runs an example, or nil if it is not for here.
func command(t *testing.T, language, code string) *exec.Cmd {
	t.Helper()
	write := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(code), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	switch {
	case language == "sh":
		need.Command(t, "curl")
		return exec.CommandContext(t.Context(), "bash", "-e", "-c", strings.ReplaceAll(code, "curl ", "curl -sSf "))
	case language == "python":
		need.Command(t, "/usr/bin/python3") // the one for which Debian has packages
		return exec.CommandContext(t.Context(), "/usr/bin/python3", write("example.py"))
	case language == "go":
		return exec.CommandContext(t.Context(), "go", "run", write("example.go"))
	case language == "js" && strings.HasPrefix(code, "// Node"):
		if strings.Contains(code, "new WebSocket(") {
			code = `const { WebSocket } = await import("ws");` + code // from Node 22 on it is there
		}
		node := need.Command(t, "node")[0]
		modules, err := filepath.Abs(need.NodeModule(t, "../../test/node", "socket.io-client"))
		if err != nil {
			t.Fatal(err)
		}
		// Modules are looked for beside the file.
		cmd := exec.CommandContext(t.Context(), node, "--input-type=module", "-e", code)
		cmd.Dir = filepath.Dir(filepath.Dir(modules))
		return cmd
	}
	return nil
}
