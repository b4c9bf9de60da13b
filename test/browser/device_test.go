package browser

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"testing"
	"time"
)

// device is a running appliance with a state folder of its own.
type device struct {
	t       *testing.T
	binary  string
	state   string
	listen  string // what it is told to listen on
	address string // where it is reached
	command *exec.Cmd

	mu   sync.Mutex // guards code
	code string
}

// build makes the program once for all tests.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "appliance-browser-")
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, "appliance")
	if out, err := exec.Command("go", "build", "-o", binary, "server22.local/appliance/cmd/appliance").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return binary, nil
})

func newDevice(t *testing.T) *device {
	t.Helper()
	binary, err := build()
	if err != nil {
		t.Fatalf("building the appliance: %v", err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, binary: binary, state: t.TempDir(), listen: free.Addr().String(), address: free.Addr().String()}
	free.Close()
	if *pictures != "" {
		d.listen, d.address = ":80", "127.0.0.1:80"
	}
	d.start()
	t.Cleanup(func() { d.end(syscall.SIGTERM) })
	return d
}

// claimLine is what the console says while nobody is the administrator.
var claimLine = regexp.MustCompile(`enter ([A-Z0-9]{4}-[A-Z0-9]{4})`)

// start starts the daemon and waits until it answers.
func (d *device) start() {
	d.t.Helper()
	d.command = exec.Command(d.binary, "run", "--listen", d.listen)
	d.command.Env = append(os.Environ(),
		"XDG_STATE_HOME="+d.state, "XDG_RUNTIME_DIR="+d.state, "APPLIANCE_STATE="+d.state,
		"APPLIANCE_DISCOVERY_ENABLED=false", "APPLIANCE_NET_RESOLV_CONF="+filepath.Join(d.state, "resolv.conf"))
	output, err := d.command.StdoutPipe()
	if err != nil {
		d.t.Fatal(err)
	}
	d.command.Stderr = d.command.Stdout
	if err := d.command.Start(); err != nil {
		d.t.Fatalf("starting the appliance: %v", err)
	}
	go d.follow(output)
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if answer, err := http.Get("http://" + d.address + "/healthz"); err == nil {
			answer.Body.Close()
			return
		}
	}
	d.t.Fatal("the appliance did not answer within 10 s")
}

// follow reads what the daemon says until it ends.
func (d *device) follow(output io.Reader) {
	for lines := bufio.NewScanner(output); lines.Scan(); {
		if m := claimLine.FindStringSubmatch(lines.Text()); m != nil {
			d.mu.Lock()
			d.code = m[1]
			d.mu.Unlock()
		}
		if os.Getenv("BROWSER_TEST_LOG") != "" {
			fmt.Println("appliance:", lines.Text())
		}
	}
}

func (d *device) claimCode() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.code
}

// end sends the daemon a signal and waits until it is gone.
func (d *device) end(signal os.Signal) {
	if d.command == nil {
		return
	}
	_ = d.command.Process.Signal(signal)
	_ = d.command.Wait()
	d.command = nil
}
