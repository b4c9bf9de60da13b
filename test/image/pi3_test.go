package image

import (
	"testing"
	"time"
)

// TestRaspberryPi3 boots the image's own kernel, initrd and device tree on
// QEMU's Raspberry Pi 3B, with the card in its own controller.
func TestRaspberryPi3(t *testing.T) {
	c := flash(t, 2<<30) // QEMU wants a power of two
	l := newLAN(t)
	start := time.Now()
	m := l.powerOn(c, pi3)
	defer m.powerOff()
	// By name: its Ethernet, a USB gadget, has a MAC address made up by the driver.
	if !l.within(10*time.Minute, "curl -fsS -m 8 http://server22.local/readyz", `"ready": true`) {
		t.Fatal(m.Output())
	}
	l.log("a Raspberry Pi 3B serves after %.0f s", time.Since(start).Seconds())
	l.within(30*time.Second, "curl -fsS -m 8 http://server22.local/api/v1/status", `"source": "dhcp"`)
}
