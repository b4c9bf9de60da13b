package httpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ListenError says why an address could not be listened on, and what helps.
type ListenError struct {
	Addr string
	Err  error
}

// Error is "cannot listen on :80: address already in use".
func (e *ListenError) Error() string {
	reason := e.Err
	if errno, ok := errors.AsType[syscall.Errno](e.Err); ok {
		reason = errno
	}
	return fmt.Sprintf("cannot listen on %s: %v", e.Addr, reason)
}

// Unwrap gives the system's error.
func (e *ListenError) Unwrap() error { return e.Err }

// Hint is one step that helps.
func (e *ListenError) Hint() string {
	_, port, _ := net.SplitHostPort(e.Addr)
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("another program serves there ('ss -ltnp sport = :%s' shows which); stop it, or start with --listen :%s", port, otherPort(port))
	case errors.Is(e.Err, os.ErrPermission):
		return "ports below 1024 need root or CAP_NET_BIND_SERVICE; start with --listen :8080"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "no interface has this address; leave it out to listen on all of them, as in :" + port
	default:
		return "see http.listen in 'appliance config show'"
	}
}

func otherPort(port string) string {
	if n, err := strconv.Atoi(port); err == nil && n >= 1024 && n < 65535 {
		return strconv.Itoa(n + 1)
	}
	return "8080"
}

// Listen opens every address, or none.
func Listen(ctx context.Context, addrs []string) ([]net.Listener, error) {
	var open []net.Listener
	for _, addr := range addrs {
		l, err := listenOn(ctx, addr)
		if err != nil {
			closeAll(open)
			return nil, err
		}
		open = append(open, l)
	}
	return open, nil
}

// ListenAny opens those addresses that it can, at least one, and returns why
// the others could not be.
func ListenAny(ctx context.Context, addrs []string) ([]net.Listener, []error) {
	var open []net.Listener
	var errs []error
	for _, addr := range addrs {
		if l, err := listenOn(ctx, addr); err != nil {
			errs = append(errs, err)
		} else {
			open = append(open, l)
		}
	}
	return open, errs
}

func listenOn(ctx context.Context, addr string) (net.Listener, error) {
	// An IPv4 address is asked for as such: Go's "tcp" would do, but names the
	// other family in its errors.
	network := "tcp"
	if host, _, _ := net.SplitHostPort(addr); strings.Count(host, ".") == 3 {
		network = "tcp4"
	}
	l, err := listenConfig().Listen(ctx, network, addr)
	if err != nil {
		return nil, &ListenError{addr, err}
	}
	return l, nil
}

func closeAll(listeners []net.Listener) {
	for _, l := range listeners {
		l.Close()
	}
}
