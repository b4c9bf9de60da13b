package acd_test

import (
	"context"
	"errors"
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
	addr  = netip.MustParseAddr("10.82.1.22")
	ours  = acd.MAC{2, 0x82, 0, 0, 0, 1}
	other = acd.MAC{2, 0x82, 0, 0, 0, 2}
)

func guard(lan *arplan.LAN, mac acd.MAC) *acd.Guard {
	return &acd.Guard{Conn: lan.Join(), MAC: mac, Addr: addr, Timing: acd.Quick, Logger: slog.New(slog.DiscardHandler)}
}

func TestProbeOfAFreeAddress(t *testing.T) {
	for name, test := range map[string]struct {
		timing   acd.Timing
		min, max time.Duration
	}{
		"quick":      {acd.Quick, 160 * time.Millisecond, 230 * time.Millisecond},
		"link-local": {acd.LinkLocal, 4 * time.Second, 6 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lan arplan.LAN
				g := guard(&lan, ours)
				g.Timing = test.timing
				start := time.Now()
				if err := g.Probe(t.Context()); err != nil {
					t.Fatal(err)
				}
				if took := time.Since(start); took < test.min || took > test.max {
					t.Errorf("took %v; want %v to %v", took, test.min, test.max)
				}
				sent := lan.Sent()
				if len(sent) != 3 {
					t.Fatalf("sent %d packets; want 3", len(sent))
				}
				for _, p := range sent {
					want := acd.Packet{Op: acd.Request, SenderMAC: ours, Sender: netip.IPv4Unspecified(), Target: addr}
					if p != want {
						t.Errorf("sent %+v; want %+v", p, want)
					}
				}
			})
		})
	}
}

func TestProbeFindsConflicts(t *testing.T) {
	for name, packet := range map[string]acd.Packet{
		"owner":         {Op: acd.Reply, SenderMAC: other, Sender: addr, TargetMAC: ours, Target: netip.IPv4Unspecified()},
		"announcement":  {Op: acd.Request, SenderMAC: other, Sender: addr, Target: addr},
		"another probe": {Op: acd.Request, SenderMAC: other, Sender: netip.IPv4Unspecified(), Target: addr},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lan arplan.LAN
				g := guard(&lan, ours)
				rival := lan.Join()
				time.AfterFunc(100*time.Millisecond, func() { _ = rival.Send(packet) })
				conflict, ok := errors.AsType[*acd.Conflict](g.Probe(t.Context()))
				if !ok || conflict.By != other {
					t.Errorf("got %v", conflict)
				}
			})
		})
	}
}

func TestProbeIgnoresOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lan arplan.LAN
		g := guard(&lan, ours)
		rival := lan.Join()
		_ = rival.Send(acd.Packet{Op: acd.Request, SenderMAC: other, Sender: netip.MustParseAddr("10.82.1.1"), Target: addr}) // somebody asks
		_ = rival.Send(acd.Packet{Op: acd.Reply, SenderMAC: other, Sender: netip.MustParseAddr("10.82.1.1"), Target: addr})
		_ = rival.Send(acd.Packet{Op: acd.Request, SenderMAC: ours, Sender: netip.IPv4Unspecified(), Target: addr}) // our own, reflected
		if err := g.Probe(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestHoldAnnouncesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var lan arplan.LAN
		g := guard(&lan, ours)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := g.Hold(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended by %v", err)
		}
		want := acd.Packet{Op: acd.Request, SenderMAC: ours, Sender: addr, Target: addr}
		if sent := lan.Sent(); len(sent) != 2 || sent[0] != want || sent[1] != want {
			t.Errorf("sent %+v; want two of %+v", sent, want)
		}
	})
}

func TestHoldDefends(t *testing.T) {
	claim := acd.Packet{Op: acd.Reply, SenderMAC: other, Sender: addr, Target: netip.MustParseAddr("10.82.1.9")}
	for name, test := range map[string]struct {
		policy   acd.Policy
		gap      time.Duration
		defences int
		givesUp  bool
	}{
		"once, then gives up":             {acd.DefendOnce, 5 * time.Second, 1, true},
		"again after ten seconds":         {acd.DefendOnce, 11 * time.Second, 2, false},
		"always, but not in a storm":      {acd.DefendAlways, 5 * time.Second, 1, false},
		"always, again after ten seconds": {acd.DefendAlways, 11 * time.Second, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var lan arplan.LAN
				g := guard(&lan, ours)
				g.Policy = test.policy
				rival := lan.Join()
				time.AfterFunc(10*time.Second, func() { _ = rival.Send(claim) })
				time.AfterFunc(10*time.Second+test.gap, func() { _ = rival.Send(claim) })
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				err := g.Hold(ctx)
				if _, gaveUp := errors.AsType[*acd.Conflict](err); gaveUp != test.givesUp {
					t.Errorf("ended by %v", err)
				}
				sent := lan.Sent()
				if got := len(sent) - 2 /* announcements */ - 2; /* the rival's */ got != test.defences {
					t.Errorf("%d defences; want %d", got, test.defences)
				}
			})
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(acd.Packet{Op: acd.Reply, SenderMAC: other, Sender: addr, TargetMAC: ours, Target: addr}.Bytes())
	f.Add([]byte{0, 1, 8, 0, 6, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := acd.Parse(b)
		if err != nil {
			return
		}
		if again, err := acd.Parse(p.Bytes()); err != nil || again != p {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}
