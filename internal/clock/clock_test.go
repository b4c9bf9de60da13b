package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type system struct{ trusted bool }

func (s *system) Trusted() bool { return s.trusted }

func TestClockGoesOnFromWhatItWasTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := &system{}
		c := New(sys)
		if _, set := c.Now(); set || c.Source() != "" {
			t.Error("a clock that nobody set says that it is set")
		}
		told := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
		c.Set(told, "browser")
		time.Sleep(time.Hour)
		if now, set := c.Now(); !set || !now.Equal(told.Add(time.Hour)) || c.Source() != "browser" {
			t.Errorf("an hour later it is %v (%v, %s)", now, set, c.Source())
		}
		sys.trusted = true
		if now, set := c.Now(); !set || !now.Equal(time.Now()) || c.Source() != "system" {
			t.Errorf("the system's clock does not win: %v (%s)", now, c.Source())
		}
	})
}

func TestTrusted(t *testing.T) {
	unsynced := func(x *unix.Timex) (int, error) { x.Status = unix.STA_UNSYNC; return unix.TIME_ERROR, nil }
	synced := func(*unix.Timex) (int, error) { return unix.TIME_OK, nil }
	for name, test := range map[string]struct {
		files    map[string]string
		adjtimex func(*unix.Timex) (int, error)
		want     bool
	}{
		"a PC":                   {nil, unsynced, true},
		"a board":                {map[string]string{"proc/device-tree/model": "Raspberry Pi 4"}, unsynced, false},
		"a board, synchronised":  {map[string]string{"proc/device-tree/model": "Raspberry Pi 4"}, synced, true},
		"a board with a clock":   {map[string]string{"proc/device-tree/model": "Raspberry Pi 5", "sys/class/rtc/rtc0/hctosys": "1\n"}, unsynced, true},
		"its battery is empty":   {map[string]string{"proc/device-tree/model": "Raspberry Pi 5", "sys/class/rtc/rtc0/hctosys": "0\n"}, unsynced, false},
		"adjtimex is not let in": {map[string]string{"proc/device-tree/model": "x"}, func(*unix.Timex) (int, error) { return 0, unix.EPERM }, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for file, text := range test.files {
				path := filepath.Join(root, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			l := &Linux{Root: root, Adjtimex: test.adjtimex}
			if got := l.Trusted(); got != test.want {
				t.Errorf("trusted: %v; want %v", got, test.want)
			}
		})
	}
}

// timeServer answers each request with what reply makes of it.
func timeServer(t *testing.T, reply func(request []byte) []byte) (addr string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := reply(buf[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().String()
}

// reply answers as a server of that stratum, at that time.
func reply(stratum byte, at time.Time) func([]byte) []byte {
	return func(request []byte) []byte {
		answer := make([]byte, 48)
		answer[0], answer[1] = 4<<3|4, stratum
		copy(answer[24:], request[40:48])
		binary.BigEndian.PutUint32(answer[40:], uint32(at.Unix()+ntpEpoch))
		return answer
	}
}

func TestQuery(t *testing.T) {
	for _, want := range []time.Time{
		time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC), time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC), // the next era
	} {
		got, err := Query(t.Context(), timeServer(t, reply(2, want)))
		if err != nil {
			t.Fatal(err)
		}
		if d := got.Sub(want); d < 0 || d > time.Second {
			t.Errorf("the server says %v; Query %v", want, got)
		}
	}
}

func TestQueryRefuses(t *testing.T) {
	if _, err := Query(t.Context(), timeServer(t, reply(0, time.Now()))); !errors.Is(err, ErrNoTime) {
		t.Errorf("a kiss-o'-death: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	forged := func(request []byte) []byte {
		answer := reply(2, time.Now())(request)
		answer[24]++
		return answer
	}
	if _, err := Query(ctx, timeServer(t, forged)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a forged answer: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(reply(2, time.Now())(make([]byte, 48)))
	f.Fuzz(func(t *testing.T, answer []byte) {
		if len(answer) >= 48 {
			if at, err := parse(answer); err == nil && at.IsZero() {
				t.Error("no time, and no error")
			}
		}
	})
}
