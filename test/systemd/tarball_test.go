package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"server22.local/appliance/internal/need"
)

// TestTarball runs the tarball's installer twice, as for an update, and has it
// remove everything, in a copy of this machine's file system in memory. What it
// tells systemd is noted, not done.
func TestTarball(t *testing.T) {
	need.Root(t)
	need.Command(t, "unshare", "chroot")
	const script = `set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$1/root"
cd "$1/root"
mkdir tarball
cp -r "$2/build/arm/tarball/install.sh" "$2/systemd" tarball/
printf '#!/bin/sh\n' > tarball/appliance
printf '#!/bin/sh\necho "$@" >> /asked\n' > usr/bin/systemctl
cp tarball/appliance usr/bin/systemd-sysusers
cp tarball/appliance usr/bin/systemd-tmpfiles
chmod 755 tarball/appliance usr/bin/systemctl usr/bin/systemd-sysusers usr/bin/systemd-tmpfiles
ln -sfn /run/appliance-net/resolv.conf etc/resolv.conf
run() { PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /tarball/install.sh "$@" >&2; }
run
: > asked
run
run --uninstall
cat asked
cd ../upper
find etc usr -name '*appliance*' ! -type c # which is how the copy notes what is gone
readlink etc/resolv.conf || true
`
	root, err := filepath.Abs(project)
	if err != nil {
		t.Fatal(err)
	}
	var complaints strings.Builder
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script, "tarball", t.TempDir(), root)
	cmd.Env, cmd.Stderr = os.Environ(), &complaints
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, complaints.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if !slices.Contains(lines, "restart appliance-net.service appliance.service") {
		t.Errorf("an update does not restart what runs; systemd was asked to\n%s", out)
	}
	left := slices.DeleteFunc(lines, func(line string) bool { return !strings.Contains(line, "/") })
	if !slices.Equal(left, []string{"etc/appliance", "etc/appliance/appliance.toml"}) {
		t.Errorf("there is left %q", left)
	}
}
