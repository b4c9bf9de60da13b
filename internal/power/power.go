// Package power tells when the supply of a Raspberry Pi is too weak. A bad
// cable is the commonest reason for damaged cards and unexplained restarts.
package power

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Class is where the kernel lists what it measures.
const Class = "/sys/class/hwmon"

// driver is that of a Raspberry Pi's firmware (raspberrypi-hwmon).
const driver = "rpi_volt"

// every is how often the alarm is looked at: as often as the driver asks the
// firmware whether the voltage was too low since it last asked.
const every = 2 * time.Second

// Alarm finds the file that tells, in the folder of the class; "" on machines
// that do not measure their supply.
func Alarm(class string) string {
	names, _ := filepath.Glob(filepath.Join(class, "*", "name")) // the pattern is right
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err == nil && string(bytes.TrimSpace(text)) == driver {
			return filepath.Join(filepath.Dir(name), "in0_lcrit_alarm")
		}
	}
	return ""
}

// Watch calls tell when the voltage comes to be too low, and when it is right
// again, until the context ends. Right after low means for settle at least: a
// weak supply falters many times a minute.
func Watch(ctx context.Context, alarm string, settle time.Duration, tell func(low bool)) error {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	var told bool
	var lowAt time.Time
	for {
		low, err := read(alarm)
		switch {
		case err != nil:
			return err
		case low:
			lowAt = time.Now()
			if !told {
				told = true
				tell(true)
			}
		case told && time.Since(lowAt) >= settle:
			told = false
			tell(false)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

func read(alarm string) (low bool, err error) {
	text, err := os.ReadFile(alarm)
	if err != nil {
		return false, fmt.Errorf("reading the supply's alarm: %w", err)
	}
	return string(bytes.TrimSpace(text)) == "1", nil
}
