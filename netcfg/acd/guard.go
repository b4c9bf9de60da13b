package acd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"
)

// Conn carries ARP packets on one link.
type Conn interface {
	// Send sends a packet to everybody.
	Send(Packet) error
	// Receive waits for the next packet that may concern the guarded address.
	// It ends with ctx.Err() when ctx does.
	Receive(ctx context.Context) (Packet, error)
	Close() error
}

// Timing is the pace of a protocol.
type Timing struct {
	Wait     time.Duration // before the first probe: random, up to this
	Probes   int
	Min, Max time.Duration // from one probe to the next: random, between these
	Settle   time.Duration // from the last probe to the first announcement
}

var (
	// Quick is RFC 5227's timing scaled to some 200 ms in all, as
	// NetworkManager and systemd-networkd have it: the RFC's own 5 to 7 s were
	// chosen for the networks of 2008, and are most of the time to an address.
	Quick = Timing{Wait: 20 * time.Millisecond, Probes: 3, Min: 45 * time.Millisecond, Max: 65 * time.Millisecond, Settle: 75 * time.Millisecond}

	// LinkLocal is the timing of RFC 3927 §9, with the gaps kept in the lower half
	// of 1 to 2 s: an address is there after 4 to 6 s.
	LinkLocal = Timing{Wait: time.Second, Probes: 3, Min: time.Second, Max: 1500 * time.Millisecond, Settle: 2 * time.Second}
)

const (
	announceGap    = 2 * time.Second  // ANNOUNCE_INTERVAL of RFC 5227 §1.1
	defendInterval = 10 * time.Second // DEFEND_INTERVAL of RFC 5227 §1.1
)

// Policy says what to do about a conflict while an address is in use (RFC 5227
// §2.4).
type Policy int

const (
	// DefendOnce gives up at the second conflict within 10 s: (b) of §2.4.
	DefendOnce Policy = iota
	// DefendAlways never gives up: (c) of §2.4, for addresses that an
	// administrator chose.
	DefendAlways
)

// Conflict is the error that says that another host has the address.
type Conflict struct {
	Addr netip.Addr
	By   MAC
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("%v is in use by %02x:%02x:%02x:%02x:%02x:%02x", c.Addr,
		c.By[0], c.By[1], c.By[2], c.By[3], c.By[4], c.By[5])
}

// Guard probes, announces and defends one address on one link. Its methods are
// called one after the other.
type Guard struct {
	Conn   Conn
	MAC    MAC // ours
	Addr   netip.Addr
	Timing Timing
	Policy Policy
	Logger *slog.Logger
	// OnDefend is called after each defence, nil for none.
	OnDefend func(*Conflict)
}

// Probe asks whether another host has the address; the answer is a *Conflict or
// nil. Other errors are of the link or of ctx.
func (g *Guard) Probe(ctx context.Context) error {
	if err := g.listen(ctx, upTo(g.Timing.Wait), g.contests); err != nil {
		return err
	}
	for n := range g.Timing.Probes {
		if err := g.Conn.Send(probe(g.MAC, g.Addr)); err != nil {
			return fmt.Errorf("probing %v: %w", g.Addr, err)
		}
		wait := g.Timing.Settle
		if n < g.Timing.Probes-1 {
			wait = g.Timing.Min + upTo(g.Timing.Max-g.Timing.Min)
		}
		if err := g.listen(ctx, wait, g.contests); err != nil {
			return err
		}
	}
	return nil
}

// Hold announces the address and defends it until ctx ends, when it returns
// ctx.Err(), or until the policy gives it up, when it returns a *Conflict.
func (g *Guard) Hold(ctx context.Context) error {
	var defended time.Time
	hold := func(p Packet) error {
		if p.Sender != g.Addr || p.SenderMAC == g.MAC {
			return nil
		}
		conflict := &Conflict{Addr: g.Addr, By: p.SenderMAC}
		recent := !defended.IsZero() && time.Since(defended) < defendInterval
		if recent && g.Policy == DefendOnce {
			return conflict
		}
		if recent {
			return nil // and no storm of two defenders
		}
		defended = time.Now()
		g.defend(conflict)
		return nil
	}
	for _, wait := range []time.Duration{announceGap, forever} {
		if err := g.Conn.Send(announcement(g.MAC, g.Addr)); err != nil {
			g.Logger.Debug("cannot announce an address", "addr", g.Addr, "err", err)
		}
		if err := g.listen(ctx, wait, hold); err != nil {
			return err
		}
	}
	return nil
}

const forever = time.Duration(1<<63 - 1)

func (g *Guard) defend(conflict *Conflict) {
	g.Logger.Info("defending an address", "addr", g.Addr, "err", conflict)
	if err := g.Conn.Send(announcement(g.MAC, g.Addr)); err != nil {
		g.Logger.Debug("cannot defend an address", "addr", g.Addr, "err", err)
	}
	if g.OnDefend != nil {
		g.OnDefend(conflict)
	}
}

// contests judges a packet during the probing: the address has an owner, or
// another host is probing for it too (RFC 5227 §2.1.1).
func (g *Guard) contests(p Packet) error {
	taken := p.Sender == g.Addr
	wanted := p.Op == Request && p.Target == g.Addr && p.Sender.IsUnspecified()
	if p.SenderMAC != g.MAC && (taken || wanted) {
		return &Conflict{Addr: g.Addr, By: p.SenderMAC}
	}
	return nil
}

// pauseAfterError keeps a link that is down from being read in a busy loop.
const pauseAfterError = 100 * time.Millisecond

// listen shows packets to judge for a while, until that has an error.
func (g *Guard) listen(ctx context.Context, wait time.Duration, judge func(Packet) error) error {
	parent := ctx
	if wait < forever {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, wait)
		defer cancel()
	}
	for {
		packet, err := g.Conn.Receive(ctx)
		if err != nil {
			switch {
			case parent.Err() != nil:
				return parent.Err()
			case ctx.Err() != nil:
				return nil // the time is over
			case errors.Is(err, ErrClosed):
				return err
			}
			pause(ctx, pauseAfterError)
			continue
		}
		if err := judge(packet); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d)
}
