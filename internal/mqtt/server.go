package mqtt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"

	broker "github.com/mochi-mqtt/server/v2"

	"server22.local/appliance/internal/bus"
)

// Config says what is served, to whom.
type Config struct {
	Bus *bus.Bus
	// Allow says whether a client may come in, by its address and the password
	// that it gave; nil: all may.
	Allow func(from netip.Addr, password string) bool
	// MaxPacket bounds a packet in bytes; 0 means 1,000,000.
	MaxPacket int
	// MaxClients bounds the clients; 0 means 1000.
	MaxClients int
	// Rate bounds the publications a second of one client, after a burst; 0
	// means 2000, after 10,000. Who is faster is not read from meanwhile.
	Rate  float64
	Burst int
	// Logger hears of clients that come and go, at debug; nil discards it.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Allow == nil {
		c.Allow = func(netip.Addr, string) bool { return true }
	}
	if c.MaxPacket == 0 {
		c.MaxPacket = 1_000_000
	}
	if c.MaxClients == 0 {
		c.MaxClients = 1000
	}
	if c.Rate == 0 {
		c.Rate = 2000
	}
	if c.Burst == 0 {
		c.Burst = 10_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

const (
	// strangers is how many connections there may be beyond the clients, to be
	// told that there are too many.
	strangers = 50
	// unreleased bounds the messages of QoS 2 that wait for a client's PUBREL.
	unreleased = 1000
)

// Server serves MQTT clients. Make it with New, then call Serve.
type Server struct {
	cfg    Config
	broker *broker.Server // never served: it has no loops, no $SYS, no listeners

	mu   sync.Mutex // guards the following field
	open int
}

// New returns a server that does nothing yet.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg.withDefaults()}
	able := broker.NewDefaultServerCapabilities()
	able.MaximumClients = int64(s.cfg.MaxClients)
	able.MaximumPacketSize = uint32(s.cfg.MaxPacket)
	able.MaximumSessionExpiryInterval = 0
	able.MaximumClientWritesPending = 1 // its queue is not used
	able.ReceiveMaximum = unreleased
	able.TopicAliasMaximum = 0
	able.SharedSubAvailable = 0
	able.Compatibilities.NoInheritedPropertiesOnAck = true
	s.broker = broker.New(&broker.Options{
		Capabilities: able,
		// It would log whole packets, with passwords; sessions log how they ended.
		Logger: slog.New(slog.DiscardHandler),
	})
	if err := s.broker.AddHook(&hook{server: s}, nil); err != nil {
		return nil, fmt.Errorf("setting MQTT up: %w", err)
	}
	return s, nil
}

// Clients is the number of connections.
func (s *Server) Clients() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Serve accepts clients until the context ends, then closes the listener and
// all connections, and returns when the last has ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var clients sync.WaitGroup
	defer clients.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accepting MQTT clients: %w", err)
			}
			s.cfg.Logger.Warn("accepting an MQTT client", "err", err)
			continue
		}
		if !s.admit() {
			conn.Close()
			continue
		}
		clients.Go(func() {
			defer s.release()
			s.serve(ctx, conn)
		})
	}
}

func (s *Server) admit() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.cfg.MaxClients+strangers {
		return false
	}
	s.open++
	return true
}

func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

// serve is the life of one connection.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	c := newSession(ctx, s, conn)
	err := c.run()
	cancel()
	c.end()
	s.cfg.Logger.Debug("an MQTT client has ended", "client", c.name(), "from", conn.RemoteAddr(), "err", err)
}
