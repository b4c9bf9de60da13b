package netcfg

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/need"
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
	if err := (&resolverFile{path: path, stateDir: state}).write(nameService{}); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, "nameserver 9.9.9.9\n") // nothing to say is no reason to touch it

	if err := (&resolverFile{path: path, stateDir: state}).write(lanNames); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, lanFile)
	before, _ := os.Stat(path)
	if err := (&resolverFile{path: path, stateDir: state}).write(lanNames); err != nil {
		t.Fatal(err)
	}
	if after, _ := os.Stat(path); !os.SameFile(before, after) {
		t.Error("the same content was written again")
	}
	writeFile(t, path, "nameserver 6.6.6.6\n") // the first original is the one that counts
	if err := (&resolverFile{path: path, stateDir: state}).write(lanNames); err != nil {
		t.Fatal(err)
	}
	if err := (&resolverFile{path: path, stateDir: state}).write(nameService{}); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, "nameserver 9.9.9.9\n") // with nothing to say any more the original is back
	if err := (&resolverFile{path: path, stateDir: state}).restore(); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, "nameserver 9.9.9.9\n")
}

func TestResolverFileWithoutAnOriginal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "resolv.conf")
	if err := (&resolverFile{path: path, stateDir: dir}).write(lanNames); err != nil {
		t.Fatal(err)
	}
	expectFile(t, path, lanFile)
	if err := (&resolverFile{path: path, stateDir: dir}).restore(); err != nil {
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
	if err := (&resolverFile{path: path, stateDir: dir}).write(lanNames); err != nil {
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
		if err := (&resolverFile{path: path, stateDir: ""}).write(lanNames); !isManaged(err) {
			t.Errorf("a link to %s: %v", target, err)
		}
	}
}

// A file that is a mount point, as in containers, cannot be replaced, but its
// content can.
func TestResolverFileThatIsMounted(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	path, source := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "source")
	writeFile(t, path, "")
	writeFile(t, source, "nameserver 9.9.9.9\n")
	if err := unix.Mount(source, path, "", unix.MS_BIND, ""); err != nil {
		t.Skipf("mounting: %v", err)
	}
	defer func() { _ = unix.Unmount(path, unix.MNT_DETACH) }()
	file := &resolverFile{path: path, stateDir: filepath.Join(dir, "state")}
	for names, want := range map[*nameService]string{&lanNames: lanFile, {}: "nameserver 9.9.9.9\n"} {
		if err := file.write(lanNames); err != nil {
			t.Fatal(err)
		}
		if err := file.write(*names); err != nil {
			t.Fatal(err)
		}
		expectFile(t, source, want)
	}
}

// What cannot be written is told in the same words each time, and leaves nothing
// behind.
func TestResolverFileThatIsImmutable(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "resolv.conf")
	writeFile(t, path, "nameserver 9.9.9.9\n")
	if out, err := exec.Command("chattr", "+i", path).CombinedOutput(); err != nil {
		t.Skipf("this file system has no attributes: %s", out)
	}
	defer func() { _ = exec.Command("chattr", "-i", path).Run() }()
	file := &resolverFile{path: path, stateDir: dir}
	first, second := file.write(lanNames), file.write(lanNames)
	if first == nil || second == nil || first.Error() != second.Error() {
		t.Errorf("%v, then %v", first, second)
	}
	expectFile(t, path, "nameserver 9.9.9.9\n")
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Errorf("left behind: %v", list)
	}
}

func isManaged(err error) bool {
	_, ok := errors.AsType[*ManagedError](err)
	return ok
}
