package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
	"server22.local/appliance/test/node"
)

// sayUntil starts saying 1,000 messages and returns the ids that were
// acknowledged before end ended it all. end is called after some of them.
func sayUntil(t *testing.T, a *appliance, end func()) (acked []string) {
	t.Helper()
	script := node.Run(t, "testdata/say.js", a.URL, "lobby", "1000")
	if line := script.Line(t); line != "joined" {
		t.Fatalf("the client says %q", line)
	}
	for line := range script.Lines {
		if id, ok := strings.CutPrefix(line, "ack "); ok {
			acked = append(acked, strings.Fields(id)[0])
		} else if line != "done" {
			t.Fatalf("the client says %q", line)
		}
		if len(acked) == 300 {
			end()
			end = func() {}
		}
	}
	return acked
}

// checkKept fails unless each acknowledged message is there, once.
func checkKept(t *testing.T, a *appliance, acked []string) {
	t.Helper()
	if len(acked) < 300 || len(acked) >= 1000 {
		t.Fatalf("%d of 1,000 messages were acknowledged: the end was not in their middle", len(acked))
	}
	kept := map[string]int{}
	last := int64(0)
	for _, m := range a.history(t, "lobby") {
		kept[m.ID]++
		if m.Seq <= last {
			t.Errorf("seq %d after %d", m.Seq, last)
		}
		last = m.Seq
	}
	lost := 0
	for _, id := range acked {
		if kept[id] != 1 {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged messages are not there exactly once", lost, len(acked))
	}
	t.Logf("%d acknowledged, %d kept", len(acked), len(kept))
}

func TestKill(t *testing.T) {
	node.Need(t)
	state := t.TempDir()
	a := start(t, state, "127.0.0.1:0")
	acked := sayUntil(t, a, a.kill)
	checkKept(t, start(t, state, "127.0.0.1:0"), acked)
}

// TestPowerCut copies the disk beneath the file system while messages are
// written, which is what a card holds after a power cut, and starts on the copy.
func TestPowerCut(t *testing.T) {
	need.Root(t)
	need.Command(t, "node", "mke2fs", "losetup", "e2fsck")
	dir := t.TempDir()
	disk, copied := filepath.Join(dir, "disk"), filepath.Join(dir, "copy")
	command(t, "truncate", "-s", "96M", disk)
	command(t, "mke2fs", "-q", "-F", "-t", "ext4", disk)
	state := mount(t, disk)

	a := start(t, filepath.Join(state, "s"), "127.0.0.1:0")
	acked := sayUntil(t, a, func() {
		a.signal(syscall.SIGSTOP)
		// What the client has by now was acknowledged before the cut, or is
		// on its way; the copy is of a later moment than all of that.
		time.Sleep(50 * time.Millisecond)
		command(t, "cp", "--sparse=always", disk, copied)
		a.kill()
	})
	checkKept(t, start(t, filepath.Join(mount(t, copied), "s"), "127.0.0.1:0"), acked)
}

// mount mounts a disk image, and returns where.
func mount(t *testing.T, image string) string {
	t.Helper()
	out, err := exec.Command("losetup", "--find", "--show", image).Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { exec.Command("losetup", "--detach", device).Run() })
	at := t.TempDir()
	if err := unix.Mount(device, at, "ext4", unix.MS_NOATIME, ""); err != nil {
		t.Fatalf("mounting %s: %v", device, err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	return at
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", name, err, out)
	}
}

// TestDiskFull: what cannot be stored is refused, with a reason; the rest goes
// on, and what was acknowledged before is there.
func TestDiskFull(t *testing.T) {
	need.Root(t)
	node.Need(t)
	state := t.TempDir()
	if err := unix.Mount("tmpfs", state, "tmpfs", 0, "size=3m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(state, unix.MNT_DETACH) })
	a := start(t, state, "127.0.0.1:0")
	filler := filepath.Join(state, "filler")
	fill(t, filler)

	script := node.Run(t, "testdata/say.js", a.URL, "lobby", "20")
	refused := 0
	for line := range script.Lines {
		if strings.HasPrefix(line, "refused") {
			refused++
			if !strings.Contains(line, `"code":507`) {
				t.Errorf("refused as %s", line)
			}
		}
	}
	if refused == 0 {
		t.Error("a full disk took 20 messages")
	}
	if body := get(t, a.URL+"api/v1/status"); !strings.Contains(body, "disk") && !strings.Contains(body, "full") {
		t.Errorf("the status does not tell of the full disk: %s", body)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	// The store tries again by itself.
	netnstest.Eventually(t, 20*time.Second, "with room again, messages are stored", func() bool {
		stored := false
		for line := range node.Run(t, "testdata/say.js", a.URL, "lobby", "5").Lines {
			stored = stored || strings.HasPrefix(line, "ack")
		}
		return stored
	})
}

// fill takes all the room there is.
func fill(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 4096)
	for {
		if _, err := file.Write(block); err != nil {
			return
		}
	}
}

func TestTerm(t *testing.T) {
	a := start(t, t.TempDir(), "127.0.0.1:0")
	if took, code := a.stop(); took > 5*time.Second || code != 0 {
		t.Errorf("SIGTERM: %v, exit %d", took, code)
	}
}

func TestSecondStart(t *testing.T) {
	a := start(t, t.TempDir(), "127.0.0.1:0")
	port := strings.Trim(a.URL[strings.LastIndex(a.URL, ":")+1:], "/")
	cmd := exec.Command(binary(t), "run", "--state", t.TempDir(), "--listen", "127.0.0.1:"+port)
	cmd.Env = append(os.Environ(), "APPLIANCE_DISCOVERY_ENABLED=false", "APPLIANCE_CONFIG="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit %d (%v)", code, err)
	}
	for _, want := range []string{"error: ", "hint: ", port} {
		if !strings.Contains(string(out), want) {
			t.Errorf("it says %q, without %q", out, want)
		}
	}
}

func TestBundleOfTheOfficialClient(t *testing.T) {
	a := start(t, t.TempDir(), "127.0.0.1:0")
	if js := get(t, fmt.Sprintf("%ssocket.io/socket.io.min.js", a.URL)); !strings.Contains(js, "Socket.IO v4.8.4") {
		t.Errorf("the client bundle begins with %.80q", js)
	}
}
