package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
)

// TestDiscover: the command line finds appliances without any help of the
// system's resolver, and talks to them by name.
func TestDiscover(t *testing.T) {
	l := newLAN(t)
	kitchen, cellar, client := l.host(2), l.host(3), l.host(4)
	l.appliance(kitchen, "--name", "kitchen")
	ended := l.appliance(cellar, "--name", "cellar", "--listen", ":8080")

	run := func(args ...string) string {
		cmd := client.Command(binary(t), args...)
		cmd.Env = append(os.Environ(), "APPLIANCE_CONFIG="+os.DevNull, "APPLIANCE_STATE="+t.TempDir())
		out, err := output(client, cmd)
		if err != nil {
			return err.Error() + out
		}
		return out
	}
	netnstest.Eventually(t, 15*time.Second, "both are found", func() bool {
		out := run("discover", "--timeout", "1s")
		return strings.Contains(out, "http://kitchen.local/ ") && strings.Contains(out, "http://cellar.local:8080/")
	})
	watch := client.Command(binary(t), "discover", "--watch")
	watch.Env = append(os.Environ(), "APPLIANCE_CONFIG="+os.DevNull, "APPLIANCE_STATE="+t.TempDir())
	watcher := client.DaemonCommand(watch)
	watcher.WaitOutput(" kitchen  http://kitchen.local/  10.53.0.2 fe80::", 5*time.Second)
	watcher.WaitOutput("+ cellar", 5*time.Second)
	if out := run("pub", "-r", "--url", "http://kitchen.local/", "lab/temp", "21.5"); out != "" {
		t.Errorf("publishing by name: %s", out)
	}
	if out := run("sub", "-n", "1", "-W", "10s", "--url", "kitchen.local", "lab/temp"); out != "21.5\n" {
		t.Errorf("subscribing by name: %s", out)
	}
	ended.Stop()
	watcher.WaitOutput("- cellar", 5*time.Second)
	if strings.Contains(watcher.Output(), "- kitchen") {
		t.Errorf("the list of those that are there: %s", watcher.Output())
	}
	watcher.Stop()
	if code := watcher.ExitCode(); code != 0 {
		t.Errorf("discover --watch ended with %d", code)
	}
}

// output runs a command in a namespace and returns what it printed.
func output(ns *netnstest.NS, cmd *exec.Cmd) (string, error) {
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := ns.Start(cmd); err != nil {
		return "", err
	}
	err := cmd.Wait()
	return out.String(), err
}
