package discovery

import (
	"context"
	"errors"
	"flag"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// The tests in namespaces sleep most of the time, side by side.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

func TestFirstLife(t *testing.T) {
	inLab(t, func(l *lab) {
		p := l.lanTap()
		start := time.Now()
		m := l.run("server22", Config{Services: []Service{{Instance: "My Web", Type: "_http._tcp", Port: 80}}})
		<-m.Ready()
		if took := time.Since(start); took < 750*time.Millisecond || took > time.Second {
			t.Errorf("ready after %v, want three probes 250 ms apart after 0 to 250 ms", took)
		}
		settle()
		if h := m.State().Host(); !h.Held || h.Label() != "server22" {
			t.Errorf("state %+v", h)
		}
		if n := len(p.probes()); n != 3 {
			t.Errorf("%d probes over IPv4, want 3", n)
		}
		p.clear()
		p.send(query("server22.local.", dns.TypeA))
		answer := p.await(20 * time.Millisecond)
		if a := find(answer.msg.Answer, "server22.local.", dns.TypeA); len(a) != 1 || a[0].(*dns.A).A.String() != "192.168.7.2" {
			t.Errorf("answer %v", answer.msg)
		}
		p.clear()
		m.stop()
		bye := p.responses()
		if len(bye) == 0 || bye[0].msg.Answer[0].Header().Ttl != 0 {
			t.Errorf("no goodbye")
		}
	})
}

func TestRunTwice(t *testing.T) {
	inLab(t, func(l *lab) {
		m := l.run("server22", Config{})
		synctest.Wait()
		if err := m.Run(l.t.Context()); !errors.Is(err, ErrRunning) {
			t.Errorf("second Run returns %v", err)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	inLab(t, func(l *lab) {
		m := l.run("server22", Config{})
		ctx, cancel := context.WithCancel(l.t.Context())
		states := m.Watch(ctx)
		held := false
		for s := range states {
			if held = s.Host().Held; held {
				cancel()
			}
		}
		if !held {
			t.Error("the host's name was never held")
		}
		cancel()
	})
}
