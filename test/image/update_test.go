package image

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runs waits until a version serves.
func (o *owner) runs(version string, limit time.Duration) {
	o.t.Helper()
	o.within(limit, "curl -fsS -m 4 http://"+cardAddress+"/api/v1/status", fmt.Sprintf(`"version": %q`, version))
}

// update applies a bundle by the command line, and returns what that said.
func (o *owner) update(bundle string) (out string, ok bool) {
	o.t.Helper()
	o.copies(bundle, "/tmp/bundle")
	return o.slowly("appliance update /tmp/bundle")
}

// slowly runs a command on the card that may take minutes: the connection
// need not live as long.
func (o *owner) slowly(command string) (out string, ok bool) {
	o.t.Helper()
	o.onCard("rm -f /tmp/out /tmp/code; nohup sh -c '" + command + " > /tmp/out 2>&1; echo exit=$? > /tmp/code' >/dev/null 2>&1 </dev/null &")
	o.within(3*time.Minute, o.ssh("cat /tmp/code"), "exit=")
	out = o.onCard("cat /tmp/out /tmp/code")
	return out, strings.Contains(out, "exit=0")
}

// TestUpdates tries every way in, and every way to fail.
func TestUpdates(t *testing.T) {
	o := newOwner(t, flash(t, 3<<30))
	o.boot()
	o.within(30*time.Second, o.ssh("hostname"), "server22")
	w := o.work
	good := w.build("9.1.0", "9.1.0")

	out, ok := o.update(w.bundle("stranger", "9.1.0", good))
	if ok || !strings.Contains(out, "not signed by a key that this device trusts") || !strings.Contains(out, "hint: ") {
		o.t.Errorf("a stranger's bundle: %v\n%s", ok, out)
	}
	o.log("a stranger's bundle is refused")

	start := time.Now()
	if out, ok := o.update(w.bundle("owner", "9.1.0", good)); !ok || !strings.Contains(out, "9.1.0 is in force") {
		o.t.Fatalf("the update to 9.1.0: %s", out)
	}
	o.runs("9.1.0", 10*time.Second)
	o.log("9.1.0 by the command line, in %.0f s", time.Since(start).Seconds())

	script := filepath.Join(w.dir, "script")
	write(o.t, script, "#!/bin/sh\nexit 1\n")
	o.isTakenBack(w.bundle("owner", "9.2.0", script), 45*time.Second, "one that cannot start")
	o.isTakenBack(w.bundle("owner", "9.3.0", good), 3*time.Minute, "one that is never healthy") // a minute on trial; the rest is the emulation

	o.uploads(w.bundle("owner", "9.4.0", w.build("9.4.0", "9.4.0")), w.bundle("stranger", "9.9.0", good))
	o.plugsIn(w.bundle("owner", "9.5.0", w.build("9.5.0", "9.5.0")))
	o.cutsATrial(w.bundle("owner", "9.6.0", good))
}

// isTakenBack applies a bundle that is no good.
func (o *owner) isTakenBack(bundle string, limit time.Duration, what string) {
	o.t.Helper()
	start := time.Now()
	out, ok := o.update(bundle)
	took := time.Since(start)
	if ok || !strings.Contains(out, "the one before is back") {
		o.t.Errorf("%s: %v\n%s", what, ok, out)
	}
	o.runs("9.1.0", 20*time.Second)
	if took > limit {
		o.t.Errorf("%s: it took %v", what, took)
	}
	o.within(20*time.Second, "curl -fsS -m 4 http://"+cardAddress+"/api/v1/status", `"code": "UPD-01"`)
	o.log("%s is taken back, in %.0f s", what, took.Seconds())
}

// uploads sends bundles as the admin page does.
func (o *owner) uploads(good, bad string) {
	o.t.Helper()
	const api = "http://" + cardAddress + "/api/v1/admin/"
	jar := filepath.Join(o.work.dir, "jar")
	login := `curl -fsS -c ` + jar + ` -d '{"password":"correct horse"}' ` + api + `login`
	o.run(login)
	send := "curl -sS -m 30 -b " + jar + " -T "
	if out := o.run(send + bad + " " + api + "update"); !strings.Contains(out, `"untrusted"`) {
		o.t.Errorf("a stranger's bundle: %s", out)
	}
	if out := o.run("curl -sS -m 30 -T " + good + " " + api + "update"); !strings.Contains(out, `"not_admin"`) {
		o.t.Errorf("a visitor's upload: %s", out)
	}
	start := time.Now()
	if out := o.run(send + good + " " + api + "update"); !strings.Contains(out, `"version":"9.4.0"`) {
		o.t.Fatalf("the upload: %s", out)
	}
	o.runs("9.4.0", time.Minute)
	o.run(login) // sessions end with the daemon
	o.within(time.Minute, "curl -fsS -m 4 -b "+jar+" "+api+"update", `"state":"idle"`)
	if out := o.run("curl -fsS -m 4 -b " + jar + " " + api + "update"); !strings.Contains(out, `"last":{"version":"9.4.0"`) || strings.Contains(out, "error") {
		o.t.Errorf("what became of it: %s", out)
	}
	if out := o.run("curl -fsS -m 4 http://" + cardAddress + "/api/v1/status"); strings.Contains(out, "UPD-01") {
		o.t.Errorf("the notice is still there: %s", out)
	}
	o.log("9.4.0 by the admin page, in %.0f s", time.Since(start).Seconds())
}

// plugsIn puts a bundle on a USB stick, and that into the machine.
func (o *owner) plugsIn(bundle string) {
	o.t.Helper()
	stick := filepath.Join(o.work.dir, "stick")
	o.card.command("truncate", "-s", "128M", stick)
	o.card.command("mkfs.vfat", stick)
	o.card.command("mcopy", "-i", stick, bundle, "::NEWEST.UPDATE")
	o.on.tell("drive_add 0 if=none,id=stick,format=raw,file=" + stick)
	start := time.Now()
	o.on.tell("device_add usb-storage,bus=usb.0,drive=stick,id=stick")
	o.runs("9.5.0", time.Minute)
	o.within(90*time.Second, o.ssh("systemctl is-active appliance-stick@sda; cat /data/slots/slots.json"), `"current": "a"`)
	o.on.tell("device_del stick")
	o.log("9.5.0 from a USB stick, in %.0f s", time.Since(start).Seconds())
}

// cutsATrial pulls the plug while a version that will not do is on trial.
func (o *owner) cutsATrial(bundle string) {
	o.t.Helper()
	o.copies(bundle, "/tmp/bundle")
	o.onCard("nohup appliance update /tmp/bundle >/dev/null 2>&1 </dev/null &")
	o.runs("9.1.0", 30*time.Second) // which calls itself 9.6.0
	o.on.powerOff()
	o.boot()
	o.runs("9.5.0", 20*time.Second)
	o.within(10*time.Second, "curl -fsS -m 4 http://"+cardAddress+"/api/v1/status", "the update to 9.6.0 was taken back: it was not healthy before the power went")
	o.log("the plug was pulled in a trial; the version before is back")
}

// writesTheImageAnew is how the card's system gets newer: what was said is
// still there, and so are the versions of before, until the image is newer.
func (o *owner) writesTheImageAnew(acked []string) {
	o.t.Helper()
	o.on.powerOff()
	o.card.write(imagePath())
	o.boot()
	o.has(acked)
	o.within(30*time.Second, o.ssh("hostname"), "server22")
	o.log("the image was written anew; messages and keys are still there")
}
