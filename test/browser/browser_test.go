package browser

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/need"
	"server22.local/appliance/test/node"
)

// pictures is where screenshots go. They are to show a usual address, so they
// are taken in a network of their own:
//
//	unshare -n bash -c 'ip link set lo up; ip link add eth0 type veth peer name peer0
//	  unshare -n sleep 110 & sleep 1; ip link set peer0 netns $!; nsenter -t $! -n ip link set peer0 up
//	  ip addr add 192.168.1.22/24 dev eth0; ip link set eth0 up
//	  go test ./test/browser -run Pictures -pictures ../../docs/img'
var pictures = flag.String("pictures", "", "take the documentation's screenshots into this folder")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if binary, err := build(); err == nil {
			os.RemoveAll(filepath.Dir(binary))
		}
		os.Exit(code)
	}))
}

// byName is how people open the pages: by a name over plain HTTP, where browsers
// withhold what they give to secure origins (and to loopback addresses).
const byName = "server22.local"

func TestHome(t *testing.T)  { play(t, "home.js", byName) }
func TestChat(t *testing.T)  { play(t, "chat.js", byName) }
func TestDrops(t *testing.T) { play(t, "drops.js", byName) }
func TestBus(t *testing.T)   { play(t, "bus.js", byName) }
func TestWWW(t *testing.T)   { play(t, "www.js", byName) }

// These two use the address: the examples of the documentation run in programs
// that know no other, and the administrator changes the name.
func TestDocs(t *testing.T)  { play(t, "docs.js", "") }
func TestAdmin(t *testing.T) { play(t, "admin.js", "") }

func TestPictures(t *testing.T) {
	if *pictures == "" {
		t.Skip("only with -pictures FOLDER")
	}
	dir, err := filepath.Abs(*pictures)
	if err != nil {
		t.Fatal(err)
	}
	play(t, "pictures.js", byName, dir)
}

// patience is how long a script may take between two lines.
const patience = 90 * time.Second

// play runs a script of testdata against a device of its own, which pages open
// by that name, or by its address if it is empty. It follows what the script
// says: "ok NAME", "fail NAME: WHY", "do ACTION" (which it waits for) and
// at last "done".
func play(t *testing.T, script, name string, args ...string) {
	t.Helper()
	t.Parallel()
	chromium := need.Command(t, "chromium")[0]
	need.NodeModule(t, "../node", "playwright-core")
	need.NodeModule(t, "../node", "axe-core")
	need.NodeModule(t, "../node", "jquery")
	device := newDevice(t)
	line := newLine(t, device.address)
	running := node.Run(t, filepath.Join("testdata", script), append([]string{line.url(), chromium, name}, args...)...)
	for {
		select {
		case said, ok := <-running.Lines:
			if !ok {
				t.Fatalf("%s ended before it was done", script)
			}
			word, rest, _ := strings.Cut(said, " ")
			switch word {
			case "ok":
				t.Log(said)
			case "fail":
				t.Error(rest)
			case "do":
				fmt.Fprintln(running.Stdin, act(t, device, line, rest))
			case "done":
				return
			default:
				t.Log(said)
			}
		case <-time.After(patience):
			t.Fatalf("%s said nothing for %v", script, patience)
		}
	}
}

// act does what a script asks for, and returns the answer to it.
func act(t *testing.T, device *device, line *line, action string) string {
	switch action {
	case "cut":
		line.cut()
	case "heal":
		line.heal()
	case "kill":
		device.end(syscall.SIGKILL)
	case "stop":
		device.end(syscall.SIGTERM)
	case "start":
		device.start()
	case "code":
		return device.claimCode()
	case "state":
		return device.state
	default:
		t.Errorf("the script asks to %q", action)
	}
	return "done"
}
