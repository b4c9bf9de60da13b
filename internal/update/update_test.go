package update

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"aead.dev/minisign"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/need"
)

type signer struct {
	public  minisign.PublicKey
	private minisign.PrivateKey
}

func newSigner(t *testing.T) signer {
	t.Helper()
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{public, private}
}

// program is a script that says its version: a program as good as any.
func program(version string) string { return "#!/bin/sh\necho " + version + "\n" }

func (s signer) bundle(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	source := filepath.Join(dir, "program")
	if err := os.WriteFile(source, []byte(program(version)), 0o755); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := Pack(&b, version, time.Unix(1790000000, 0), map[string]string{"arm64": source, "amd64": source}, s.private); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "bundle")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// device is a machine with slots and a program in its image.
func device(t *testing.T, keys ...minisign.PublicKey) *Updater {
	t.Helper()
	need.Root(t) // mounts
	dir := t.TempDir()
	binary := filepath.Join(dir, "appliance")
	if err := os.WriteFile(binary, []byte(program("image")), 0o755); err != nil {
		t.Fatal(err)
	}
	slots := filepath.Join(dir, "slots")
	if err := os.Mkdir(slots, 0o755); err != nil {
		t.Fatal(err)
	}
	u := &Updater{Slots: Slots{Dir: slots, Binary: binary}, Keys: keys, Arch: "arm64", Running: "1.0", Logger: slog.New(slog.DiscardHandler)}
	u.Restart = func(context.Context) error { return nil }
	u.Healthy = func(_ context.Context, version string) error {
		if got := u.runs(t); got != version {
			return errors.New("it is " + got + " that runs")
		}
		return nil
	}
	t.Cleanup(func() {
		for unix.Unmount(binary, unix.MNT_DETACH) == nil {
		}
	})
	return u
}

func (u *Updater) runs(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(u.Slots.Binary).Output()
	if err != nil {
		t.Fatalf("running the program: %v", err)
	}
	return strings.TrimSpace(string(out))
}

func TestUpdatesAlternateBetweenTheSlots(t *testing.T) {
	s := newSigner(t)
	u := device(t, s.public)
	for _, version := range []string{"1.1", "1.2", "1.10"} {
		if _, err := u.Apply(t.Context(), s.bundle(t, version)); err != nil {
			t.Fatal(err)
		}
		if got := u.runs(t); got != version {
			t.Fatalf("%s runs after the update to %s", got, version)
		}
		u.Running = version
	}
	// A boot begins with the image's program, and finds the last one again.
	unix.Unmount(u.Slots.Binary, unix.MNT_DETACH)
	if err := u.Slots.Boot("1.0"); err != nil {
		t.Fatal(err)
	}
	if got := u.runs(t); got != "1.10" {
		t.Errorf("%s runs after a reboot", got)
	}
}

func TestAnUnhealthyVersionIsTakenBack(t *testing.T) {
	s := newSigner(t)
	u := device(t, s.public)
	if _, err := u.Apply(t.Context(), s.bundle(t, "1.1")); err != nil {
		t.Fatal(err)
	}
	u.Running = "1.1"
	bad := s.bundle(t, "1.2")
	restarts := 0
	u.Restart = func(context.Context) error { restarts++; return nil }
	u.Healthy = func(context.Context, string) error { return errors.New("no answer") }
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := u.Apply(t.Context(), bad)
		if !errors.Is(err, ErrRolledBack) || !strings.Contains(err.Error(), "no answer") {
			t.Errorf("Apply = %v", err)
		}
		if took := time.Since(start); took < Trial || took > Trial+2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	u.SkipFailed = true
	if _, err := u.Apply(t.Context(), bad); !errors.Is(err, ErrFailedBefore) {
		t.Errorf("found again: %v", err)
	}
	if last, _, err := u.Slots.Last(); err != nil || !last.RolledBack || last.Version != "1.2" {
		t.Errorf("what is kept: %+v, %v", last, err)
	}
	if restarts != 2 {
		t.Errorf("%d restarts, want one there and one back", restarts)
	}
	if got := u.runs(t); got != "1.1" {
		t.Errorf("%s runs", got)
	}
}

func TestAPowerCutInATrialIsAFailure(t *testing.T) {
	s := newSigner(t)
	u := device(t, s.public)
	u.Healthy = func(context.Context, string) error { panic("the power goes") }
	func() {
		defer func() { _ = recover() }()
		u.Apply(t.Context(), s.bundle(t, "1.1"))
	}()
	if _, trying, err := u.Slots.Last(); err != nil || !trying {
		t.Errorf("before the boot: trying %v, err %v", trying, err)
	}
	for range 2 {
		if err := u.Slots.Boot("1.0"); err != nil {
			t.Fatal(err)
		}
		if got := u.runs(t); got != "image" {
			t.Errorf("%s runs", got)
		}
		last, trying, err := u.Slots.Last()
		if err != nil || trying || !last.RolledBack || last.Version != "1.1" || last.Error == "" {
			t.Errorf("after the boot: trying %v, last %+v, err %v", trying, last, err)
		}
	}
}

