package card

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"aead.dev/minisign"
	"golang.org/x/sys/unix"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/update"
)

// newCard is a card whose first partition is a file system on a loop device
// (ext4: not every kernel has FAT), and whose other parts are folders.
func newCard(t *testing.T) *Card {
	t.Helper()
	need.Root(t)
	need.Command(t, "mke2fs", "losetup")
	dir := t.TempDir()
	c := &Card{
		Boot: filepath.Join(dir, "boot"), Data: filepath.Join(dir, "data"), State: filepath.Join(dir, "state"),
		Clock: filepath.Join(dir, "clock"), Run: filepath.Join(dir, "run"),
		UID: os.Getuid(), GID: os.Getgid(),
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, d := range []string{c.Boot, c.Data, c.State, c.Clock, c.Run, filepath.Join(c.Data, "ssh"), filepath.Join(c.Data, "wifi"), filepath.Join(c.Data, "state")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "image")
	sparse(t, image, 8<<20)
	command(t, "mke2fs", "-q", "-F", image)
	mount(t, loop(t, image), c.Boot)
	return c
}

func TestSettings(t *testing.T) {
	const head = "# mine\nname = \"lab7\"\n\n[net]\nmode = \"dhcp\"\n"
	tests := []struct {
		name, file, text string
		daemon           string // what the daemon gets
		problem          string // what the owner is told; "" for nothing
	}{
		{"as it should be", "appliance.toml", head, head, ""},
		{"a second extension", "appliance.toml.txt", head, head, ""},
		{"another case", "APPLIANCE.TOML", head, head, ""},
		{"empty", "appliance.toml", "", "", ""},
		{"Windows", "appliance.toml", "\ufeff" + strings.ReplaceAll(head, "\n", "\r\n"), strings.ReplaceAll(head, "\n", "\r\n"), ""},
		{"Windows, set up at the top", "appliance.toml", "\ufeff[setup]\r\nadmin_password = \"correct horse\"\r\n[net]\r\n", "[net]\r\n", ""},
		{"Notepad's Unicode, set up", "appliance.toml", utf16le("name = \"lab7\"\n[setup]\nadmin_password = \"correct horse\"\n"), "name = \"lab7\"\n", ""},
		{"broken", "appliance.toml", "name = \"lab7\nmode", "", "appliance.toml:1:"},
		{"unknown key", "appliance.toml", "nmae = \"lab7\"\n", "", "did you mean name?"},
		{"missing", "readme.txt", "", "", "no appliance.toml"},
		{"set up", "appliance.toml", head + "[setup]\nadmin_password = \"correct horse\"\n[store]\nmax_size = \"1GiB\"\n", head + "[store]\nmax_size = \"1GiB\"\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := newCard(t)
			write(t, filepath.Join(c.Boot, tt.file), tt.text)
			err := c.importSettings(t.Context())
			if got := read(t, filepath.Join(c.Run, SettingsFile)); got != tt.daemon {
				t.Errorf("the daemon gets %q, want %q", got, tt.daemon)
			}
			switch {
			case tt.problem == "" && err != nil:
				t.Errorf("the owner is told %q", err)
			case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("the owner is told %v, want something with %q", err, tt.problem)
			}
		})
	}
}

