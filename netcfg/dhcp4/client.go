package dhcp4

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"server22.local/appliance/netcfg/acd"
)

// Config tells a [Client] on which link it works and what for. MAC, Listen,
// ListenARP, Bind and Logger are needed.
type Config struct {
	MAC [6]byte
	// ClientID is option 61 as it goes out, see [ClientID]; empty sends none.
	ClientID []byte
	// Hostname is sent so that the server may register it; "" sends none.
	Hostname string
	// Listen opens DHCP on the link, see the function of that name.
	Listen func(context.Context) (Conn, error)
	// ListenARP opens ARP on the link for one address.
	ListenARP func(netip.Addr) (acd.Conn, error)
	// Bind puts a lease on the link: address, routes and lifetimes. It is called
	// with the new lease after each renewal, and with nil when there is none
	// any more. When it returns, the address can be used.
	Bind func(context.Context, *Lease) error
	// Store keeps the lease over restarts; nil forgets it.
	Store Store
	// InUse is a lease of an earlier run that is on the link now, nil for none.
	InUse *Lease
	// Discover begins with DISCOVER though there is a lease of an earlier time:
	// some servers register a changed name only then.
	Discover bool
	// Neighbour returns the hardware address by which a router answers when it is
	// asked from an address, which is 0.0.0.0 if ours is not sure; nil where
	// that cannot be found out.
	Neighbour func(ctx context.Context, from, router netip.Addr) (mac string, err error)
	Logger    *slog.Logger
}

// State is what a client is doing, in the words of RFC 2131 §4.4 where it has
// any.
type State string

// The states of a client.
const (
	Stopped    State = "stopped"     // Run does not run
	Rebooting  State = "init-reboot" // asking whether the address of last time still holds
	Selecting  State = "selecting"
	Requesting State = "requesting"
	Checking   State = "checking" // for conflicts, before the address is used
	Bound      State = "bound"
	Renewing   State = "renewing"
	Rebinding  State = "rebinding"
	Declined   State = "declined" // waiting after a conflict
	Released   State = "released" // waiting to be told to renew
)

// Status is what a client shows of itself.
type Status struct {
	State State `json:"state"`
	// Since is when the state was entered.
	Since time.Time `json:"since"`
	// Lease is the lease that is in use, nil for none. Do not modify it.
	Lease *Lease `json:"lease,omitempty"`
	// Conflicts counts the addresses that were declined since the last success.
	Conflicts int `json:"conflicts,omitempty"`
	// LastError is the last thing that went wrong, and When.
	LastError     string    `json:"last_error,omitempty"`
	LastErrorTime time.Time `json:"last_error_time,omitzero"`
}

// Client gets an address from a DHCP server and keeps it.
//
// Run is one actor: everything that happens (messages, timers, conflicts,
// commands) is handled on its goroutine, one after the other, in functions that
// each are a state and return the next.
type Client struct {
	config   Config
	commands chan request
	running  chan struct{} // capacity 1: held while Run runs

	mu     sync.Mutex // guards all following fields
	status Status
	// minute is when the present minute of warnings began, and warned their count.
	minute time.Time
	warned int
}

type command int

const (
	renew command = iota + 1
	release
)

// request is a command and the channel to close when it is done.
type request struct {
	command command
	done    chan struct{}
}

// New makes a client; Run starts it.
func New(config Config) *Client {
	return &Client{
		config:   config,
		commands: make(chan request),
		running:  make(chan struct{}, 1),
		status:   Status{State: Stopped, Since: time.Now(), Lease: config.InUse},
	}
}

// Status says what the client is doing. It may be called at any time.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status
}

// Renew begins to extend the lease now, or to ask for one without waiting any
// longer.
func (c *Client) Renew(ctx context.Context) error { return c.command(ctx, renew) }

// Release gives the address back and forgets it; the client then waits for
// Renew. It returns when the address is off the link.
func (c *Client) Release(ctx context.Context) error { return c.command(ctx, release) }

// ErrStopped is the error of commands to a client that does not run, because
// its link has no carrier or another program configures it.
var ErrStopped = errors.New("the DHCP client is not running")

func (c *Client) command(ctx context.Context, cmd command) error {
	select {
	case c.running <- struct{}{}:
		<-c.running
		return ErrStopped
	default:
	}
	r := request{cmd, make(chan struct{})}
	select {
	case c.commands <- r:
	case <-ctx.Done():
		return fmt.Errorf("telling the DHCP client: %w", ctx.Err())
	}
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the DHCP client: %w", ctx.Err())
	}
}

// Start says why a client begins.
type Start int

const (
	// Fresh is a start with the link as it has been for a while.
	Fresh Start = iota
	// Plugged is a start because a cable was just plugged in: the switch at its
	// other end may not forward yet, and the first messages are repeated soon.
	Plugged
)

// Run works from the moment the link has carrier until ctx ends, which is when
// it has lost it; then it returns nil. The address stays on the link. Run
// may be called again afterwards: the client then asks whether the address
// still holds where the link is now connected.
func (c *Client) Run(ctx context.Context, start Start) error {
	c.running <- struct{}{}
	defer func() { <-c.running }()
	defer c.enter(Stopped)

	conn, err := c.listen(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()
	s := &session{Client: c, conn: conn, answers: make(chan answer), conflict: make(chan *acd.Conflict, 1),
		lease: c.Status().Lease, plugged: start == Plugged}
	reader.Go(func() { s.readAnswers(ctx) })
	defer s.close()
	for next := s.begin; next != nil && ctx.Err() == nil; {
		next = next(ctx)
	}
	return nil
}

// listenAgain is the pause before a socket that could not be opened is tried
// again: the link may just be changing.
const listenAgain = time.Second

func (c *Client) listen(ctx context.Context) (Conn, error) {
	for try := 1; ; try++ {
		conn, err := c.config.Listen(ctx)
		if err == nil || ctx.Err() != nil || try == 5 {
			return conn, err
		}
		c.fail("cannot open DHCP on the link", err)
		pause(ctx, listenAgain)
	}
}

// Slept tells a client that does not run that the machine has slept for a time
// that the clock of timers does not know of: the lease is that much older.
func (c *Client) Slept(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status.Lease != nil {
		older := *c.status.Lease
		older.Obtained = older.Obtained.Add(-d)
		c.status.Lease = &older
	}
}

// enter changes the state that others see.
func (c *Client) enter(state State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.config.Logger.Debug("dhcp state", "from", c.status.State, "to", state)
	c.status.State, c.status.Since = state, time.Now()
}

// warnings is how many lines a minute the client may log above debug: what
// strangers send must not fill a log.
const warnings = 20

// fail notes what went wrong.
func (c *Client) fail(what string, err error) {
	c.mu.Lock()
	now := time.Now()
	c.status.LastError, c.status.LastErrorTime = fmt.Sprintf("%s: %v", what, err), now
	if now.Sub(c.minute) > time.Minute {
		c.minute, c.warned = now, 0
	}
	c.warned++
	log := c.config.Logger.Warn
	if c.warned > warnings {
		log = c.config.Logger.Debug
	}
	c.mu.Unlock()
	log(what, "err", err)
}

// pause returns false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func newXID() (id [4]byte) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}
