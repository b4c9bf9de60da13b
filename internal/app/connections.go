package app

import (
	"context"
	"net/http"
	"slices"

	"server22.local/appliance/internal/admin"
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
