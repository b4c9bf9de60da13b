package image

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// TestOwners is what people do with a card that no manual tells them to. Each
// starts with a new one, and must reach it.
func TestOwners(t *testing.T) {
	t.Run("the image as it is", asItIs)
	t.Run("an empty file and two cables", twoCables)
	t.Run("a mistake in the file", aMistake)
	t.Run("Notepad and a reset without network", notepad)
}

// asItIs boots an image that nobody made larger, as QEMU's manual has it: no
// LAN, and a disk for a root. There is no room for what is to be kept.
func asItIs(t *testing.T) {
	c := flash(t, 0)
	c.put("appliance.toml", "[setup]\nadmin_password = 'correct horse'\n")
	l := newLAN(t)
	m := l.start(c, virt, "root=/dev/vda2", "-netdev", "user,id=n,hostfwd=tcp:127.0.0.1:8022-:80", "-device", "virtio-net-device,netdev=n")
	const url = "http://127.0.0.1:8022"
	l.within(5*time.Minute, "curl -fsS -m 4 "+url+"/readyz", `"ready": true`)
	l.within(10*time.Second, "curl -fsS -m 4 "+url+"/api/v1/status", "0 MiB of room behind the system")
	l.run("curl -fsS -m 4 -d '{\"password\":\"correct horse\"}' " + url + "/api/v1/admin/login")
	l.run("curl -fsS -m 4 -X PUT -d 21.5 " + url + "/api/v1/topics/a")
	m.powerOff()
	if left := c.holds("appliance.toml"); !strings.Contains(left, "correct horse") {
		t.Errorf("what was not kept has left the card:\n%s", left)
	}
}

func twoCables(t *testing.T) {
	c := flash(t, 2<<30)
	c.put("appliance.toml", "")
	l := newLAN(t)
	m := l.start(c, virt, "",
		"-netdev", tap, "-device", virt.nic+",netdev=n,mac="+cardMAC,
		"-netdev", "user,id=m", "-device", "virtio-net-device,netdev=m")
	defer m.powerOff()
	l.within(5*time.Minute, "curl -fsS -m 4 http://"+cardAddress+"/readyz", `"ready": true`)
	l.within(20*time.Second, "curl -fsS -m 4 http://server22.local/api/v1/status", `"conditions": []`)
}

func aMistake(t *testing.T) {
	c := flash(t, 2<<30)
	c.put("appliance.toml", "name = \"workshop\n[net]\nmode = \"static\"\n")
	l := newLAN(t)
	m := l.powerOn(c, virt)
	defer m.powerOff()
	l.within(5*time.Minute, "curl -fsS -m 4 http://server22.local/api/v1/status", "appliance.toml:1")
	m.WaitOutput("appliance.toml:1", time.Minute) // the console
}

// notepad sets a card up with a file that Windows made of it, and begins anew
// while there is no network at all.
func notepad(t *testing.T) {
	c := flash(t, 2<<30)
	c.put("appliance.toml", unicode("[setup]\r\nadmin_password = \"correct horse\"\r\n[net]\r\n[discovery]\r\ninstance = \"Werkstatt – 1\"\r\n"))
	l := newLAN(t)
	m := l.powerOn(c, virt)
	l.within(5*time.Minute, "avahi-browse -rpt _http._tcp", cardAddress)
	l.within(10*time.Second, "curl -sS -m 4 http://"+cardAddress+"/api/v1/status", `"claim": "claimed"`)
	m.powerOff()
	if left := c.holds("appliance.toml"); strings.Contains(left, "setup") || !strings.Contains(left, "Werkstatt – 1") {
		t.Errorf("the card's settings are now\n%s", left)
	}
	c.put("reset", "")
	m = l.start(c, virt, "", "-nic", "none")
	m.WaitOutput("resetting", 5*time.Minute)
	m.WaitOutput("server22 login:", 2*time.Minute)
	m.powerOff()
	m = l.powerOn(c, virt)
	defer m.powerOff()
	l.within(5*time.Minute, "curl -fsS -m 4 http://"+cardAddress+"/readyz", `"ready": true`)
	l.within(10*time.Second, "curl -sS -m 4 http://"+cardAddress+"/api/v1/status", `"claim": "unclaimed"`)
}

// unicode is a text as Windows' editor saves it under that name.
func unicode(text string) string {
	b := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		b = binary.LittleEndian.AppendUint16(b, unit)
	}
	return string(b)
}
