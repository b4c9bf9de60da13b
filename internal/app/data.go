package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"

	"server22.local/appliance/internal/admin"
	"server22.local/appliance/internal/api"
	"server22.local/appliance/internal/bus"
	"server22.local/appliance/internal/chat"
	"server22.local/appliance/internal/config"
	"server22.local/appliance/internal/health"
	"server22.local/appliance/internal/relay"
	"server22.local/appliance/internal/store"
	"server22.local/appliance/realtime"
	"server22.local/appliance/realtime/history"
)

// storeName is the database, within the state folder.
const storeName = "appliance.db"

// The names of what is kept in the store. They are in people's databases.
const (
	chatLog     = "chat"
	busLog      = "bus"
	tutorialLog = "tutorial"
	chatState   = "chat"
)

// chatShare is how much more of a full store people's words may take than
// what programs say.
const chatShare = 4

// data is what the appliance is for: what people and programs say to each
// other, and where it is kept.
type data struct {
	store    *store.Store
	chat     *chat.Chat
	bus      *bus.Bus
	tutorial *history.Keeper // of Socket.IO's tutorial
	api      *api.API        // the ways in without Socket.IO
}

// storeConfig says what the store keeps.
func storeConfig(cfg *config.Loaded) store.Config {
	return store.Config{
		Path:    filepath.Join(cfg.State, storeName),
		MaxSize: int64(cfg.Store.MaxSize),
		Logs: map[string]store.LogConfig{
			chatLog: {Share: chatShare, Text: chat.Text}, busLog: {}, tutorialLog: {},
		},
	}
}

// openData opens the store and puts chat, bus and relay on the realtime
// server.
func (a *App) openData(ctx context.Context, cfg *config.Loaded, io *realtime.Server) (*data, error) {
	kept := storeConfig(cfg)
	kept.OnFault, kept.Logger = a.storeFault, a.log.With("part", "store")
	s, err := store.Open(ctx, kept)
	if err != nil {
		return nil, storeFailure(cfg.State, err)
	}
	d := &data{store: s}
	if err := d.open(ctx, a, cfg); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	d.chat.Serve(io.Of("/chat"))
	d.bus.Serve(io.Of("/bus"), bus.Limits{})
	d.bus.Serve(io.Of("/"), bus.Limits{})
	relay.Example(io.Of("/"))
	d.tutorial = relay.Tutorial(io.Of("/"), s.Log(tutorialLog))
	relay.Relay(io, relay.Limits{})
	d.api = api.New(api.Config{
		Bus: d.bus, Chat: d.chat, Admin: a.isAdmin, MaxBody: int64(cfg.Realtime.MaxPayload),
		Logger: a.log.With("part", "api"),
	})
	return d, nil
}

func (d *data) open(ctx context.Context, a *App, cfg *config.Loaded) (err error) {
	d.chat, err = chat.Open(ctx, chat.Config{
		Rooms: cfg.Chat.Rooms, Log: d.store.Log(chatLog), State: d.store.Dict(chatState),
		Clock: a.clock.Now, Admin: a.isAdminSocket, Logger: a.log.With("part", "chat"),
	})
	if err != nil {
		return err
	}
	d.bus, err = bus.Open(ctx, bus.Config{
		History: cfg.Bus.HistoryPerTopic, MaxValue: int(cfg.Realtime.MaxPayload),
		Log: d.store.Log(busLog), Retained: d.store.Dict("retained"), State: d.store.Dict("bus"),
		Clock: a.clock.Now, Logger: a.log.With("part", "bus"),
	})
	return err
}

// isAdminSocket reports whether the page that a socket belongs to carries an
// administrator's session.
func (a *App) isAdminSocket(s *realtime.Socket) bool {
	return a.account.Valid(admin.SessionOf(s.Handshake().Headers))
}

// storeFault turns up in health for as long as nothing can be stored; nil is
// its end.
func (a *App) storeFault(err error) {
	if err == nil {
		a.health.Clear("store")
		return
	}
	why := err.Error()
	if errors.Is(err, syscall.ENOSPC) {
		why = "the disk is full"
	}
	a.health.Set(health.Condition{
		ID: "store", Code: health.DiskRefuses, Severity: health.Error, Text: "messages are not stored: " + why,
		Hint: fmt.Sprintf("make room: 'df -h %s' shows how full the disk is", a.cfg().State),
	})
}

func storeFailure(dir string, err error) error {
	fault := &Fault{Err: fmt.Errorf("cannot open the store: %w", err), Advice: "'appliance restore FILE' brings back a backup; --state DIR begins anew elsewhere"}
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		fault.Advice = fmt.Sprintf("make room: 'df -h %s' shows how full it is", dir)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		fault.Advice = "give this user the right to write in " + dir
	}
	return fault
}
