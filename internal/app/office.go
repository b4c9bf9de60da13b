package app

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/netcfg"
	"server22.local/appliance/realtime"
)

// Sockets is admin.Backend's: one entry a connection, whatever the number of
// its namespaces.
func (a *App) Sockets() []admin.Socket {
	byConnection := map[*http.Request]*admin.Socket{}
	var list []*admin.Socket
	for _, namespace := range a.realtime.Namespaces() {
		for socket := range namespace.Sockets() {
			entry := byConnection[socket.Request()]
			if entry == nil {
				handshake := socket.Handshake()
				entry = &admin.Socket{ID: socket.ID(), Address: handshake.Address, Transport: socket.Transport(), Since: handshake.Issued}
				byConnection[socket.Request()] = entry
				list = append(list, entry)
			}
			a.describe(entry, namespace, socket)
		}
	}
	sockets := make([]admin.Socket, len(list))
	for i, entry := range list {
		slices.Sort(entry.Namespaces)
		sockets[i] = *entry
	}
	slices.SortFunc(sockets, func(a, b admin.Socket) int { return int(a.Since - b.Since) })
	return sockets
}

func (a *App) describe(entry *admin.Socket, namespace *realtime.Namespace, socket *realtime.Socket) {
	entry.Namespaces = append(entry.Namespaces, namespace.Name())
	if namespace.Name() != "/chat" {
		return // rooms elsewhere are the programs' own
	}
	entry.Nick = a.data.chat.Nick(socket)
	entry.Rooms = a.data.chat.RoomsOf(socket)
}

// CloseSocket is admin.Backend's.
func (a *App) CloseSocket(id string) bool {
	for _, namespace := range a.realtime.Namespaces() {
		if socket := namespace.Socket(id); socket != nil {
			socket.DisconnectAll()
			return true
		}
	}
	return false
}

// Rooms is admin.Backend's.
func (a *App) Rooms(ctx context.Context) ([]admin.Room, error) {
	infos, err := a.data.chat.Rooms(ctx)
	if err != nil {
		return nil, err
	}
	rooms := make([]admin.Room, len(infos))
	for i, info := range infos {
		kept, err := a.data.store.Log(chatLog).Count(ctx, info.Room)
		if err != nil {
			return nil, err
		}
		rooms[i] = admin.Room{Room: info.Room, Members: info.Members, Messages: kept, Last: info.Last, Locked: info.Posting != "all"}
	}
	return rooms, nil
}

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

// TryNetwork is admin.Backend's. A page without JavaScript's clock has the
// default time to confirm.
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
