package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"server22.local/appliance/internal/control"
)

func TestMain(m *testing.M) {
	testscript.Main(leakChecked{m}, map[string]func(){"appliance": main})
}

// leakChecked lets testscript clean up after the check, which would exit.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() (code int) {
	goleak.VerifyTestMain(l.m, goleak.Cleanup(func(c int) { code = c }))
	return code
}

// TestScripts runs testdata/*.txtar: what users type, and what they see.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes, which an emulated processor takes minutes for")
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			// Nothing of this machine's configuration, and no root's folders.
			env.Setenv("APPLIANCE_STATE", filepath.Join(env.WorkDir, "state"))
			env.Setenv("APPLIANCE_CONFIG", filepath.Join(env.WorkDir, "appliance.toml"))
			env.Setenv("APPLIANCE_HTTP_LISTEN", "127.0.0.1:0")
			env.Setenv("APPLIANCE_DISCOVERY_ENABLED", "false")
			return touch(filepath.Join(env.WorkDir, "appliance.toml"))
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"ready":  ready,
			"signal": sendSignal,
			"get":    get,
		},
		RequireUniqueNames: true,
	})
}

func touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// sendSignal sends TERM, INT or HUP to the daemon of APPLIANCE_STATE, which wrote
// its process number into its lock.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: signal TERM|INT|HUP")
	}
	text := ts.ReadFile(filepath.Join(ts.Getenv("APPLIANCE_STATE"), "lock"))
	pid, err := strconv.Atoi(strings.TrimSpace(text))
	ts.Check(err)
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP}
	ts.Check(syscall.Kill(pid, signals[args[0]]))
}

// ready waits until the daemon of APPLIANCE_STATE answers, and sets URL.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: ready")
	}
	client := control.NewClient(filepath.Join(ts.Getenv("APPLIANCE_STATE"), control.SocketName))
	deadline := time.Now().Add(10 * time.Second)
	for {
		var status struct{ URLs []string }
		err := client.Get(context.Background(), "/api/v1/status", &status)
		if err == nil && len(status.URLs) > 0 {
			ts.Setenv("URL", status.URLs[0])
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the daemon is not ready: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// get fetches a URL, with an optional Host header, and writes the status and
// the body to stdout.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: get URL [HOST]")
	}
	req, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	if len(args) == 2 {
		req.Host = args[1]
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	fmt.Fprintln(ts.Stdout(), resp.Status)
	if _, err := io.Copy(ts.Stdout(), resp.Body); err != nil {
		ts.Fatalf("reading %s: %v", args[0], err)
	}
	if neg == (resp.StatusCode < 400) {
		ts.Fatalf("%s answered %s", args[0], resp.Status)
	}
}
