package power

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// board is a hwmon class with a Raspberry Pi's firmware in it.
func board(t *testing.T) (class string) {
	t.Helper()
	class = t.TempDir()
	for folder, name := range map[string]string{"hwmon0": "cpu_thermal\n", "hwmon1": "rpi_volt\n"} {
		if err := os.Mkdir(filepath.Join(class, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(class, folder, "name"), name)
	}
	write(t, filepath.Join(class, "hwmon1", "in0_lcrit_alarm"), "0\n")
	return class
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAlarm(t *testing.T) {
	class := board(t)
	if got, want := Alarm(class), filepath.Join(class, "hwmon1", "in0_lcrit_alarm"); got != want {
		t.Errorf("Alarm = %q, want %q", got, want)
	}
	if got := Alarm(t.TempDir()); got != "" {
		t.Errorf("a machine that measures nothing: %q", got)
	}
}

func TestWatchTellsOnceWhileTheSupplyFalters(t *testing.T) {
	alarm := Alarm(board(t))
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var told []bool
		ended := make(chan error, 1)
		go func() { ended <- Watch(ctx, alarm, time.Minute, func(low bool) { told = append(told, low) }) }()
		becomes := func(text string, lasting time.Duration, want ...bool) {
			t.Helper()
			write(t, alarm, text)
			time.Sleep(lasting)
			synctest.Wait()
			if !slices.Equal(told, want) {
				t.Errorf("after %q for %v it told %v, want %v", text, lasting, told, want)
			}
		}
		becomes("0\n", time.Minute)
		becomes("1\n", 3*time.Second, true)
		becomes("0\n", 30*time.Second, true)
		becomes("1\n", 3*time.Second, true)
		becomes("0\n", 2*time.Minute, true, false)
		becomes("1\n", 3*time.Second, true, false, true)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestWatchFailsWithoutItsFile(t *testing.T) {
	if err := Watch(t.Context(), filepath.Join(t.TempDir(), "none"), time.Minute, nil); err == nil {
		t.Error("no error")
	}
}
