package image

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/need"
)

// settings is what the owner writes on the card.
const settings = `name = "server22"
[net]
mode = "dhcp"
link_local = "always"
[setup]
admin_password = "correct horse"
ssh_key = "PUBLIC"
wifi = { ssid = "shop floor", password = "battery staple", country = "DE" }
`

// owner is a person with a card, a desktop, and an SSH key.
type owner struct {
	*lan
	t    *testing.T
	card *card
	on   *machine
	work *workshop
	id   string // the SSH key
}

// TestCard is the life of a card, in order: each step stands on the one before.
func TestCard(t *testing.T) {
	c := flash(t, 3<<30)
	node := need.Command(t, "node")[0]
	modules := need.NodeModule(t, "../node", "socket.io-client")
	o := newOwner(t, c)
	o.firstBoot()
	o.found()
	o.logsIn()
	o.joinsWiFi()
	o.isSteady()
	acked := o.powerCut(node, filepath.Dir(modules))
	o.nothingIsLost(acked)
	o.writesTheImageAnew(acked)
}

// newOwner has set the card up.
func newOwner(t *testing.T, c *card) *owner {
	t.Helper()
	o := &owner{lan: newLAN(t), t: t, card: c, work: newWorkshop(t), id: filepath.Join(c.dir, "id")}
	c.command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "owner", "-f", o.id)
	public, err := os.ReadFile(o.id + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	c.put("appliance.toml", strings.Replace(settings, "PUBLIC", strings.TrimSpace(string(public)), 1))
	c.put("owner.pub", o.work.key("owner"))
	return o
}

// firstBoot cuts the first boot short, while the data partition is made.
func (o *owner) firstBoot() {
	o.log("first boot")
	o.on = o.powerOn(o.card, virt)
	o.on.WaitOutput("data partition", 5*time.Minute)
	time.Sleep(time.Second)
	o.on.powerOff()
	o.log("the plug was pulled while the data partition was made; first boot again")
	o.boot()
	o.on.WaitOutput("http://server22.local/", time.Minute) // the console
}

// boot switches on, and waits until pages are served.
func (o *owner) boot() {
	o.t.Helper()
	start := time.Now()
	o.on = o.powerOn(o.card, virt)
	if !o.within(6*time.Minute, "curl -fsS -m 4 http://"+cardAddress+"/healthz", "ok") {
		o.t.FailNow()
	}
	o.log("serving after %.0f s", time.Since(start).Seconds())
	o.within(time.Minute, "curl -fsS -m 4 http://"+cardAddress+"/readyz", `"ready": true`)
}

// found looks the card up as other machines do.
func (o *owner) found() {
	o.within(20*time.Second, "curl -fsS -m 5 http://server22.local/api/v1/status", `"source": "dhcp"`)
	o.within(20*time.Second, "avahi-resolve -4 -n server22.local", cardAddress)
	o.within(20*time.Second, "avahi-browse -rpt _http._tcp", "server22.local;"+cardAddress+";80")
	o.within(20*time.Second, "dig +short @10.84.0.1 server22.lan", cardAddress)
	if left := o.onCard("cat /boot/firmware/appliance.toml"); strings.Contains(left, "setup") || !strings.Contains(left, "server22") {
		o.t.Errorf("the card's settings are now\n%s", left)
	}
	o.log("found by mDNS, DNS-SD, and the DHCP server's DNS; the secrets are off the card")
}

// ssh is a command line that logs in; by address, since a name goes for a
// moment while the daemon restarts.
func (o *owner) ssh(command string) string {
	return "ssh -q -i " + o.id + " -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o ConnectTimeout=10 root@" + cardAddress + " " + quote(command)
}

// quote makes one word of a text, for a shell.
func quote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// onCard runs a command on the card.
func (o *owner) onCard(command string) string {
	o.t.Helper()
	return o.run(o.ssh(command))
}

// copies brings a file to the card.
func (o *owner) copies(file, to string) {
	o.t.Helper()
	o.run("scp -q -i " + o.id + " -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null " + file + " root@" + cardAddress + ":" + to)
}

// logsIn looks that SSH is there, for the key alone.
func (o *owner) logsIn() {
	o.within(30*time.Second, strings.Replace(o.ssh("hostname"), cardAddress, "server22.local", 1), "server22")
	out, ok := o.try("ssh -o PreferredAuthentications=password,keyboard-interactive -o PubkeyAuthentication=no -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@server22.local true 2>&1")
	if ok || !strings.Contains(out, "Permission denied (publickey)") {
		o.t.Errorf("a login without the key: %v\n%s", ok, out)
	}
	if failed := o.onCard("systemctl --failed --no-legend --plain"); failed != "" {
		o.t.Errorf("units that failed:\n%s", failed)
	}
	if mounts := o.onCard("findmnt -no OPTIONS /"); !strings.HasPrefix(mounts, "ro") {
		o.t.Errorf("the root is mounted %s", mounts)
	}
	o.log("SSH, with the key only; no unit failed; in %s", strings.TrimSpace(o.onCard("systemd-analyze time | head -1")))
}

