package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"server22.local/appliance/internal/problem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers on a socket until the test ends.
func serve(t *testing.T, handler http.HandlerFunc) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "run", SocketName)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	server := &Server{Path: path, Handler: handler, Log: slog.New(slog.DiscardHandler)}
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(path); !os.IsNotExist(err) {
			t.Errorf("the socket was left: %v", err)
		}
	})
	for { // the file is there a moment before it is listened on
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return path
		}
		runtime.Gosched()
	}
}

func TestKernelNamesThePeer(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		peer, ok := PeerOf(r.Context())
		if !ok || int(peer.PID) != os.Getpid() || int(peer.UID) != os.Getuid() || int(peer.GID) != os.Getgid() || !Trusted(r) {
			t.Errorf("the peer is %+v (%v), trusted: %v", peer, ok, Trusted(r))
		}
		_, _ = io.WriteString(w, `{"n": 1}`)
	})
	var answer struct{ N int }
	if err := NewClient(path).Get(t.Context(), "/x", &answer); err != nil || answer.N != 1 {
		t.Errorf("answer %+v, %v", answer, err)
	}
}

func TestWhoIsTrusted(t *testing.T) {
	for name, test := range map[string]struct {
		ctx  context.Context
		want bool
	}{
		"nobody known": {t.Context(), false},
		"root":         {context.WithValue(t.Context(), peerKey{}, Peer{UID: 0, GID: 99999}), true},
		"ourselves":    {context.WithValue(t.Context(), peerKey{}, Peer{UID: uint32(os.Geteuid()), GID: 99999}), true},
		"a stranger":   {context.WithValue(t.Context(), peerKey{}, Peer{UID: 54321, GID: 54321}), false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(test.ctx)
		if got := Trusted(r); got != test.want {
			t.Errorf("%s: trusted %v; want %v", name, got, test.want)
		}
	}
	if !(Peer{UID: 54321, GID: 0}).in("root") || (Peer{UID: 54321, GID: 54321}).in("root") || (Peer{}).in("no-such-group") {
		t.Error("membership by the process' own group is told wrongly")
	}
}

func TestRefusalAndNobody(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		body, _ := io.ReadAll(r.Body)
		problem.Write(w, problem.New(http.StatusConflict, "claimed", "too late for "+string(body), "log in"))
	})
	c := NewClient(path)
	err := c.Do(t.Context(), http.MethodPost, "/claim", "me", nil)
	refusal, ok := errors.AsType[*Refusal](err)
	if !ok || refusal.Code != "claimed" || refusal.Error() != `too late for "me"` || refusal.Hint() != "log in" {
		t.Errorf("refused with %v", err)
	}
	if err := c.Get(t.Context(), "/plain", nil); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("refused with %v", err)
	}
	err = NewClient(path+"-none").Get(t.Context(), "/", nil)
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, syscall.ENOENT) || strings.Contains(err.Error(), "http://") {
		t.Errorf("where nobody listens: %v", err)
	}
}

func TestSocketIsReplacedAndBounded(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, SocketName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (&Server{Path: filepath.Join(dir, SocketName), Log: slog.New(slog.DiscardHandler)}).Run(ctx); err != nil {
		t.Errorf("what a dead process left is in the way: %v", err)
	}
	long := filepath.Join(dir, strings.Repeat("x", maxSocketPath))
	if err := (&Server{Path: long, Log: slog.New(slog.DiscardHandler)}).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a path that is too long: %v", err)
	}
}
