package systemd

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"server22.local/appliance/internal/need"
)

// TestReproducible builds the package and the tarball once more, in another
// folder, by somebody with another umask, time zone and language, and wants
// the same bytes. With APPLIANCE_REPRODUCE set nothing is taken from the
// compiler's cache.
func TestReproducible(t *testing.T) {
	need.Command(t, "git", "dpkg-deb")
	first := filepath.Dir(packages(t)[1])
	tree := filepath.Join(t.TempDir(), "somewhere else", "with a longer path")
	copyTree(t, tree)
	second := filepath.Join(t.TempDir(), "dist")
	env := append(os.Environ(), "TARGETS=amd64", "DEBS=amd64:amd64", "VERSION=0.0.2", "DIST="+second, "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8")
	if os.Getenv("APPLIANCE_REPRODUCE") != "" {
		env = append(env, "GOCACHE="+t.TempDir())
	}
	cmd := exec.Command("sh", "-c", "umask 077 && build/arm/cross.sh && build/arm/deb.sh")
	cmd.Dir, cmd.Env = tree, env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	for _, name := range []string{"appliance_0.0.2_amd64.deb", "appliance_0.0.2_linux_amd64.tar.gz"} {
		a, errA := os.ReadFile(filepath.Join(first, name))
		b, errB := os.ReadFile(filepath.Join(second, name))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if !bytes.Equal(a, b) {
			t.Errorf("%s has other bytes the second time", name)
		}
	}
}

// copyTree copies the project as it is, with its history, which the version's
// date is from.
func copyTree(t *testing.T, to string) {
	t.Helper()
	const script = `git clone -q --shared --no-checkout "$1" "$2" && cd "$1" && git ls-files -z | xargs -0 cp --parents -t "$2"`
	from, err := filepath.Abs(project)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("sh", "-c", script, "copy", from, to).CombinedOutput(); err != nil {
		t.Fatalf("copying the project: %v\n%s", err, out)
	}
}
