package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// board is a kind of machine that QEMU has.
type board struct {
	args    []string
	console string // the kernel's name of the serial line
	nic     string // what its Ethernet is
	disk    string // the interface of the card, and how it is cached
	tree    string // the device tree, of the image's first partition
}

var (
	// virt is quick, and knows hot-plugging.
	virt = board{
		args:    []string{"-M", "virt,gic-version=2", "-cpu", "cortex-a53", "-smp", "2", "-m", "512", "-device", "qemu-xhci,id=usb"},
		console: "ttyAMA0",
		nic:     "virtio-net-pci,romfile=",
		disk:    "virtio,cache=writethrough",
	}
	// pi3 is a Raspberry Pi 3B, whose Ethernet hangs on USB. Its card's
	// controller writes while all of the processors wait: a flush at each
	// sector takes them longer than the kernel's watchdog allows.
	pi3 = board{
		args:    []string{"-M", "raspi3b"},
		console: "ttyAMA0,115200 console=ttyS1,115200",
		nic:     "usb-net",
		disk:    "sd,cache=unsafe",
		tree:    "bcm2837-rpi-3-b.dtb",
	}
)

// card is a memory card with the image on it.
type card struct {
	t    *testing.T
	path string
	dir  string // of kernel and initrd, as they are on it
}

// flash writes the image to a card of a size; 0 is the image's own.
func flash(t *testing.T, size int64) *card {
	t.Helper()
	image := imagePath()
	if image == "" {
		t.Skip("APPLIANCE_IMAGE names no image: make test-image")
	}
	need.Command(t, "qemu-system-aarch64", "mcopy")
	c := &card{t: t, dir: t.TempDir()}
	c.path = filepath.Join(c.dir, "card")
	c.write(image)
	if size > 0 {
		if err := os.Truncate(c.path, size); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"vmlinuz", "initrd.img"} {
		c.take(file)
	}
	return c
}

// write copies an image to the beginning of the card.
func (c *card) write(image string) {
	c.t.Helper()
	c.command("dd", "if="+image, "of="+c.path, "bs=4M", "conv=notrunc,sparse", "status=none")
}

// boot is the card's first partition, in mtools' words.
func (c *card) boot() string { return c.path + "@@4M" }

// take copies a file of the first partition to the card's folder.
func (c *card) take(file string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, file)
	c.command("mcopy", "-n", "-o", "-i", c.boot(), "::"+file, path)
	return path
}

// holds returns a file of the first partition.
func (c *card) holds(name string) string {
	c.t.Helper()
	text, err := os.ReadFile(c.take(name))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

// put writes a file to the first partition, as its owner does on a PC.
func (c *card) put(name, text string) {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	write(c.t, path, text)
	c.command("mcopy", "-o", "-i", c.boot(), path, "::"+name)
}

func (c *card) command(name string, args ...string) {
	c.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		c.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// machine is a computer that is on.
type machine struct {
	*netnstest.Daemon
	t       *testing.T
	monitor string
}

// tap is the LAN's end of a cable, for QEMU.
const tap = "tap,id=n,ifname=tap0,script=no,downscript=no"

// powerOn starts a computer with the card, on the LAN's cable.
func (l *lan) powerOn(c *card, b board) *machine {
	l.t.Helper()
	return l.start(c, b, "root=LABEL=appl-root", "-netdev", tap, "-device", b.nic+",netdev=n,mac="+cardMAC)
}

// start starts a computer with the card; root is what the kernel is told of
// it, and wires are QEMU's words for the network.
func (l *lan) start(c *card, b board, root string, wires ...string) *machine {
	l.t.Helper()
	m := &machine{t: l.t, monitor: filepath.Join(c.dir, fmt.Sprint("monitor", time.Now().UnixNano()))}
	args := append([]string{}, b.args...)
	args = append(args, "-accel", "tcg,thread=multi", "-nographic", "-no-reboot",
		"-chardev", "stdio,id=line,mux=off", "-serial", "chardev:line", "-qmp", "unix:"+m.monitor+",server,nowait",
		"-kernel", filepath.Join(c.dir, "vmlinuz"), "-initrd", filepath.Join(c.dir, "initrd.img"),
		"-append", root+" ro rootwait net.ifnames=0 panic=10 loglevel=4 console="+b.console,
		"-drive", "if="+b.disk+",format=raw,file="+c.path)
	args = append(args, wires...)
	if b.tree != "" {
		args = append(args, "-dtb", c.take(b.tree))
	}
	m.Daemon = l.ns.Daemon("qemu-system-aarch64", args...)
	select {
	case <-m.Exited():
		l.t.Fatalf("QEMU ends at once: %s", m.Output())
	case <-time.After(time.Second):
	}
	return m
}

// powerOff pulls the plug.
func (m *machine) powerOff() { m.Kill() }

// tell gives QEMU's monitor a command line.
func (m *machine) tell(line string) {
	m.t.Helper()
	conn, err := net.Dial("unix", m.monitor)
	if err != nil {
		m.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		m.t.Fatal(err)
	}
	ask := json.NewEncoder(conn)
	errs := errors.Join(
		ask.Encode(map[string]any{"execute": "qmp_capabilities"}),
		ask.Encode(map[string]any{"execute": "human-monitor-command", "id": "it", "arguments": map[string]string{"command-line": line}}))
	if errs != nil {
		m.t.Fatal(errs)
	}
	for answers := json.NewDecoder(conn); ; {
		var answer struct {
			ID     string
			Return any
			Error  *struct{ Desc string }
		}
		if err := answers.Decode(&answer); err != nil {
			m.t.Fatalf("the monitor, after %q: %v", line, err)
		}
		if answer.Error != nil {
			m.t.Fatalf("%s: %s", line, answer.Error.Desc)
		}
		if answer.ID == "it" {
			if text, _ := answer.Return.(string); strings.Contains(text, "Error") {
				m.t.Fatalf("%s: %s", line, text)
			}
			return
		}
	}
}

func imagePath() string { return os.Getenv("APPLIANCE_IMAGE") }
