package image

import (
	"testing"
	"time"
)

// TestRaspberryPi3 boots the image's own kernel, initrd and device tree on
// QEMU's Raspberry Pi 3B.
func TestRaspberryPi3(t *testing.T) {
	c := flash(t, 4<<30) // QEMU wants a power of two
	l := newLAN(t)
	start := time.Now()
	m := l.powerOn(c, pi3)
	l.within(8*time.Minute, "curl -fsS -m 8 http://"+cardAddress+"/readyz", `"ready": true`)
	l.log("a Raspberry Pi 3B serves after %.0f s", time.Since(start).Seconds())
	l.within(30*time.Second, "curl -fsS -m 8 http://server22.local/api/v1/status", `"source": "dhcp"`)
	m.powerOff()
}
