package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// SocketName is the name of the daemon's socket in its runtime folder.
const SocketName = "control.sock"

// maxSocketPath is what fits into sockaddr_un, with the final zero.
const maxSocketPath = 107

// Server answers on a Unix socket. Everybody on the machine may connect;
// handlers ask Trusted.
type Server struct {
	Path    string
	Handler http.Handler
	Log     *slog.Logger
}

// Run serves until the context ends, and removes the socket. What was left at
// the path by a process that died is replaced; the caller holds a lock that
// says that nobody else serves there.
func (s *Server) Run(ctx context.Context) error {
	l, err := s.listen()
	if err != nil {
		return err
	}
	server := http.Server{
		Handler: s.Handler, ConnContext: withPeer, ReadHeaderTimeout: 10 * time.Second,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving on %s: %w", s.Path, err)
	}
	return nil
}

func (s *Server) listen() (net.Listener, error) {
	if len(s.Path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the control socket is too long for the system: %s", s.Path)
	}
	if err := os.MkdirAll(filepath.Dir(s.Path), 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of the control socket: %w", err)
	}
	if err := os.Remove(s.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing an old control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: s.Path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("opening the control socket: %w", err)
	}
	// Connecting needs the right to write; who may do what is decided by
	// whom the kernel names.
	if err := os.Chmod(s.Path, 0o666); err != nil {
		l.Close()
		return nil, fmt.Errorf("opening the control socket to others: %w", err)
	}
	return l, nil
}
