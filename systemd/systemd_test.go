package systemd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("SYSTEMD_TEST_ACTIVATED") != "" {
		activated()
		return
	}
	goleak.VerifyTestMain(m)
}

// listenNotify is systemd's end of the notification socket.
func listenNotify(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return conn
}

func read(t *testing.T, conn *net.UnixConn) string {
	t.Helper()
	buf := make([]byte, 4096)
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := conn.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

func TestNotify(t *testing.T) {
	conn := listenNotify(t)
	for _, test := range []struct {
		send func() error
		want string
	}{
		{func() error { return Ready("serving\nMAINPID=1") }, "READY=1\nSTATUS=serving MAINPID=1"},
		{func() error { return Status("well") }, "STATUS=well"},
		{Stopping, "STOPPING=1"},
	} {
		if err := test.send(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, conn); got != test.want {
			t.Errorf("sent %q; want %q", got, test.want)
		}
	}
	if err := Reloading(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, conn); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") || strings.HasSuffix(got, "=") {
		t.Errorf("sent %q", got)
	}
}

func TestNothingWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	t.Setenv("LISTEN_PID", "")
	if err := Ready(""); err != nil {
		t.Error(err)
	}
	if listeners, err := Listeners(); err != nil || listeners != nil {
		t.Errorf("Listeners returned %v, %v", listeners, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (Watchdog{Check: func(context.Context) error { t.Error("checked"); return nil }}).Run(ctx); err != nil {
		t.Error(err)
	}
}

func TestWatchdogIsFedWhileTheCheckPasses(t *testing.T) {
	conn := listenNotify(t)
	t.Setenv("WATCHDOG_USEC", "40000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, cancel := context.WithCancel(t.Context())
	var sick atomic.Bool
	failed := make(chan error, 1000)
	done := make(chan error)
	go func() {
		done <- Watchdog{
			Check: func(context.Context) error {
				if sick.Load() {
					return errors.New("sick")
				}
				return nil
			},
			Failed: func(err error) { failed <- err },
		}.Run(ctx)
	}()
	for range 3 {
		if got := read(t, conn); got != "WATCHDOG=1" {
			t.Errorf("sent %q", got)
		}
	}
	sick.Store(true)
	<-failed
	// What was sent before the check failed has arrived, and then nothing does.
	drain(conn)
	<-failed
	<-failed
	if drain(conn) != 0 {
		t.Error("the watchdog was fed while the check failed")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func drain(conn *net.UnixConn) (packets int) {
	buf := make([]byte, 64)
	for {
		if err := conn.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
			return packets
		}
		if _, err := conn.Read(buf); err != nil {
			return packets
		}
		packets++
	}
}

// activated is the process that systemd would start: it tells what it got.
func activated() {
	os.Setenv("LISTEN_PID", os.Getenv("SYSTEMD_TEST_PID"))
	listeners, err := Listeners()
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return
	}
	for _, l := range listeners {
		os.Stdout.WriteString(l.Addr().String() + "\n")
	}
}

func TestListenersAreTakenOver(t *testing.T) {
	if testing.Short() {
		t.Skip("starts itself, which an emulated processor may not be able to")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	// exec keeps the pid that LISTEN_PID names.
	cmd := exec.Command("sh", "-c", `SYSTEMD_TEST_PID=$$ exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "SYSTEMD_TEST_ACTIVATED=1", "LISTEN_FDS=1")
	cmd.ExtraFiles = []*os.File{file}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != l.Addr().String() {
		t.Errorf("took over %q; want %v", got, l.Addr())
	}
}

func TestJournalFields(t *testing.T) {
	type entry struct {
		Message  string
		Priority journal.Priority
		Fields   map[string]string
	}
	var got []entry
	h := NewJournalHandler(slog.LevelInfo)
	h.send = func(message string, p journal.Priority, fields map[string]string) error {
		for _, key := range []string{"CODE_FILE", "CODE_LINE", "CODE_FUNC", "SYSLOG_IDENTIFIER"} {
			if fields[key] == "" {
				t.Errorf("%q has no %s", message, key)
			}
			delete(fields, key)
		}
		got = append(got, entry{message, p, fields})
		return nil
	}
	log := slog.New(h).With("iface", "eth0")
	log.Debug("unheard")
	log.Info("lease", "addr", "10.0.0.2", "took", 2*time.Second)
	log.Error("refused", "message", "hello", "priority", 0)
	log.WithGroup("peer").Warn("slow client", "sid", "a b", slog.Group("q", "bytes", 7), "_9x", 1)

	want := []entry{
		{"lease iface=eth0 addr=10.0.0.2 took=2s", journal.PriInfo,
			map[string]string{"IFACE": "eth0", "ADDR": "10.0.0.2", "TOOK": "2s"}},
		{"refused iface=eth0 message=hello priority=0", journal.PriErr,
			map[string]string{"IFACE": "eth0", "ATTR_MESSAGE": "hello", "ATTR_PRIORITY": "0"}},
		{`slow client iface=eth0 peer.sid="a b" peer.q.bytes=7 peer._9x=1`, journal.PriWarning,
			map[string]string{"IFACE": "eth0", "PEER_SID": "a b", "PEER_Q_BYTES": "7", "PEER__9X": "1"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// netcfg and discovery learn by a timerfd that the machine has slept; where it
// is denied they do without, silently.
func TestUnitsAllowTimerfd(t *testing.T) {
	for _, unit := range []string{"appliance.service", "appliance-net.service"} {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			denied, ok := strings.CutPrefix(line, "SystemCallFilter=~")
			if ok && slices.Contains(strings.Fields(denied), "@timer") {
				t.Errorf("%s denies @timer, and timerfd_create with it", unit)
			}
		}
	}
}

func TestFieldName(t *testing.T) {
	for key, want := range map[string]string{"sid": "SID", "9lives": "LIVES", "_x": "X", "größe": "GR__E", "é": "ATTR",
		"message": "ATTR_MESSAGE", "messages": "MESSAGES", "code": "CODE", "code_file": "ATTR_CODE_FILE", "unit": "ATTR_UNIT",
		strings.Repeat("long", 20): strings.Repeat("LONG", 16)} {
		if got := fieldName(key); got != want {
			t.Errorf("%s became %s; want %s", key, got, want)
		}
	}
}
