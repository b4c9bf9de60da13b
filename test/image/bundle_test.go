package image

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// workshop makes update bundles.
type workshop struct {
	t    *testing.T
	dir  string
	tool string // our program, for this machine
}

func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{t: t, dir: t.TempDir()}
	w.tool = w.build("tool", "")
	w.run(w.tool, "update", "keygen", filepath.Join(w.dir, "owner"))
	w.run(w.tool, "update", "keygen", filepath.Join(w.dir, "stranger"))
	return w
}

// build builds our program of a version, for the card unless that is "".
func (w *workshop) build(name, version string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.version="+version, "-o", path, "../../cmd/appliance")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if version != "" {
		cmd.Env = append(cmd.Env, "GOARCH=arm64")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("building %s: %v\n%s", name, err, out)
	}
	return path
}

// bundle packs a program as a version.
func (w *workshop) bundle(key, version, program string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, version+"-by-"+key+".update")
	w.run(w.tool, "update", "pack", "--key", filepath.Join(w.dir, key+".key"), "--of", version, "--program", "arm64="+program, path)
	return path
}

// key is the text of a public one.
func (w *workshop) key(name string) string {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join(w.dir, name+".pub"))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

func (w *workshop) run(name string, args ...string) {
	w.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MINISIGN_PASSWORD=test")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %v\n%s", args, err, out)
	}
}
