// Package e2e tries the whole appliance as its users do: the real binary, on
// a disk that loses its power, on a LAN with other hosts, by foreign clients.
package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/need"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(binDir)
		os.Exit(code)
	}))
}

var (
	binDir    string
	buildOnce sync.Once
	buildErr  error
)

// binary builds the appliance, once.
func binary(t testing.TB) string {
	t.Helper()
	need.Command(t, "go")
	buildOnce.Do(func() {
		if binDir, buildErr = os.MkdirTemp("", "appliance-e2e-"); buildErr != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", binDir, "../../cmd/appliance").CombinedOutput()
		if err != nil {
			buildErr = fmt.Errorf("%w: %s", err, out)
		}
	})
	if buildErr != nil {
		t.Fatalf("building the appliance: %v", buildErr)
	}
	return filepath.Join(binDir, "appliance")
}

// appliance is a running daemon on loopback.
type appliance struct {
	URL string

	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of the process; read after ended
}

// start runs a daemon on a state folder, at an address of loopback (port 0
// for any), and waits until it says where it is open.
func start(t testing.TB, state, addr string) *appliance {
	t.Helper()
	cmd := exec.Command(binary(t), "run", "--state", state, "--listen", addr)
	cmd.Env = append(os.Environ(), "APPLIANCE_DISCOVERY_ENABLED=false", "APPLIANCE_CONFIG="+os.DevNull)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &appliance{cmd: cmd, ended: make(chan struct{})}
	url := make(chan string, 1)
	go func() {
		defer close(a.ended)
		a.URL = scanURL(stdout)
		url <- a.URL
		io.Copy(io.Discard, stdout)
		a.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("the appliance said:\n%s", stderr.String())
		}
	})
	select {
	case u := <-url:
		if u == "" {
			<-a.ended
			t.Fatalf("the appliance did not start: %v\n%s", a.err, stderr.String())
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the appliance said nothing for 10 s")
	}
	return a
}

var loopbackURL = regexp.MustCompile(`http://127\.0\.0\.1:\d+/`)

// scanURL finds the URL among the first lines.
func scanURL(r io.Reader) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if u := loopbackURL.FindString(lines.Text()); u != "" {
			return u
		}
	}
	return ""
}

func (a *appliance) signal(sig syscall.Signal) { _ = a.cmd.Process.Signal(sig) }

// kill ends it as a crash would.
func (a *appliance) kill() {
	a.signal(syscall.SIGKILL)
	<-a.ended
}

// stop asks it to end, and returns how long that took and its exit code.
func (a *appliance) stop() (time.Duration, int) {
	begin := time.Now()
	a.signal(syscall.SIGTERM)
	<-a.ended
	return time.Since(begin), a.cmd.ProcessState.ExitCode()
}

// message is one of a room's history.
type message struct {
	Seq  int64  `json:"seq"`
	Text string `json:"text"`
	ID   string `json:"id"`
}

// history reads the whole of a room, a page at a time.
func (a *appliance) history(t testing.TB, room string) []message {
	t.Helper()
	var all []message
	for since := int64(0); ; {
		res, err := http.Get(fmt.Sprintf("%sapi/v1/rooms/%s/messages?since=%d&limit=200", a.URL, room, since))
		if err != nil {
			t.Fatal(err)
		}
		var page struct{ Messages []message }
		err = errors.Join(json.NewDecoder(res.Body).Decode(&page), res.Body.Close())
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("reading the history: %s, %v", res.Status, err)
		}
		if len(page.Messages) == 0 {
			return all
		}
		all = append(all, page.Messages...)
		since = page.Messages[len(page.Messages)-1].Seq
	}
}
