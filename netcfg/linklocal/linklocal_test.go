package linklocal

import (
	"context"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"server22.local/appliance/netcfg/acd"
	"server22.local/appliance/netcfg/internal/arplan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	ours  = acd.MAC{2, 0x82, 0, 0, 0, 1}
	other = acd.MAC{2, 0x82, 0, 0, 0, 2}
)

// claimed runs the protocol for a time and returns each binding with its moment.
type binding struct {
	addr netip.Addr
	at   time.Duration
}

func run(t *testing.T, lan *arplan.LAN, first netip.Addr, limit time.Duration) []binding {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	start := time.Now()
	var bindings []binding
	err := Run(ctx, Config{
		MAC: ours, First: first, Logger: slog.New(slog.DiscardHandler),
		Listen: func(netip.Addr) (acd.Conn, error) { return lan.Join(), nil },
		Bind: func(_ context.Context, addr netip.Addr) error {
			bindings = append(bindings, binding{addr, time.Since(start)})
			return nil
		},
	})
	if err != nil {
		t.Error(err)
	}
	return bindings
}

func TestClaimsTheSameAddressEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lan arplan.LAN
		one := run(t, &lan, netip.Addr{}, time.Minute)
		two := run(t, &lan, netip.Addr{}, time.Minute)
		if len(one) != 1 || len(two) != 1 || one[0].addr != two[0].addr || !usable(one[0].addr) {
			t.Fatalf("bound %v, then %v", one, two)
		}
		if one[0].at < 4*time.Second || one[0].at > 6*time.Second {
			t.Errorf("bound after %v", one[0].at)
		}
		remembered := netip.MustParseAddr("169.254.7.7")
		if three := run(t, &lan, remembered, time.Minute); len(three) != 1 || three[0].addr != remembered {
			t.Errorf("bound %v; want the remembered %v", three, remembered)
		}
	})
}

func TestConflictLeadsToAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lan arplan.LAN
		next := candidatesOf(ours)
		taken, free := next(), next()
		ctx, cancel := context.WithCancel(t.Context())
		go lan.Own(ctx, other, taken)
		got := run(t, &lan, netip.Addr{}, time.Minute)
		cancel()
		synctest.Wait()
		if len(got) != 1 || got[0].addr != free {
			t.Errorf("bound %v; want %v", got, free)
		}
	})
}

func TestSecondConflictInUseGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lan arplan.LAN
		next := candidatesOf(ours)
		first, second := next(), next()
		rival := lan.Join()
		for _, at := range []time.Duration{20 * time.Second, 22 * time.Second} {
			time.AfterFunc(at, func() {
				_ = rival.Send(acd.Packet{Op: acd.Request, SenderMAC: other, Sender: first, Target: first})
			})
		}
		got := run(t, &lan, netip.Addr{}, time.Minute)
		if len(got) != 3 || got[0].addr != first || got[1].addr.IsValid() || got[2].addr != second {
			t.Errorf("bound %v; want %v, none, %v", got, first, second)
		}
	})
}

func TestTenConflictsSlowItDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lan arplan.LAN
		rival := lan.Join()
		ctx, cancel := context.WithCancel(t.Context())
		go func() { // claims whatever is probed
			for {
				p, err := rival.Receive(ctx)
				if err != nil {
					return
				}
				_ = rival.Send(acd.Packet{Op: acd.Reply, SenderMAC: other, Sender: p.Target, Target: p.Sender})
			}
		}()
		if got := run(t, &lan, netip.Addr{}, 10*time.Minute); len(got) != 0 {
			t.Errorf("bound %v", got)
		}
		cancel()
		synctest.Wait()
		probes := len(lan.Sent()) / 2
		if probes < 15 || probes > 20 { // ten at once, then one a minute
			t.Errorf("%d probes in ten minutes; want 10 and one a minute", probes)
		}
	})
}

func TestCandidatesAreUsable(t *testing.T) {
	next := candidatesOf(ours)
	for range 10000 {
		if addr := next(); !usable(addr) {
			t.Fatalf("%v is not usable", addr)
		}
	}
}
