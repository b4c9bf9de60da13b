// Package linklocal gives a link an IPv4 address without any server, as RFC
// 3927 has it: one of 169.254.1.0 to 169.254.254.255, derived from the hardware
// address so that it stays the same, probed, announced and defended.
package linklocal

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"server22.local/appliance/netcfg/acd"
)

// Prefix is the network of all link-local addresses.
var Prefix = netip.MustParsePrefix("169.254.0.0/16")

// Config says on which link to claim an address. All fields but First are
// needed.
type Config struct {
	MAC acd.MAC
	// First is tried before all others: the address of the last time, if known.
	First netip.Addr
	// Listen opens ARP on the link for one address.
	Listen func(addr netip.Addr) (acd.Conn, error)
	// Bind puts the address on the link, or removes it where addr is invalid.
	Bind   func(ctx context.Context, addr netip.Addr) error
	Logger *slog.Logger
}

const (
	// maxConflicts and slowPace are MAX_CONFLICTS and RATE_LIMIT_INTERVAL of
	// RFC 3927 §9: after ten conflicts one new address is tried a minute.
	maxConflicts = 10
	slowPace     = time.Minute
	// retry is the pause after an error of the link itself.
	retry = time.Second
)

// Run claims an address and holds it until ctx ends, then returns nil. The
// address stays on the link: whoever ends Run removes it if it should go.
func Run(ctx context.Context, config Config) error {
	candidates := candidatesOf(config.MAC)
	addr := config.First
	if !usable(addr) {
		addr = candidates()
	}
	conflicts := 0
	for {
		err := claim(ctx, config, addr)
		if ctx.Err() != nil {
			return nil
		}
		wait := retry
		if conflict, ok := errors.AsType[*acd.Conflict](err); ok {
			config.Logger.Info("link-local address is taken; trying another", "addr", addr, "err", conflict)
			addr = candidates()
			conflicts++
			wait = 0
			if conflicts >= maxConflicts {
				wait = slowPace
			}
		} else {
			config.Logger.Warn("cannot claim a link-local address; will try again", "addr", addr, "err", err)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// claim probes, binds and holds one address. A *acd.Conflict says that another
// host has it; the address is off the link then.
func claim(ctx context.Context, config Config, addr netip.Addr) error {
	conn, err := config.Listen(addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	guard := &acd.Guard{Conn: conn, MAC: config.MAC, Addr: addr, Timing: acd.LinkLocal, Logger: config.Logger}
	if err := guard.Probe(ctx); err != nil {
		return err
	}
	if err := config.Bind(ctx, addr); err != nil {
		return fmt.Errorf("binding %v: %w", addr, err)
	}
	err = guard.Hold(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := config.Bind(ctx, netip.Addr{}); err != nil {
		return fmt.Errorf("giving up %v: %w", addr, err)
	}
	return err
}

// candidatesOf makes the sequence of addresses that belongs to a hardware
// address (RFC 3927 §2.1).
func candidatesOf(mac acd.MAC) func() netip.Addr {
	seed := binary.BigEndian.Uint64(append([]byte{0, 0}, mac[:]...))
	random := rand.New(rand.NewPCG(seed, 3927))
	return func() netip.Addr {
		// The first and the last 256 addresses are reserved.
		const first, count = 169<<24 | 254<<16 | 1<<8, 254 << 8
		n := first + random.Uint32N(count)
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
}

func usable(addr netip.Addr) bool {
	if !addr.Is4() || !Prefix.Contains(addr) {
		return false
	}
	third := addr.As4()[2]
	return third != 0 && third != 255
}
