package systemd

import (
	"fmt"
	"strings"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready tells that the start is over (READY=1), or a reload.
func Ready(status string) error {
	return notify("READY=1", "STATUS="+oneLine(status))
}

// Status is one line of text for `systemctl status`.
func Status(text string) error { return notify("STATUS=" + oneLine(text)) }

// Reloading tells that a reload has begun; Ready ends it. The time is what
// Type=notify-reload asks for (systemd 253).
func Reloading() error {
	return notify("RELOADING=1", "MONOTONIC_USEC="+daemon.SdNotifyMonotonicUsec())
}

// Stopping tells that the end has begun.
func Stopping() error { return notify("STOPPING=1") }

func notify(lines ...string) error {
	if _, err := daemon.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		return fmt.Errorf("notifying systemd: %w", err)
	}
	return nil
}

// oneLine keeps a status from smuggling in another assignment.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }
