package app

import (
	"context"
	"net/netip"
	"time"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/netcfg"
)

// Network is admin.Backend's.
func (a *App) Network(ctx context.Context) (admin.Network, error) {
	report, err := a.network.Report(ctx)
	if err != nil {
		return admin.Network{}, netProblem(err)
	}
	n := admin.Network{
		Mode: string(report.Mode), Interface: report.Interface,
		Desired: desiredLines(settingsOf(a.cfg())), Observed: observedLines(report), Changes: []string{},
	}
	if plan, err := PlanNetwork(a.cfg()); err == nil {
		for _, change := range plan.Changes {
			n.Changes = append(n.Changes, change.String())
		}
	}
	if report.Trial != nil {
		n.Pending = max(1, int(time.Until(report.Trial.Deadline).Seconds()))
		n.Desired = desiredLines(report.Trial.Settings)
	}
	return n, nil
}

func desiredLines(s netcfg.Settings) []string {
	if s.Mode == netcfg.ModeObserve {
		return []string{"whatever somebody else configures"}
	}
	lines := []string{"mode " + string(s.Mode), "interface " + s.Interface}
	for _, prefix := range s.Static.Addresses {
		lines = append(lines, "address "+prefix.String())
	}
	for _, gateway := range s.Static.Gateways {
		lines = append(lines, "gateway "+gateway.String())
	}
	for _, server := range s.Static.DNS {
		lines = append(lines, "dns "+server.String())
	}
	return append(lines, "link-local "+string(s.LinkLocal))
}

func observedLines(r netcfg.Report) []string {
	lines := []string{"MAC " + r.MAC.String()}
	for _, a := range r.Addrs {
		lines = append(lines, "address "+a.Prefix.String())
	}
	for _, route := range r.Routes {
		if route.Dst.Bits() == 0 {
			lines = append(lines, "gateway "+route.Gateway.String())
		}
	}
	for _, server := range r.Resolver.Servers {
		lines = append(lines, "dns "+server.String())
	}
	if r.DHCP != nil && r.DHCP.Lease != nil {
		lines = append(lines, "lease from "+r.DHCP.Server.String()+" until "+r.DHCP.Expires.Format(time.DateTime))
	}
	if r.Owner != nil {
		lines = append(lines, "configured by "+r.Owner.Name)
	}
	return append(lines, r.Problems...)
}

// TryNetwork is admin.Backend's. The page has defaultTrial to confirm.
func (a *App) TryNetwork(ctx context.Context, changes map[string]*string) error {
	if _, err := a.network.Try(ctx, changes, defaultTrial); err != nil {
		return netProblem(err)
	}
	return nil
}

// ConfirmNetwork is admin.Backend's.
func (a *App) ConfirmNetwork(ctx context.Context, via netip.Addr) error {
	return a.endTrial(ctx, func(id string) error { return a.network.Confirm(ctx, id, via) })
}

// RevertNetwork is admin.Backend's.
func (a *App) RevertNetwork(ctx context.Context) error {
	return a.endTrial(ctx, func(id string) error { return a.network.Revert(ctx, id) })
}

func (a *App) endTrial(ctx context.Context, end func(id string) error) error {
	report, err := a.network.Report(ctx)
	if err != nil {
		return netProblem(err)
	}
	if report.Trial == nil {
		return netProblem(netcfg.ErrNoTrial)
	}
	if err := end(report.Trial.ID); err != nil {
		return netProblem(err)
	}
	if _, elsewhere := a.network.(otherNetwork); elsewhere {
		return a.Reload(ctx) // the other process has written the settings
	}
	return nil
}
