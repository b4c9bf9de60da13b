// Package need states what a test needs from the machine it runs on.
//
// Where CI is set in the environment (test/all sets it, having installed
// everything), a missing part fails the test; elsewhere it skips it, so that
// `go test ./...` is useful on any laptop. With -short every test that needs
// something of the machine is left out: what remains are the unit tests, which
// also run as 32-bit ARM under qemu-user.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// Root asks for the rights to make network namespaces and mounts.
func Root(t testing.TB) {
	t.Helper()
	unitOnly(t)
	if os.Geteuid() != 0 {
		missing(t, "root")
	}
}

// Command asks for programs on the PATH (or in /usr/sbin) and returns where
// they are, in the order asked for.
func Command(t testing.TB, names ...string) []string {
	t.Helper()
	unitOnly(t)
	paths := make([]string, 0, len(names))
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			path, err = exec.LookPath("/usr/sbin/" + name)
		}
		if err != nil {
			missing(t, "the program "+name)
		}
		paths = append(paths, path)
	}
	return paths
}

// NodeModule asks for a package that `npm ci` in test/node has installed, and
// returns the folder in which node finds it. dir is the path of test/node.
func NodeModule(t testing.TB, dir, name string) string {
	t.Helper()
	unitOnly(t)
	path := dir + "/node_modules/" + name
	if _, err := os.Stat(path); err != nil {
		missing(t, "the npm package "+name+" (cd test/node && npm ci)")
	}
	return path
}

func unitOnly(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("-short runs the unit tests only")
	}
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s; test/all installs it", what)
	}
	t.Skipf("this test needs %s; test/all installs it", what)
}
