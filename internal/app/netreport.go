package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"server22.local/appliance/internal/clock"
	"server22.local/appliance/internal/control"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/netcfg"
)

// reportEvery is how often the network is asked how it is: what it tells here
// is not urgent, and a question costs less than a millisecond.
const reportEvery = 15 * time.Second

// followReport brings what the network says to health, and its time servers
// to the clock.
func (a *App) followReport(ctx context.Context) error {
	ticks := time.NewTicker(reportEvery)
	defer ticks.Stop()
	for {
		moved := a.moves()
		report, err := a.network.Report(ctx)
		if ctx.Err() != nil {
			return nil
		}
		a.reportNetwork(report, err)
		a.askTime(ctx, report)
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		case <-moved:
		}
	}
}

func (a *App) reportNetwork(report netcfg.Report, err error) {
	const id = "net"
	switch {
	case errors.Is(err, control.ErrUnreachable) && a.cfg().Net.Mode == string(netcfg.ModeObserve):
		a.health.Clear(id) // nobody has to
	case errors.Is(err, control.ErrUnreachable):
		a.health.Set(health.Condition{
			ID: id, Code: health.NetNoDaemon, Severity: health.Warning, Hint: "systemctl start appliance-net",
			Text: fmt.Sprintf("net.mode is %s, and nobody configures the network", a.cfg().Net.Mode),
		})
	case err != nil:
		a.health.Set(health.Condition{ID: id, Code: health.NetSilent, Severity: health.Warning, Text: "the network does not answer: " + err.Error()})
	case len(report.Problems) > 0:
		a.health.Set(health.Condition{ID: id, Code: health.NetTrouble, Severity: health.Warning, Text: strings.Join(report.Problems, "; "), Hint: "appliance net show"})
	default:
		a.health.Clear(id)
	}
}

// askTime asks the time servers of a lease, while nobody else has told us.
func (a *App) askTime(ctx context.Context, report netcfg.Report) {
	if _, set := a.clock.Now(); set || report.DHCP == nil || report.DHCP.Lease == nil {
		return
	}
	for _, server := range report.DHCP.Lease.NTP {
		if now, err := a.queryTime(ctx, server); err == nil {
			a.clock.Set(now, server.String())
			a.health.Clear("clock")
			a.log.Info("the time was told", "by", server, "time", now.UTC().Format(time.RFC3339))
			return
		}
	}
}

func (a *App) queryTime(ctx context.Context, server netip.Addr) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return clock.Query(ctx, net.JoinHostPort(server.String(), "123"))
}

// sourceOf says where an interface's IPv4 address is from, in the status'
// words.
func sourceOf(link netcfg.Link) string {
	var source string
	for _, a := range link.Addrs {
		if !a.Prefix.Addr().Is4() {
			continue
		}
		switch netcfg.Origin(a.Protocol) {
		case netcfg.FromLease:
			return "dhcp"
		case netcfg.FromSettings:
			return "static"
		case netcfg.FromLinkLocal:
			source = "link-local"
		}
	}
	return source
}
