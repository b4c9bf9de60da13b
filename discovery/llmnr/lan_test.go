package llmnr

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"server22.local/appliance/discovery"
	"server22.local/appliance/internal/need"
	"server22.local/appliance/internal/netnstest"
)

// inNamespace is the kernel's platform in a network namespace.
type inNamespace struct{ ns *netnstest.NS }

func (p inNamespace) multicast(i discovery.Interface, f family) (s socket, err error) {
	p.ns.Do(func() { s, err = system{}.multicast(i, f) })
	return s, err
}

func (p inNamespace) asker(i discovery.Interface, addr netip.Addr) (s socket, err error) {
	p.ns.Do(func() { s, err = system{}.asker(i, addr) })
	return s, err
}

func (p inNamespace) listen(ctx context.Context, i discovery.Interface, addr netip.Addr) (l net.Listener, err error) {
	p.ns.Do(func() { l, err = system{}.listen(ctx, i, addr) })
	return l, err
}

// A lan is a bridge, with hosts 10.53.0.N plugged into it.
type lan struct {
	t   *testing.T
	hub *netnstest.NS
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	l := &lan{t, netnstest.New(t)}
	l.hub.Bridge("br0")
	return l
}

type host struct {
	*netnstest.NS
	t *testing.T
}

func (l *lan) host(n int) *host {
	l.t.Helper()
	h := &host{netnstest.New(l.t), l.t}
	h.Do(func() {
		// Nobody else has the addresses: they are usable at once.
		_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0o644)
	})
	port := fmt.Sprintf("port%d", n)
	netnstest.Veth(l.t, l.hub, port, h.NS, "eth0")
	l.hub.Enslave("br0", port)
	h.Addr("eth0", fmt.Sprintf("10.53.0.%d/24", n))
	return h
}

func (h *host) interfaces() (list []discovery.Interface) {
	h.t.Helper()
	h.Do(func() {
		var err error
		if list, err = discovery.SystemInterfaces(); err != nil {
			h.t.Error(err)
		}
	})
	return list
}

// run starts a responder for server22 on the host.
func (h *host) run(cfg Config) *Responder {
	h.t.Helper()
	cfg.Name, cfg.Interfaces, cfg.platform = "server22", h.interfaces(), inNamespace{h.NS}
	cfg.Logger = slog.New(slog.NewTextHandler(h.t.Output(), nil))
	r, err := New(cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Error(err)
		}
	})
	return r
}

// waitPhase waits until the name is as far on every link.
func waitPhase(t *testing.T, r *Responder, phase Phase) {
	t.Helper()
	netnstest.Eventually(t, 8*time.Second, "every link to be "+string(phase), func() bool {
		s := r.State()
		for _, l := range s.Links {
			if l.Phase != phase || l.Problem != "" {
				return false
			}
		}
		return len(s.Links) > 0
	})
}

// A shell runs commands beside a systemd-resolved of its own.
type shell struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func (h *host) resolved() *shell {
	h.t.Helper()
	need.Root(h.t)
	need.Command(h.t, "unshare", "mmdebstrap")
	root, err := exec.Command("../../test/systemd/rootfs.sh").Output()
	if err != nil {
		h.t.Fatalf("making the root file system: %v", err)
	}
	cmd := h.Command("unshare", "--uts", "--mount", "--pid", "--fork", "--kill-child", "sh", "testdata/resolved.sh", strings.TrimSpace(string(root)), h.t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		h.t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := h.Start(cmd); err != nil {
		h.t.Fatal(err)
	}
	w.Close()
	h.t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		r.Close()
	})
	s := &shell{h.t, in, bufio.NewScanner(r)}
	s.until("READY")
	return s
}

// run runs a command line and returns what it printed, with its exit code.
func (s *shell) run(line string) (out, code string) {
	s.t.Helper()
	fmt.Fprintln(s.in, line)
	return s.until("EXIT ")
}

func (s *shell) until(prefix string) (before, rest string) {
	s.t.Helper()
	for s.out.Scan() {
		if rest, ok := strings.CutPrefix(s.out.Text(), prefix); ok {
			return before, rest
		}
		before += s.out.Text() + "\n"
	}
	s.t.Fatalf("the shell ended after:\n%s", before)
	return "", ""
}