func TestSetupLeavesTheCardAndIsKept(t *testing.T) {
	need.Command(t, "ssh-keygen")
	c := newCard(t)
	file := filepath.Join(c.Boot, "appliance.toml")
	write(t, file, `name = "lab7"
[setup]
admin_password = "correct horse"
ssh_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me"
wifi = { ssid = "shop floor", password = "battery staple", country = "de" }
`)
	if err := c.importSettings(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := read(t, file); strings.Contains(left, "correct horse") || strings.Contains(left, "battery") || !strings.Contains(left, "lab7") {
		t.Errorf("the card holds %q", left)
	}
	kept, err := config.Load(config.Sources{Path: filepath.Join(c.Run, SettingsFile), Place: config.Place{State: c.State}})
	if err != nil || !admin.Matches(kept.Admin.PasswordHash, "correct horse") {
		t.Errorf("the password is not kept: %v", err)
	}
	if got := read(t, filepath.Join(c.Data, "ssh", "authorized_keys")); !strings.HasPrefix(got, "ssh-ed25519 ") {
		t.Errorf("authorized_keys is %q", got)
	}
	wifi := read(t, filepath.Join(c.Data, "wifi", "wlan0.conf"))
	for _, want := range []string{"country=DE", "ssid=" + fmt.Sprintf("%x", "shop floor"), `psk="battery staple"`} {
		if !strings.Contains(wifi, want) {
			t.Errorf("the wireless network lacks %s:\n%s", want, wifi)
		}
	}
	if err := os.WriteFile(filepath.Join(c.Boot, "probe"), nil, 0o600); err == nil {
		t.Error("the FAT partition stayed writable")
	}
}

// TestSetupStaysWithoutMemory: it is taken off the card when it is kept.
func TestSetupStaysWithoutMemory(t *testing.T) {
	c := newCard(t)
	c.forgets = true
	file := filepath.Join(c.Boot, "appliance.toml")
	write(t, file, "[setup]\nadmin_password = \"correct horse\"\n")
	if err := c.importSettings(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.State, config.SettingsFile)); err != nil {
		t.Errorf("it was not done: %v", err)
	}
	if left := read(t, file); !strings.Contains(left, "correct horse") {
		t.Errorf("the card holds %q", left)
	}
	write(t, filepath.Join(c.Boot, "reset"), "")
	if err := c.resetIfAsked(); err == nil {
		t.Error("it was reset")
	}
	read(t, filepath.Join(c.Boot, "reset")) // for when it can be
}