// joinsWiFi gives the card two radios, makes the other one an access point
// with a DHCP server, and then takes the cable out.
func (o *owner) joinsWiFi() {
	o.copies(filepath.Join(filepath.Dir(imagePath()), "cache/busybox/usr/bin/busybox"), "/tmp/busybox")
	o.copies("testdata/access-point.sh", "/tmp/access-point.sh")
	o.onCard("sh /tmp/access-point.sh")
	o.within(30*time.Second, o.ssh("iw dev wlan0 link; journalctl -b -n 5 -u appliance-wifi@wlan0"), "SSID: shop floor")
	if country := o.onCard("iw reg get"); !strings.Contains(country, "country DE") {
		o.t.Errorf("the regulatory domain:\n%s", country)
	}
	o.onCard("nohup sh -c 'for i in $(seq 60); do sleep 1; ip -4 -br addr show wlan0 > /dev/ttyAMA0; done' >/dev/null 2>&1 &")
	o.on.tell("set_link n off")
	o.on.WaitOutput("10.85.0.", 40*time.Second)
	o.on.tell("set_link n on")
	o.within(time.Minute, "curl -fsS -m 4 http://server22.local/readyz", `"ready": true`)
	o.log("joined the wireless network, with an address while the cable was out")
}

// isSteady looks, when the card has been on for a while, that it has all of
// its room and was never restarted.
func (o *owner) isSteady() {
	if restarts := o.onCard("systemctl show -p NRestarts --value appliance appliance-net"); strings.Trim(restarts, "0\n") != "" {
		o.t.Errorf("restarts of the two units:\n%s\n%s", restarts, o.onCard("journalctl -b -p warning -n 20 --no-pager"))
	}
	room, err := strconv.Atoi(strings.TrimSpace(o.onCard("df -m --output=avail /var/lib/appliance | tail -1")))
	if err != nil || room < 1500 {
		o.t.Errorf("the room for what is kept: %d MiB (%v)", room, err)
	}
	doctor, _ := o.try(o.ssh("appliance doctor"))
	for line := range strings.Lines(doctor) {
		if strings.HasPrefix(line, "error") || strings.HasPrefix(line, "warning") {
			o.t.Errorf("the doctor says:\n%s", doctor)
			break
		}
	}
	o.log("never restarted; %d MiB for what is kept; the doctor has nothing to say", room)
}

// powerCut pulls the plug while a client talks, and returns the ids of what
// was acknowledged.
func (o *owner) powerCut(node, modules string) (acked []string) {
	// The black box writes in groups: what it is to know is on the card first.
	o.within(time.Minute, o.ssh("grep -rhao http://10.85.0. /var/lib/appliance/blackbox"), "http://10.85.0.")
	cmd := o.ns.Command(node, "../e2e/testdata/say.js", "http://"+cardAddress+"/", "lobby", "1000")
	cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	client := o.ns.DaemonCommand(cmd)
	for deadline := time.Now().Add(2 * time.Minute); strings.Count(client.Output(), "\nack ") < 300; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			o.t.Fatalf("socket.io-client got no further than\n%s", client.Output())
		}
	}
	o.on.powerOff()
	client.Stop()
	for line := range strings.Lines(client.Output()) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "ack" {
			acked = append(acked, fields[1])
		}
	}
	o.log("the plug was pulled after %d acknowledged messages", len(acked))
	return acked
}

// nothingIsLost boots after a power cut.
func (o *owner) nothingIsLost(acked []string) {
	o.boot()
	o.has(acked)
	o.within(30*time.Second, o.ssh("appliance report"), "the device lost its power")
	report := o.onCard("appliance report")
	if !strings.Contains(report, "http://10.85.0.") {
		o.t.Errorf("the black box does not know of the wireless network:\n%s", report)
	}
	for _, secret := range []string{"correct horse", "battery staple"} {
		if strings.Contains(report, secret) {
			o.t.Errorf("the report holds %q", secret)
		}
	}
	o.log("all %d are there; the black box says why it was started, and where it was", len(acked))
}

func (o *owner) has(acked []string) {
	o.t.Helper()
	kept := o.ns.Run("curl", "-fsS", "http://"+cardAddress+"/api/v1/rooms/lobby/messages?since=0&limit=1000")
	for _, id := range acked {
		if !strings.Contains(kept, `"`+id+`"`) {
			o.t.Errorf("%s was acknowledged, and is lost", id)
		}
	}
}
