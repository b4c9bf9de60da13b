package netcfg

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

var lanNames = nameService{servers: addresses("10.82.1.1", "10.82.1.2", "fd82::53", "10.82.1.4"), search: []string{"lan"}}

const lanFile = resolverMark + "\nsearch lan\nnameserver 10.82.1.1\nnameserver 10.82.1.2\nnameserver fd82::53\n"

func expectFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

func TestResolverFileIsReplacedAndRestored(t *testing.T) {
	dir := t.TempDir()
	path, state := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "state")
	writeFile(t, path, "nameserver 9.9.9.9\n")
	if err := writeResolver(path, state, nameService{}); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, "nameserver 9.9.9.9\n") // nothing to say is no reason to touch it

	if err := writeResolver(path, state, lanNames); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, lanFile)
	before, _ := os.Stat(path)
	if err := writeResolver(path, state, lanNames); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("the same content was written again")
	}
	writeFile(t, path, "nameserver 6.6.6.6\n") // the first original is the one that counts
	if err := writeResolver(path, state, lanNames); err != nil {
		t.Fatal(err)
	}
	if err := writeResolver(path, state, nameService{}); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, resolverMark+"\n")
	for range 2 {
		if err := RestoreResolver(path, state); err != nil {
			t.Fatal(err)
		}
		expectFile(t, path, "nameserver 9.9.9.9\n")
	}
}

func TestResolverFileWithoutAnOriginal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "resolv.conf")
	if err := writeResolver(path, dir, lanNames); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, lanFile)
	if err := RestoreResolver(path, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestResolverFileBehindALink(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "run", "resolv.conf")
	if err := os.Mkdir(filepath.Dir(target), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("run/resolv.conf", path); err != nil {
		t.Fatal(err)
	}
	if err := writeResolver(path, dir, lanNames); err != nil {
		t.Fatal(err)
	}
	expectFile(t, target, lanFile)
	if _, err := os.Readlink(path); err != nil {
		t.Error("the link was replaced by a file")
	}
}

func TestResolverFileOfAManager(t *testing.T) {
	for _, target := range []string{
		"/run/systemd/resolve/stub-resolv.conf", "/run/NetworkManager/resolv.conf", "/run/resolvconf/resolv.conf",
	} {
		path := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if err := writeResolver(path, "", lanNames); !errors.Is(err, ErrManaged) {
			t.Errorf("a link to %s: %v", target, err)
		}
	}
}