func TestNoDataPartitionIsMemory(t *testing.T) {
	need.Root(t)
	c := &Card{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	t.Cleanup(func() { unix.Unmount(c.Data, unix.MNT_DETACH) })
	err := c.keepOrForget(errors.New("no card"))
	if err == nil || !strings.Contains(err.Error(), "nothing is kept") || !c.forgets {
		t.Errorf("the owner is told %v", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(c.Data, &st); err != nil || st.Type != unix.TMPFS_MAGIC {
		t.Errorf("%s is on %x, %v", c.Data, st.Type, err)
	}
}

func TestNoRoomForData(t *testing.T) {
	need.Root(t)
	need.Command(t, "sfdisk", "losetup")
	c := &Card{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	image := filepath.Join(t.TempDir(), "card")
	sparse(t, image, 52<<20)
	if err := pipe(t.Context(), "label: dos\nstart=4MiB, size=16MiB, type=c\nstart=20MiB, size=32MiB, type=83\n", "sfdisk", "-q", image); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ensureData(t.Context(), loop(t, image)); err == nil || !strings.Contains(err.Error(), "0 MiB of room") {
		t.Errorf("the owner is told %v", err)
	}
}

func TestUpdateKeysOfTheOwner(t *testing.T) {
	public, _, err := minisign.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key, err := public.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	c := newCard(t)
	write(t, filepath.Join(c.Boot, "MINE.PUB"), strings.ReplaceAll(string(key), "\n", "\r\n")+"\r\n")
	write(t, filepath.Join(c.Boot, "id_ed25519.pub"), "ssh-ed25519 AAAA me\n")
	if err := c.importKeys(); err == nil || !strings.Contains(err.Error(), "id_ed25519.pub") {
		t.Errorf("the owner is told %v", err)
	}
	trusted, err := update.Keys(filepath.Join(c.Run, KeysDir))
	if err != nil || len(trusted) != 1 || trusted[0].ID() != public.ID() {
		t.Errorf("trusted: %v, %v", trusted, err)
	}
}

func TestResetForgetsOnce(t *testing.T) {
	c := newCard(t)
	write(t, filepath.Join(c.Boot, "RESET.TXT"), "")
	kept := filepath.Join(c.Data, "state", "history.db")
	write(t, kept, "data")
	if err := c.resetIfAsked(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err == nil {
		t.Error("the state is still there")
	}
	write(t, kept, "new data")
	if err := c.resetIfAsked(); err != nil {
		t.Fatal(err)
	}
	if read(t, kept) != "new data" {
		t.Error("it reset twice")
	}
}

func TestDataPartition(t *testing.T) {
	need.Root(t)
	need.Command(t, "sfdisk", "mke2fs", "partx", "losetup", "blkid", "debugfs")
	c := &Card{Data: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}
	image := filepath.Join(t.TempDir(), "card")
	sparse(t, image, 256<<20)
	if err := pipe(t.Context(), "label: dos\nstart=4MiB, size=16MiB, type=c\nstart=20MiB, size=32MiB, type=83\n", "sfdisk", "-q", image); err != nil {
		t.Fatal(err)
	}
	disk := loop(t, image)

	first, err := c.ensureData(t.Context(), disk)
	if err != nil {
		t.Fatal(err)
	}
	if end, err := behind(t.Context(), disk); err != nil || end != 256 {
		t.Errorf("the data partition ends at %d MiB, not with the card (%v)", end, err)
	}
	table, err := exec.Command("sfdisk", "--dump", disk).Output()
	if err != nil || !strings.Contains(string(table), "start=      106496") { // 52 MiB
		t.Errorf("the data partition does not begin after the root (%v):\n%s", err, table)
	}
	if err := c.mountDevice(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(c.Data, unix.MNT_DETACH) })
	write(t, filepath.Join(c.Data, "kept"), "yes")
	unix.Unmount(c.Data, 0)

	t.Run("later boots keep it", func(t *testing.T) {
		again, err := c.ensureData(t.Context(), disk)
		if err != nil || again != first {
			t.Fatalf("ensureData = %s, %v", again, err)
		}
		if err := c.mountDevice(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		defer unix.Unmount(c.Data, 0)
		if read(t, filepath.Join(c.Data, "kept")) != "yes" {
			t.Error("the data is gone")
		}
	})
	t.Run("damage that e2fsck would ask about", func(t *testing.T) {
		command(t, "debugfs", "-w", "-R", "clri <2>", first) // the root folder
		if err := c.mountDevice(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		unix.Unmount(c.Data, 0)
	})
	t.Run("a first boot that was cut short is done again", func(t *testing.T) {
		// The partition is there, the label is not yet.
		command(t, "e2label", first, "")
		again, err := c.ensureData(t.Context(), disk)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.mountDevice(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		unix.Unmount(c.Data, 0)
	})
}

func TestPartitionNames(t *testing.T) {
	for disk, want := range map[string]string{"/dev/sda": "/dev/sda3", "/dev/mmcblk0": "/dev/mmcblk0p3", "/dev/vda": "/dev/vda3"} {
		if got := partition(disk, 3); got != want {
			t.Errorf("partition(%s, 3) = %s, want %s", disk, got, want)
		}
	}
}

func TestWithoutSetup(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a table", "name = \"a\"\n[setup]\nssh_key = \"x\"\n[log]\nlevel = \"info\"\n", "name = \"a\"\n[log]\nlevel = \"info\"\n"},
		{"its tables", "[setup]\nssh_key = \"x\"\n[setup.wifi]\nssid = \"s\"\n", ""},
		{"dotted", "setup.ssh_key = \"x\"\nname = \"a\"\n", "name = \"a\"\n"},
		{"inline", "setup = { ssh_key = \"x\" }\nname = \"a\"\n", "name = \"a\"\n"},
		{"none", "name = \"a\" # [setup]\n", "name = \"a\" # [setup]\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, clean := withoutSetup(tt.text)
			if got != tt.want || !clean {
				t.Errorf("withoutSetup = %q, %v; want %q, true", got, clean, tt.want)
			}
		})
	}
}

func TestWiFiIsRefusedBeforeItReachesAFile(t *testing.T) {
	for name, w := range map[string]config.WiFi{
		"a line break":  {SSID: "s", Password: "12345678\nnetwork={}"},
		"too short":     {SSID: "s", Password: "1234567"},
		"64 characters": {SSID: "s", Password: strings.Repeat("x", 64)},
		"a long name":   {SSID: strings.Repeat("s", 33)},
		"a bad country": {SSID: "s", Country: "D\n"},
	} {
		if checkWiFi(w) == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// utf16le writes a text as Windows does, with a byte order mark.
func utf16le(text string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}

func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
}

func loop(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command("losetup", "--find", "--show", "--partscan", file).Output()
	if err != nil {
		t.Fatalf("losetup: %v", err)
	}
	device := string(bytes.TrimSpace(out))
	t.Cleanup(func() {
		exec.Command("partx", "--delete", device).Run()
		exec.Command("losetup", "--detach", device).Run()
	})
	return device
}

func mount(t *testing.T, device, at string) {
	t.Helper()
	if err := unix.Mount(device, at, "ext4", 0, ""); err != nil {
		t.Fatalf("mounting %s: %v", device, err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if err := run(context.WithoutCancel(t.Context()), name, args...); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
