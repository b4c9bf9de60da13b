package acd_test

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"server22.local/appliance/internal/netnstest"
	"server22.local/appliance/netcfg/acd"
)

// A real neighbour's kernel answers; a flood about other addresses does not
// reach us.
func TestRealNeighbour(t *testing.T) {
	t.Parallel()
	lan, dev := netnstest.New(t), netnstest.New(t)
	netnstest.Veth(t, lan, "port0", dev, "eth0")
	lan.Addr("port0", "10.82.1.22/24")
	netnstest.Eventually(t, 5*time.Second, "carrier", func() bool {
		return dev.Interface("eth0").Flags&(1<<5) != 0 // net.FlagRunning
	})
	ifi := dev.Interface("eth0")

	probe := func(addr string) error {
		target := netip.MustParseAddr(addr)
		var conn acd.Conn
		var err error
		dev.Do(func() { conn, err = acd.Listen(ifi, target) })
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		g := &acd.Guard{Conn: conn, MAC: acd.MAC(ifi.HardwareAddr), Addr: target, Timing: acd.Quick, Logger: slog.New(slog.DiscardHandler)}
		return g.Probe(t.Context())
	}
	if err := probe("10.82.1.23"); err != nil {
		t.Errorf("a free address: %v", err)
	}
	conflict, ok := errors.AsType[*acd.Conflict](probe("10.82.1.22"))
	if want := lan.Interface("port0").HardwareAddr; !ok || conflict.By != acd.MAC(want) {
		t.Errorf("got %v; want a conflict with %v", conflict, want)
	}

	dev.Do(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		mac, err := acd.Resolve(ctx, ifi, netip.IPv4Unspecified(), netip.MustParseAddr("10.82.1.22"))
		if err != nil || mac != conflict.By {
			t.Errorf("resolved %v, %v; want %v", mac, err, conflict.By)
		}
		if _, err := acd.Resolve(ctx, ifi, netip.IPv4Unspecified(), netip.MustParseAddr("10.82.1.99")); err == nil {
			t.Error("nobody answered, and no error")
		}
	})
}