func TestADamagedSlotIsLeftAlone(t *testing.T) {
	s := newSigner(t)
	u := device(t, s.public)
	if _, err := u.Apply(t.Context(), s.bundle(t, "1.1")); err != nil {
		t.Fatal(err)
	}
	unix.Unmount(u.Slots.Binary, unix.MNT_DETACH)
	if err := os.WriteFile(u.Slots.program("a"), []byte("#!/bin/sh\necho worse"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := u.Slots.Boot("1.0"); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("Boot = %v", err)
	}
	if got := u.runs(t); got != "image" {
		t.Errorf("%s runs", got)
	}
}

func TestRefusals(t *testing.T) {
	s, stranger := newSigner(t), newSigner(t)
	u := device(t, s.public)
	tests := []struct {
		name   string
		bundle func(t *testing.T) string
		want   string
	}{
		{"signed by a stranger", func(t *testing.T) string { return stranger.bundle(t, "1.1") }, ErrUntrusted.Error()},
		{"older", func(t *testing.T) string { return s.bundle(t, "0.9") }, ErrOlder.Error()},
		{"the same", func(t *testing.T) string { return s.bundle(t, "1.0") }, ErrOlder.Error()},
		{"a changed program", func(t *testing.T) string {
			return edit(t, s.bundle(t, "1.1"), func(b []byte) []byte {
				return bytes.ReplaceAll(b, []byte("#!/bin/sh"), []byte("#!/bin/ba"))
			})
		}, "damaged"},
		{"a changed manifest", func(t *testing.T) string {
			return edit(t, s.bundle(t, "1.1"), func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"version": "1.1"`), []byte(`"version": "1.9"`), 1)
			})
		}, ErrUntrusted.Error()},
		{"cut short", func(t *testing.T) string {
			return edit(t, s.bundle(t, "1.1"), func(b []byte) []byte { return b[:2600] })
		}, ""},
		{"no bundle", func(t *testing.T) string {
			return edit(t, s.bundle(t, "1.1"), func([]byte) []byte { return []byte("hello") })
		}, "no update bundle"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := u.Apply(t.Context(), tt.bundle(t))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Apply = %v, want %q", err, tt.want)
			}
			if got := u.runs(t); got != "image" {
				t.Errorf("%s runs", got)
			}
		})
	}
}

// TestARecordThatCannotBeRead keeps no update out.
func TestARecordThatCannotBeRead(t *testing.T) {
	for _, text := range []string{`{"current": "", "slots": null}`, `{"curr`, ""} {
		s := newSigner(t)
		u := device(t, s.public)
		if err := os.WriteFile(u.Slots.recordPath(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := u.Slots.Boot("1.0"); (err == nil) != json.Valid([]byte(text)) {
			t.Errorf("%q: Boot = %v", text, err)
		}
		if _, err := u.Apply(t.Context(), s.bundle(t, "1.1")); err != nil {
			t.Errorf("%q: Apply = %v", text, err)
		}
	}
}

// TestAnImageWrittenAnewWins: the data partition, with its slots, may be that
// of an older image.
func TestAnImageWrittenAnewWins(t *testing.T) {
	s := newSigner(t)
	u := device(t, s.public)
	if _, err := u.Apply(t.Context(), s.bundle(t, "1.1")); err != nil {
		t.Fatal(err)
	}
	for _, pair := range [][2]string{{"1.0", "1.1"}, {"1.2", "image"}} {
		image, want := pair[0], pair[1]
		if err := u.Slots.Boot(image); err != nil {
			t.Fatal(err)
		}
		if got := u.runs(t); got != want {
			t.Errorf("image %s: %s runs", image, got)
		}
	}
}

func edit(t *testing.T, path string, change func([]byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(b), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVersions(t *testing.T) {
	inOrder := []string{"0.1.0~dev9+gabc", "0.1.0~dev10+gabc", "0.1.0", "0.1.0+x", "0.1.1", "0.2", "0.10", "1.0~rc1", "1.0"}
	for i, a := range inOrder {
		for j, b := range inOrder {
			if got := newer(a, b); got != (i > j) {
				t.Errorf("newer(%s, %s) = %v", a, b, got)
			}
		}
	}
}

// FuzzBundle reads what a stranger may have put on a stick.
func FuzzBundle(f *testing.F) {
	public, private, err := minisign.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	source := filepath.Join(f.TempDir(), "program")
	if err := os.WriteFile(source, []byte(program("1.1")), 0o755); err != nil {
		f.Fatal(err)
	}
	var good bytes.Buffer
	if err := Pack(&good, "1.1", time.Unix(1790000000, 0), map[string]string{"arm64": source}, private); err != nil {
		f.Fatal(err)
	}
	f.Add(good.Bytes())
	f.Add(good.Bytes()[:700])
	f.Add([]byte("hello"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := &Inbox{Keys: []minisign.PublicKey{public}, Arch: "arm64", Running: "1.0"}
		if m, err := in.check(bytes.NewReader(data)); err == nil && m.Version != "1.1" {
			t.Errorf("a bundle of %s that nobody has signed was taken", m.Version)
		}
	})
}
